"""Projects: what is saved comes back, and a file from anyone is refused before it is unpacked."""

import io
import json
import struct
import time
import tracemalloc
import warnings
import zipfile
import zlib
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from deconvviz.errors import SavedFileError
from deconvviz.io.images import to_png
from deconvviz.io.project import MAX_PROJECT_BYTES, ProjectRecord, project_bytes, read_project

CHOICES = {"layer": ("stage2.relu1",), "pictures": ("a.png", "cat"), "off": ("stage2.relu1:3.4",)}
RECORD = {"network": "demo", "sha256": "0" * 64, "choices": CHOICES, "pictures": ["a.png"]}
NOISE = Image.effect_noise((40, 30), 90).convert("RGB")


PNG = to_png(NOISE)


def zipped(entries, kind=zipfile.ZIP_STORED):
    """A zip of names and contents, by the standard library."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there twice
        with zipfile.ZipFile(stream, "w", kind) as archive:
            for name, content in entries:
                archive.writestr(name, content)
    return stream.getvalue()


def made(record=RECORD, pictures=(PNG,), more=(), kind=zipfile.ZIP_STORED):
    text = record if isinstance(record, str | bytes) else json.dumps(record)
    named = [(f"pictures/{place}.png", one) for place, one in enumerate(pictures)]
    return zipped([("project.json", text), *named, *more], kind)


def refusal(content):
    """The sentence of a refusal, which takes neither long nor much memory."""
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(SavedFileError) as error:
        read_project(content, "mine.deconvviz", 1024)
    assert time.process_time() - began < 2
    assert tracemalloc.get_traced_memory()[1] < 60e6 + len(content)
    tracemalloc.stop()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_project_comes_back_and_the_standard_library_reads_it():
    other = Image.effect_noise((64, 20), 50).convert("RGB")
    record = ProjectRecord(network="demo", sha256="abc", choices=CHOICES)
    content = project_bytes(record, {"a.png": NOISE, "ä (2).jpg": other})
    assert content == project_bytes(record, {"a.png": NOISE, "ä (2).jpg": other})
    found = read_project(content, "mine.deconvviz", 1024)
    assert found.record.choices == CHOICES
    assert (found.record.network, found.record.sha256) == ("demo", "abc")
    assert list(found.pictures) == ["a.png", "ä (2).jpg"]
    for one, image in zip(found.pictures.values(), (NOISE, other), strict=True):
        assert np.array_equal(np.asarray(one.image), np.asarray(image))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["project.json", "pictures/0.png", "pictures/1.png"]
        stored = json.loads(archive.read("project.json"))
        with Image.open(io.BytesIO(archive.read("pictures/1.png"))) as picture:
            assert np.array_equal(np.asarray(picture), np.asarray(other))
    assert stored["pictures"] == ["a.png", "ä (2).jpg"]
    assert stored["choices"]["pictures"] == ["a.png", "cat"]
    assert "torch" in stored["versions"]


def test_one_without_pictures_and_one_packed_by_another_program_are_read():
    alone = {**RECORD, "pictures": []}
    assert read_project(made(alone, ()), "a", 64).pictures == {}
    packed = read_project(made(kind=zipfile.ZIP_DEFLATED), "a", 64)
    assert np.array_equal(np.asarray(packed.pictures["a.png"].image), np.asarray(NOISE))


def test_larger_pictures_are_shrunk():
    large = to_png(Image.new("RGB", (3000, 1500), "teal"))
    assert read_project(made(pictures=(large,)), "a", 100).pictures["a.png"].image.size == (100, 50)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("../../evil.png", "which no project has"),
        ("/etc/passwd", "which no project has"),
        ("pictures/../../0.png", "which no project has"),
        ("pictures/10.png", "which no project has"),
        ("pictures/0.PNG", "which no project has"),
        ("pictures\\0.png", "which no project has"),
        ("<b>", "which no project has"),
        ("project.json", "an entry twice"),
        ("pictures/0.png", "an entry twice"),
        ("pictures/1.png", "names 1 pictures, but holds 2"),
    ],
)
def test_other_names_are_refused(name, says):
    text = refusal(made(more=[(name, PNG)]))
    assert says in text
    assert "<" not in text
    assert ".." not in text


@pytest.mark.parametrize("megabytes", [25, 300])
def test_bombs_are_refused_before_they_are_unpacked(megabytes):
    bomb = bytes(megabytes << 20)
    assert "larger than in any" in refusal(made(pictures=(bomb,), kind=zipfile.ZIP_DEFLATED))
    assert "larger than in any" in refusal(made(" " * (1 << 20), kind=zipfile.ZIP_DEFLATED))
    several = [bytes(19 << 20)] * 5
    record = {**RECORD, "pictures": list("abcde")}
    assert "unpacks to over" in refusal(made(record, several, kind=zipfile.ZIP_DEFLATED))


def test_an_entry_that_says_less_than_it_unpacks_to_is_refused():
    content = bytearray(made(pictures=(bytes(19 << 20),), kind=zipfile.ZIP_DEFLATED))
    size = struct.pack("<L", 19 << 20)
    while (at := content.find(size)) >= 0:
        content[at : at + 4] = struct.pack("<L", 1000)
    assert "damaged" in refusal(bytes(content))


def test_a_bomb_of_pixels_is_refused_by_its_header():
    def chunk(kind, data):
        check = zlib.crc32(kind + data)
        return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", check)

    head = chunk(b"IHDR", struct.pack(">2L5B", 60_000, 60_000, 8, 2, 0, 0, 0))
    png = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000)))
    assert "scale it below" in refusal(made(pictures=(png + chunk(b"IEND", b""),)))


def test_many_entries_are_refused_before_the_table_of_contents_is_read():
    many = zipped([(f"pictures/{n}.png", b"") for n in range(20_000)])
    assert "more entries than a project" in refusal(many)
    lied = bytearray(many)  # the end says that there are two, but is as long
    lied[-14:-10] = struct.pack("<2H", 2, 2)
    assert "more entries than a project" in refusal(bytes(lied))
    long = zipped([(f"pictures/{n}.png", b"") for n in range(66_000)])
    assert "damaged, or no project" in refusal(long)  # zip64


def test_cut_and_foreign_files_are_refused():
    content = made()
    for end in (0, 3, 10, len(content) // 2, len(content) - 1, len(content) - 22):
        assert refusal(content[:end])
    assert "no project" in refusal(b"\x89PNG" + bytes(100))
    assert "damaged" in refusal(content + b"more")
    assert "no project.json" in refusal(zipped([("pictures/0.png", PNG)]))
    assert "over 40 MB" in refusal(bytes(MAX_PROJECT_BYTES + 1))
    for at in range(0, len(content), 37):  # a flipped byte anywhere is seen, or does no harm
        changed = content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :]
        with suppress(SavedFileError):
            assert set(read_project(changed, "a", 64).pictures) == {"a.png"}


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ("", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "project.json of mine"),
        ({**RECORD, "choices": {"layer": "x"}}, "choices.layer"),
        ({**RECORD, "choices": {str(n): ["x"] for n in range(65)}}, "choices"),
        ({**RECORD, "choices": {"off": ["x" * 20_001]}}, "choices.off"),
        ({**RECORD, "choices": {"off": ["x"] * 33}}, "choices.off"),
        ({**RECORD, "schema": 2}, "schema must be 1"),
        ({**RECORD, "more": 1}, "more is not an option"),
        ({**RECORD, "pictures": ["a", "b"]}, "names 2 pictures, but holds 1"),
        ({**RECORD, "pictures": []}, "names 0 pictures, but holds 1"),
        ({**RECORD, "pictures": ["a"] * 9}, "pictures"),
        ({**RECORD, "network": "x" * 201}, "network"),
        ({"network": "demo"}, "is missing"),
    ],
)
def test_other_records_are_refused(record, says):
    assert says in refusal(made(record))


def test_a_picture_that_is_none_is_refused_with_its_reason():
    assert "cannot be read: a.png is not a PNG" in refusal(made(pictures=(b"<svg/>",)))
    twice = {**RECORD, "pictures": ["a.png", "a.png"]}
    assert "it is damaged" in refusal(made(twice, (to_png(NOISE),) * 2))
