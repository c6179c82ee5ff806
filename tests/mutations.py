"""Files that are wrong by meaning: values of a valid one changed, not only its bytes."""

import io
import json
import struct
import zipfile
import zlib
from copy import deepcopy

from hypothesis import strategies as st

WRONG = (
    *(None, True, False, -1, 0, 1, 2, 3, 255, 65_536, 2**31, 2**63, -(2**63), 10**30),
    *(0.5, 16.5, -0.0, 1e308, -1e308, 1e-320, float("nan"), float("inf"), float("-inf")),
    *("", " ", "0", "nan", "x" * 10_000, "\x00", "../../etc/passwd", "<b>", "\ud7ff", "é"),
    *([], {}, [None], [1, "a", None], {"a": None}, {"": {}}, [0] * 2000, ["x"] * 300),
)
"""Values that a field may hold instead of its own."""


class File(bytes):
    """Bytes whose repr is short where they are many."""

    def __repr__(self):
        return f"File({bytes(self)!r})" if len(self) < 2000 else f"File of {len(self)} bytes"


class Text(str):
    """A text whose repr is short where it is long."""

    def __repr__(self):
        return str.__repr__(self[:2000]) + f" … {len(self)} characters" * (len(self) > 2000)


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def places(tree, at=()):
    """Paths to all values inside a tree of dicts and lists."""
    found = []
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        found.append((*at, key))
        if isinstance(value, dict | list):
            found += places(value, (*at, key))
    return found


def plain(value):
    """A tree of dicts and lists alone."""
    return json.loads(json.dumps(value))


@st.composite
def trees(draw, tree):
    """A tree with up to three of its values changed, removed, moved, renamed or repeated."""
    tree = deepcopy(tree)
    for _ in range(draw(st.integers(1, 3))):
        paths = places(tree)
        if not paths:
            break
        *outer, key = draw(st.sampled_from(paths))
        inner = tree
        for step in outer:
            inner = inner[step]
        action = draw(st.sampled_from(("change", "change", "change", "remove", "other", "rename")))
        if action == "change":
            inner[key] = deepcopy(draw(st.sampled_from(WRONG)))
        elif action == "remove":
            del inner[key]
        elif action == "other":  # the value of another field
            value = tree
            for step in draw(st.sampled_from(paths)):
                value = value[step]
            inner[key] = deepcopy(value)
        elif isinstance(inner, dict):
            inner[draw(st.sampled_from(("", "x", "schema", f"{key} ", "a" * 300)))] = inner.pop(key)
        else:
            inner *= 2
    return tree


@st.composite
def texts(draw, tree):
    """JSON of a changed tree; now and then cut, nested deeply, or followed by more."""
    text = json.dumps(draw(trees(tree)))
    kind = draw(st.sampled_from(("whole", "whole", "whole", "cut", "deep", "more", "other")))
    if kind == "cut":
        return Text(text[: draw(st.integers(0, len(text)))])
    if kind == "deep":
        return Text("[" * 100_000 if draw(st.booleans()) else json.dumps({"a": nested(150)}))
    if kind == "other":
        values = (*map(json.dumps, (None, 3, [], {}, "a", nested(100))), "{'a': 1}", "﻿{}")
        return draw(st.sampled_from(values))
    return Text(f"{text} {text}" if kind == "more" else text)


@st.composite
def safetensors(draw, content, key):
    """A safetensors file whose header, description under `key`, or data are changed.

    `content` is a valid file.
    """
    (length,) = struct.unpack("<Q", content[:8])
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    part = draw(st.sampled_from(("description", "header", "tensor", "data", "length")))
    if part == "description" and key:
        described = json.loads(header["__metadata__"][key])
        header["__metadata__"][key] = draw(texts(described))
    elif part in ("header", "description"):
        header = draw(trees(header))
    elif part == "tensor":
        name = draw(st.sampled_from(sorted(header.keys() - {"__metadata__"})))
        begin, end = header[name]["data_offsets"]
        change = {
            "dtype": st.sampled_from(("F64", "F16", "BF16", "I64", "U8", "F8_E4M3", "C64", "X")),
            "shape": st.lists(st.sampled_from((0, 1, 3, 2**31, 2**62, end - begin)), max_size=5),
            "data_offsets": st.lists(st.sampled_from((0, begin, end, 2**40, -1)), max_size=3),
        }
        field = draw(st.sampled_from(sorted(change)))
        header[name][field] = draw(change[field])
    elif part == "data":
        data = draw(
            st.sampled_from((b"", data[:-4], data + bytes(8), b"\xff" * len(data), data[::-1]))
        )
    text = json.dumps(header).encode()
    size = len(text)
    if part == "length":
        size = draw(st.sampled_from((0, 1, size - 1, size + 1, 2**20 + 1, 2**40, 2**63)))
    return File(struct.pack("<Q", size) + text + data)


