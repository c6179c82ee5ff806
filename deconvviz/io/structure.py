"""The structure of picture files, walked before a decoder sees them.

Decoders take time by what a file declares, such as segments, scans, chunks and strips, and not by
its bytes and pixels alone. Limits are far above those of cameras and editors.
"""

import re
import struct

from deconvviz.errors import PictureError

_MOST_SEGMENTS = 5000  # of a JPEG; photographs have some dozens
_MOST_SCANS = 40  # of a JPEG; progressive ones have about ten
_MOST_CHUNKS = 20_000  # of a PNG; editors write one for each 8 kB or more
_MOST_BLOCKS = 300_000  # of a GIF; one for each 255 bytes
_MOST_EXTENSIONS = 1000  # of a GIF before one of its pictures
_MOST_STRIPS = 100_000  # of a TIFF; one for each row at most
_MOST_TAGS = 4096  # of a TIFF
_LARGEST_RLE = 2**20  # bytes of a run-length coded BMP, which Pillow decodes in Python

_FILL = re.compile(rb"\xff+")
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_SOS, _EOI = 0xDA, 0xD9
_KEPT = (*range(0xC0, 0xE0), 0xE0, 0xEE)  # tables, frames, JFIF, Adobe's colour transform
_EXIF = b"Exif\0\0"
_APP2, _ICC = 0xE2, b"ICC_PROFILE\0"
_TYPE_BYTES = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8)


def checked(data: bytes, kind: str, name: str) -> bytes:
    """A file as its decoder is given it.

    Args:
        data: The file.
        kind: Its format, as Pillow names it.
        name: Its name, for messages.

    Returns:
        The file; of a JPEG, its first picture, with no other metadata than the first Exif segment.

    Raises:
        PictureError: It has more parts than pictures have.
    """
    if kind == "JPEG":
        return _lean_jpeg(data, name)
    if kind == "PNG":
        _check_png(data, name)
    elif kind == "GIF":
        _check_gif(data, name)
    elif kind == "TIFF":
        _check_tiff(data, name)
    elif kind == "BMP" and len(data) > _LARGEST_RLE and data[30:31] in (b"\1", b"\2"):
        raise _too_many(name, f"over {_LARGEST_RLE >> 20} MB of run-length coded rows")
    return data


def is_progressive(data: bytes) -> bool:
    """Whether a JPEG that `checked` returned has more than one scan, thumbnails aside."""
    place = 2
    while data[place : place + 1] == b"\xff" and data[place + 1] != _SOS:
        place += 2 + int.from_bytes(data[place + 2 : place + 4])
    return len(re.findall(rb"\xff\xda", data[place:])) > 1


def jpeg_profile(data: bytes) -> bytes:
    """The ICC profile of a JPEG, which `checked` leaves out; empty if it has none that is whole.

    ICC.1:2022, annex B.4: segments with a number, the number of all, and a part of the profile.
    """
    parts: dict[int, bytes] = {}
    total, place = 0, 2
    for _ in range(_MOST_SEGMENTS):
        fill = _FILL.match(data, place)
        if not fill or data[fill.end() : fill.end() + 1] in (b"", b"\xda"):
            break
        start = fill.end() + 1
        end = start + max(2, int.from_bytes(data[start : start + 2]))
        if data[start - 1] == _APP2 and data.startswith(_ICC, start + 2):
            number, total = data[start + 14 : start + 16].ljust(2, b"\0")
            parts[number] = data[start + 16 : end]
        place = end
    whole = parts.keys() == set(range(1, total + 1))
    return b"".join(parts[number] for number in sorted(parts)) if whole else b""


