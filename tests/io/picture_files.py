"""Files of pictures, as Pillow or tifffile writes them or by hand, and what is made of them."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from deconvviz.errors import PictureError
from deconvviz.io.images import open_picture

HEIGHT, WIDTH = 12, 17
NOISE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
RAMPS = np.stack(
    [
        np.broadcast_to(np.linspace(0, 255, WIDTH), (HEIGHT, WIDTH)),
        np.broadcast_to(np.linspace(0, 255, HEIGHT)[:, None], (HEIGHT, WIDTH)),
        np.full((HEIGHT, WIDTH), 100),
    ],
    axis=2,
).astype(np.uint8)
# Every integer of 16 bit that matters: the ends, and the neighbours of a step of 8 bit.
DEEP = np.resize(np.r_[0:65536:257, 127:65536:1285, 128:65536:1285], (30, 17)).astype(np.uint16)
LOSSLESS = ("PNG", "WEBP", "BMP", "TIFF")
FORMATS = (*LOSSLESS, "JPEG", "GIF")


def encode(image: Image.Image | np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    if kind == "WEBP":
        options = {"lossless": True, "exact": True} | options
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def refusal(source: object, name: str | None = None) -> str:
    """The sentence with which a file is refused; one line, of bearable length."""
    with pytest.raises(PictureError) as caught:
        open_picture(source, name)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert 20 < len(sentence) < 250
    return sentence


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def png(width: int, height: int, bits: int, colour: int, rows: bytes, before: bytes = b"") -> bytes:
    """A PNG file written by hand; rows with their filter bytes, `before` ahead of them."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + head + before + body


def tiff(tags: dict[int, int | tuple[int, ...]], data: bytes) -> bytes:
    """A little-endian TIFF file written by hand: tags of type LONG, data at offset 8."""
    start = 8 + len(data)
    end = start + 2 + 12 * len(tags) + 4
    entries, outside = b"", b""
    for tag, value in sorted(tags.items()):
        values = value if isinstance(value, tuple) else (value,)
        packed = struct.pack(f"<{len(values)}I", *values)
        if len(packed) > 4:
            outside, packed = outside + packed, struct.pack("<I", end + len(outside))
        entries += struct.pack("<HHI", tag, 4, len(values)) + packed
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", start) + data + directory + outside


def plain_tiff(width: int, height: int, bits: int, data: bytes, **more: int) -> bytes:
    names = {"compression": 259, "photometric": 262, "tile_width": 322, "tile_length": 323}
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: 1, 277: 1, 278: height}
    tags |= {273: 8, 279: len(data)} | {names[name]: value for name, value in more.items()}
    return tiff(tags, data)


def written(array: np.ndarray, **options: object) -> bytes:
    """A TIFF file by tifffile, which shares no code with Pillow."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **options)
    return stream.getvalue()


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(open_picture(data).image)
