"""Files that are small and cost a decoder much: refused by their parts, or bounded."""

import io
import struct
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deconvviz.errors import PictureError
from deconvviz.io.images import open_picture
from tests.io.picture_files import chunk, encode

FULL = 19 * 2**20  # bytes, just below the limit of a file


def picture(width=64, height=64, mode="RGB"):
    shades = np.random.default_rng(0).integers(0, 255, (15, 20, 3), dtype=np.uint8)
    return Image.fromarray(shades).resize((width, height)).convert(mode)


def jpeg(**options):
    return encode(picture(), "JPEG", **options)


def with_segments(segment, size=FULL):
    content = jpeg()
    return content[:2] + segment * (size // len(segment)) + content[2:]


def with_scans(count, side=64):
    content = encode(Image.new("RGB", (side, side)), "JPEG", progressive=True)
    start = content.rindex(b"\xff\xda")
    return content[:-2] + content[start:-2] * count + content[-2:]


def with_strips(count=2_400_000):
    values = {256: 64, 257: 64, 258: 8, 259: 1, 262: 1, 273: count, 277: 1, 278: 1, 279: count}
    start = 8 + 2 + 12 * len(values) + 4
    places = {273: start, 279: start + 4 * count}
    entries = [
        struct.pack("<HHII", tag, 4, value, places[tag])
        if tag in places
        else struct.pack("<HHII", tag, 4, 1, value)
        for tag, value in values.items()
    ]
    lists = struct.pack("<I", 8) * count + struct.pack("<I", 64) * count
    head = b"II*\0" + struct.pack("<IH", 8, len(values))
    return head + b"".join(entries) + bytes(4) + lists + bytes(4096)


def with_tags(count, length):
    entries = b"".join(struct.pack("<HHII", 400 + n, 1, length, 8) for n in range(count))
    return b"II*\0" + struct.pack("<IH", 8, count) + entries + bytes(4) + bytes(2**20)


def with_chunks(content):
    whole = encode(picture(), "PNG")
    text = chunk(b"tEXt", content)
    return whole[:33] + text * (FULL // len(text)) + whole[33:]


def with_extensions():
    whole = encode(picture(mode="P"), "GIF")
    place = 13 + 3 * 256
    extension = b"\x21\xfe\x01a\x00"
    return whole[:place] + extension * (FULL // len(extension)) + whole[place:]


def animated_webp():
    """Two frames of 16 pixels on a canvas of 7000, in 204 bytes."""

    def part(kind, content):
        return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)

    def three(number):
        return struct.pack("<I", number)[:3]

    frame = encode(Image.new("RGB", (16, 16)), "WEBP", lossless=True)[12:]
    place = three(0) * 2 + three(15) * 2 + three(100) + b"\0"
    parts = part(b"VP8X", bytes([2, 0, 0, 0]) + three(6999) * 2) + part(b"ANIM", bytes(6))
    parts += part(b"ANMF", place + frame) * 2
    return b"RIFF" + struct.pack("<I", len(parts) + 4) + b"WEBP" + parts


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: with_segments(b"\xff\xe1\x00\x10Exif\0\0xxxxxxxx", 2 << 20), "5000 segments"),
        (lambda: with_segments(b"\xff\xe1\x00\x10Exif\0\0xxxxxxxx"), "5000 segments"),
        (lambda: with_segments(b"\xff\xfe\x00\x02"), "5000 segments"),
        (lambda: with_segments(b"\xff\xe2\x00\x10ICC_PROFILE\0\1\1"), "5000 segments"),
        (lambda: with_scans(1500), "40 scans"),
        (lambda: with_scans(30, 7000), "scale it below 24 megapixels"),
        (with_strips, "2400000 strips"),
        (lambda: with_tags(60_000, 1), "60000 tags"),
        (lambda: with_tags(4000, 2**20), "more metadata than bytes"),
        (lambda: with_chunks(b""), "20000 chunks"),
        (lambda: with_chunks(b"a\0b"), "20000 chunks"),
        (with_extensions, "1000 extensions"),
        (animated_webp, "scale it below 16 megapixels"),
        (lambda: encode(Image.new("RGBA", (7000, 7000)), "PNG"), "scale it below 24 megapixels"),
        (lambda: encode(Image.new("P", (7000, 7000)), "GIF"), "scale it below 24 megapixels"),
    ],
)
def test_more_parts_than_pictures_have_are_refused_at_once(make: Callable[[], bytes], says):
    content = make()
    assert len(content) <= 20 * 2**20
    started = time.process_time()
    with pytest.raises(PictureError, match=says):
        open_picture(content)
    assert time.process_time() - started < 3


def in_memory(what: str) -> float:
    """MB of this process, as Linux counts them."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        lambda: with_segments(b"\xff"),
        lambda: with_scans(29, 4800),
        lambda: encode(Image.new("RGBA", (4800, 4990)), "PNG"),
        lambda: encode(Image.new("P", (4800, 4990)), "GIF"),
        lambda: encode(Image.new("RGBA", (3990, 4000)), "WEBP", lossless=True),
        lambda: encode(Image.new("RGB", (4800, 4990)), "TIFF", compression="tiff_lzw"),
        lambda: encode(Image.new("I;16", (4800, 4990)), "TIFF", compression="tiff_lzw"),
        lambda: encode(Image.new("F", (4800, 4990)), "TIFF", compression="tiff_lzw"),
        lambda: encode(picture(4800, 4984), "JPEG", progressive=True, quality=93),
        lambda: encode(Image.new("CMYK", (7000, 7000)), "JPEG"),
    ],
)
def test_the_most_expensive_that_open_cost_3_seconds_and_400_mb(make):
    content = make()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again
    before, started = in_memory("VmRSS"), time.process_time()
    open_picture(content)
    assert time.process_time() - started < 3
    assert in_memory("VmHWM") - before < 400


def test_a_phones_jpeg_of_48_megapixels_opens_upright_at_half_its_size():
    thumbnail = jpeg()
    exif = Image.Exif()
    exif[274] = 6
    data = encode(picture(8000, 6000), "JPEG", quality=80, exif=exif)
    gain_map = (
        b"\xff\xe2\x00\x08MPF\0\0\0" * 20
        + b"\xff\xe1"
        + struct.pack(">H", len(thumbnail) + 2 + 29)
        + b"http://ns.adobe.com/xap/1.0/\0"
        + thumbnail
    )
    opened = open_picture(data[:2] + gain_map + data[2:] + thumbnail)
    assert opened.image.size == (3000, 4000)
    assert "decoded at half its size" in opened.notices
    whole = picture(8000, 6000).resize((4000, 3000), Image.Resampling.BOX).rotate(270, expand=True)
    assert np.abs(np.asarray(opened.image, int) - np.asarray(whole, int)).mean() < 3


def test_a_thumbnail_in_exif_is_no_second_scan():
    segment = b"Exif\0\0" + jpeg()
    segment = b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment
    content = encode(picture(6000, 5000), "JPEG", quality=60)
    assert open_picture(content[:2] + segment + content[2:]).image.size == (3000, 2500)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"icc_profile": b"x" * 99_999}])
def test_what_is_dropped_changes_no_pixel(options):
    content = jpeg(**options)
    with Image.open(io.BytesIO(content)) as plain:
        assert np.array_equal(np.asarray(plain), np.asarray(open_picture(content).image))