def _lean_jpeg(data: bytes, name: str) -> bytes:
    parts, place, exif = [data[:2]], 2, False
    for _ in range(_MOST_SEGMENTS):
        fill = _FILL.match(data, place)
        if not fill or fill.end() + 3 > len(data):
            return data[: place + 8]  # cut or damaged: the decoder says so
        marker, start = data[fill.end()], fill.end() - 1
        if marker == 0:
            place = start + 2
            continue
        end = start + 2
        if not (0xD0 <= marker <= 0xD9 or marker == 1):  # those have no content
            end += int.from_bytes(data[start + 2 : start + 4])
        if marker == _SOS:
            return b"".join([*parts, _scans(data, start, name)])
        is_exif = marker == 0xE1 and data.startswith(_EXIF, start + 4)
        if marker in _KEPT or (is_exif and not exif):
            parts.append(data[start:end])
            exif = exif or is_exif
        place = end
    raise _too_many(name, f"over {_MOST_SEGMENTS} segments")


def _scans(data: bytes, start: int, name: str) -> bytes:
    """All scans, from the first, to the end of the first picture."""
    scans = segments = 0
    place, end = start, len(data)
    while found := _MARKER.search(data, place):
        marker, place = data[found.start() + 1], found.end()
        if marker == _EOI:
            end = place
            break
        scans += marker == _SOS
        segments += 1
        if scans > _MOST_SCANS:
            raise _too_many(name, f"over {_MOST_SCANS} scans")
        if segments > _MOST_SEGMENTS:
            raise _too_many(name, f"over {_MOST_SEGMENTS} segments")
        if 0xC0 <= marker <= 0xFE:
            place += int.from_bytes(data[place : place + 2])
    return data[start:end]


def _check_png(data: bytes, name: str) -> None:
    place = 8
    for _ in range(_MOST_CHUNKS):
        if place >= len(data) or data[place + 4 : place + 8] == b"IEND":
            return
        place += 12 + int.from_bytes(data[place : place + 4])
    raise _too_many(name, f"over {_MOST_CHUNKS} chunks")


def _check_gif(data: bytes, name: str) -> None:
    """Walk to the second picture, as the decoder does."""
    flags = data[10] if len(data) > 10 else 0
    place = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    blocks = extensions = pictures = 0
    while place < len(data) - 1 and pictures < 2:
        kind = data[place]
        if kind == 0x21:
            extensions, place = extensions + 1, place + 2
        elif kind == 0x2C:
            pictures, extensions = pictures + 1, 0
            flags = data[place + 9] if place + 9 < len(data) else 0
            place += 11 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
        else:
            place, extensions = place + 1, extensions + 1  # the end, or bytes that are skipped
            if kind == 0x3B:
                return
            if extensions > _MOST_EXTENSIONS:
                raise _too_many(name, f"over {_MOST_EXTENSIONS} extensions")
            continue
        while place < len(data) and (length := data[place]):
            place, blocks = place + 1 + length, blocks + 1
            if blocks > _MOST_BLOCKS:
                raise _too_many(name, f"over {_MOST_BLOCKS} blocks")
        place += 1
        if extensions > _MOST_EXTENSIONS:
            raise _too_many(name, f"over {_MOST_EXTENSIONS} extensions")


def _check_tiff(data: bytes, name: str) -> None:
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:3] == b"+" or data[3:4] == b"+"
    first, head, entry = ("Q", "Q", "HHQ") if big else ("I", "H", "HHI")
    try:
        (place,) = struct.unpack_from(order + first, data, 8 if big else 4)
        (count,) = struct.unpack_from(order + head, data, place)
        if count > _MOST_TAGS:
            raise _too_many(name, f"{count} tags")
        place += struct.calcsize(order + head)
        size, total = struct.calcsize(order + entry) + (8 if big else 4), 0
        for number in range(count):
            tag, kind, length = struct.unpack_from(order + entry, data, place + number * size)
            total += length * (_TYPE_BYTES[kind] if kind < len(_TYPE_BYTES) else 0)
            if tag in (273, 279, 324, 325) and length > _MOST_STRIPS:
                raise _too_many(name, f"{length} strips")
    except struct.error:
        return  # cut: the decoder says so
    if total > len(data):
        raise _too_many(name, "more metadata than bytes")


def _too_many(name: str, parts: str) -> PictureError:
    return PictureError(
        f"{name} has {parts}, which no camera or editor writes; open it in an image editor and "
        "save it as PNG or JPEG"
    )