@st.composite
def zips(draw, content):
    """A zip whose members are dropped, cut, exchanged, repeated, renamed or compressed."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        members = [(one.filename, file.read(one)) for one in file.infolist()]
    for _ in range(draw(st.integers(1, 2))):
        if not members:
            break
        place = draw(st.integers(0, len(members) - 1))
        name, data = members[place]
        action = draw(st.sampled_from(("drop", "cut", "grow", "other", "rename", "flip")))
        if action == "drop":
            del members[place]
        elif action == "cut":
            members[place] = name, data[: draw(st.integers(0, len(data)))]
        elif action == "grow":
            members[place] = name, data + bytes(draw(st.sampled_from((1, 1000, 10**6))))
        elif action == "other":
            members[place] = name, draw(st.sampled_from(members))[1]
        elif action == "rename":
            named = draw(st.sampled_from(("x", "../x", "archive/data/0", name.upper())))
            members[place] = named, data
        elif data:
            at = draw(st.integers(0, len(data) - 1))
            members[place] = name, data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1 :]
    stream = io.BytesIO()
    kind = draw(st.sampled_from((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))
    with zipfile.ZipFile(stream, "w", kind) as file:
        for name, data in dict(members).items():
            file.writestr(name, data)
    return File(stream.getvalue())


NUMBERS = (0, 1, 2, 7, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 2**24, 2**31 - 1, 2**31)


@st.composite
def numbers(draw, content, fields, order):
    """A file with one or two of its whole numbers changed; `fields` are offsets and sizes."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 2))):
        at, size = draw(st.sampled_from(fields))
        value = draw(st.sampled_from((*NUMBERS, 2**32 - 1))) % 2 ** (8 * size)
        data[at : at + size] = value.to_bytes(size, order)
    return File(data)


@st.composite
def parts(draw, chunks, join):
    """A file made of its chunks, of which some are dropped, repeated, exchanged, cut or grown."""
    chunks = list(chunks)
    for _ in range(draw(st.integers(1, 3))):
        if not chunks:
            break
        place = draw(st.integers(0, len(chunks) - 1))
        action = draw(st.sampled_from(("drop", "repeat", "swap", "cut", "grow", "number")))
        one = chunks[place]
        if action == "drop":
            del chunks[place]
        elif action == "repeat":
            chunks[place:place] = [one] * draw(st.sampled_from((1, 50, 3000)))
        elif action == "swap":
            other = draw(st.integers(0, len(chunks) - 1))
            chunks[place], chunks[other] = chunks[other], one
        elif action == "cut":
            chunks[place] = (one[0], one[1][: draw(st.integers(0, len(one[1])))])
        elif action == "grow":
            chunks[place] = (one[0], one[1] + bytes(draw(st.sampled_from((1, 100, 60_000)))))
        elif one[1]:
            data = bytearray(one[1])
            at = draw(st.integers(0, min(len(data) - 1, 40)))
            data[at] = draw(st.sampled_from((0, 1, 2, 0x7F, 0xFF)))
            chunks[place] = one[0], bytes(data)
    return File(join(chunks))


def png_chunks(content):
    found, at = [], 8
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        found.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def join_png(chunks):
    """With right lengths and checksums, so that a decoder goes on to what they say."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def jpeg_segments(content):
    found, at = [], 2
    while content[at + 1] != 0xDA:
        length = int.from_bytes(content[at + 2 : at + 4])
        found.append((content[at : at + 2], content[at + 4 : at + 2 + length]))
        at += 2 + length
    return [*found, (b"scan", content[at:])]


def join_jpeg(segments):
    return b"\xff\xd8" + b"".join(
        data if kind == b"scan" else kind + struct.pack(">H", (len(data) + 2) % 65_536) + data
        for kind, data in segments
    )


def riff_chunks(content):
    found, at = [], 12
    while at + 8 <= len(content):
        (length,) = struct.unpack("<I", content[at + 4 : at + 8])
        found.append((content[at : at + 4], content[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    return found


def join_riff(chunks):
    body = b"".join(
        kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for kind, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def tiff_fields(content):
    """Where the numbers of the first folder are: count, and tag, type, count, value of each."""
    (start,) = struct.unpack("<I", content[4:8])
    (count,) = struct.unpack("<H", content[start : start + 2])
    fields = [(4, 4), (start, 2)]
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        fields += [(entry, 2), (entry + 2, 2), (entry + 4, 4), (entry + 8, 4)]
    return fields


def toml(value):
    """A value of TOML; what TOML cannot say becomes text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(str(k))} = {toml(v)}" for k, v in value.items()) + "}"
    return json.dumps(value if isinstance(value, str) else repr(value))
