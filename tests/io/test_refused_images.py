"""Files that are refused in one sentence, and none that fills the memory or takes long."""

import contextlib
import io
import json
import os
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile
from PIL.PngImagePlugin import PngImageFile

from deconvviz.errors import PictureError
from deconvviz.io.images import (
    MAX_BYTES,
    open_picture,
    photograph,
)
from tests.io.picture_files import (
    DEEP,
    FORMATS,
    NOISE,
    RAMPS,
    WIDTH,
    chunk,
    encode,
    pixels,
    plain_tiff,
    png,
    refusal,
    tiff,
    written,
)


@pytest.mark.parametrize(
    "data",
    [
        b"BMW is a car maker, and this is a text.",
        b"<!doctype html><script>alert(1)</script>",
        b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
        b"%PDF-1.7\n",
        b"RIFF\x24\0\0\0WAVEfmt ",
        bytes(1000),
        encode(RAMPS, "ICO"),
    ],
)
def test_other_formats_are_refused_whatever_the_name(data):
    sentence = refusal(data, "cat.png")
    assert sentence.startswith("cat.png")
    assert "PNG" in sentence


def test_an_empty_file_is_said_to_be_empty():
    assert "is empty" in refusal(b"", "cat.png")


@pytest.mark.parametrize("brand", [b"heic", b"avif"])
def test_heic_and_avif_are_refused_with_what_to_do(brand):
    sentence = refusal(b"\0\0\0\x18ftyp" + brand + bytes(40), "IMG_1.HEIC")
    assert "export it as JPEG or PNG" in sentence
    assert "pillow-heif" in sentence


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_cut_short_is_refused_or_had_all_its_pixels(kind):
    whole = encode(NOISE, kind)
    expected = pixels(whole)
    for length in range(len(whole)):
        try:
            shown = pixels(whole[:length])
        except PictureError:
            continue
        assert length > 0.8 * len(whole)
        assert np.array_equal(shown, expected)
    assert "cut short" in refusal(whole[: len(whole) // 2])


def test_progressive_jpeg_cut_short_is_refused():
    whole = encode(photograph("cat").image.resize((160, 120)), "JPEG", progressive=True)
    for share in (0.2, 0.5, 0.8, 0.95):
        assert "JPEG" in refusal(whole[: int(share * len(whole))])


def test_a_header_without_pixels_is_refused():
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 2, 0, 0, 0))
    assert "damaged" in refusal(b"\x89PNG\r\n\x1a\n" + head)
    assert "damaged" in refusal(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IEND", b""))


@pytest.mark.parametrize("size", [(1, 1), (7, 8), (8, 161), (161, 8)])
def test_specks_and_strips_are_refused(size):
    assert f"{size[0]} x {size[1]} pixels" in refusal(encode(Image.new("RGB", size)))


@pytest.mark.parametrize("size", [(8, 8), (8, 160), (160, 8)])
def test_the_smallest_and_longest_that_are_allowed_open(size):
    assert open_picture(encode(Image.new("RGB", size))).image.size == size


CHILD = """
import json, resource, sys, time
from pathlib import Path
from deconvviz.errors import PictureError
from deconvviz.io.images import open_picture

peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
report = {}
for path in sorted(Path(sys.argv[1]).iterdir()):
    before, start = peak(), time.process_time()
    try:
        open_picture(path)
    except PictureError as error:
        report[path.name] = str(error), time.process_time() - start, peak() - before
print(json.dumps(report))
"""


def bombs() -> dict[str, bytes]:
    wide = 50_000
    canvas = struct.pack("<I", 16_000 - 1)[:3]
    webp = b"WEBPVP8X" + struct.pack("<II", 10, 0) + canvas + canvas
    webp += encode(RAMPS, "WEBP")[12:]
    jpeg = bytearray(encode(RAMPS, "JPEG"))
    frame = jpeg.index(b"\xff\xc0") + 5
    jpeg[frame : frame + 4] = struct.pack(">HH", wide, wide)
    bmp = bytearray(encode(RAMPS, "BMP"))
    bmp[18:26] = struct.pack("<II", wide, wide)
    gif = bytearray(encode(RAMPS, "GIF"))
    gif[6:10] = struct.pack("<HH", wide, wide)
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(100_000_000), 9))
    row = b"\0" * 18
    tile = zlib.compress(bytes(10_000 * 10_000))
    return {
        "header.png": png(wide, wide, 8, 2, b""),
        "header.jpg": bytes(jpeg),
        "header.bmp": bytes(bmp),
        "header.gif": bytes(gif),
        "header.webp": b"RIFF" + struct.pack("<I", len(webp)) + webp,
        "header.tif": plain_tiff(wide, wide, 8, bytes(64)),
        "pixels.png": png(8900, 8900, 8, 0, bytes(8901 * 8900)),
        "text.png": png(17, 17, 8, 0, row * 17, before=text),
        "tile.tif": tiff(
            {256: 16, 257: 16, 258: 8, 259: 8, 262: 1, 277: 1}
            | {322: 10_000, 323: 10_000, 324: 8, 325: len(tile)},
            tile,
        ),
    }


def test_bombs_are_refused_at_once_and_without_filling_the_memory(tmp_path):
    """In a process of its own, whose peak of memory no earlier test has raised."""
    files = bombs()
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    with (tmp_path / "long.png").open("wb") as stream:  # a text chunk of 100 MB, sparse on disk
        stream.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes(13)) + b"\x05\xf5\xe1\x00tEXt")
        stream.truncate(100_000_000)
    assert len(files["pixels.png"]) < 300_000
    command = [sys.executable, "-W", "error", "-c", CHILD, str(tmp_path)]
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    output = subprocess.run(command, env=environment, capture_output=True, check=True, text=True)
    report = json.loads(output.stdout)
    assert report.keys() == files.keys() | {"long.png"}
    for name, (_, seconds, megabytes) in report.items():
        assert seconds < 1, name
        assert megabytes < 64, name
    for name in ("header.png", "header.jpg", "header.bmp", "header.gif", "header.tif"):
        assert "50000 x 50000 pixels" in report[name][0]
    assert "8900 x 8900 pixels" in report["pixels.png"][0]
    assert "tiles of 10000 x 10000 pixels" in report["tile.tif"][0]
    assert "over 20 MB" in report["long.png"][0]


def test_the_limit_of_bytes_is_exact():
    data = encode(NOISE)
    assert open_picture(data.ljust(MAX_BYTES, b"\0")).image.width == WIDTH
    for source in (data.ljust(MAX_BYTES + 1, b"\0"), io.BytesIO(data.ljust(MAX_BYTES + 1, b"\0"))):
        assert "over 20 MB" in refusal(source)


@pytest.mark.parametrize(
    "error",
    [SyntaxError, MemoryError, RecursionError, zlib.error, Image.DecompressionBombWarning],
)
def test_whatever_a_decoder_raises_becomes_one_sentence(monkeypatch, error):
    def load(self):
        raise error

    monkeypatch.setattr(PngImageFile, "load", load)
    assert refusal(encode(NOISE), "cat.png").startswith("cat.png cannot be read as PNG")


def small_files() -> list[bytes]:
    images = [Image.fromarray(RAMPS).convert(mode) for mode in ("RGB", "L", "P", "1", "RGBA")]
    frames = {"save_all": True, "append_images": images[:1]}
    files = [encode(images[0], kind) for kind in FORMATS]
    files += [encode(image, kind) for image in images[1:] for kind in ("PNG", "TIFF", "GIF")]
    files += [encode(images[0], kind, **frames) for kind in ("PNG", "GIF", "WEBP", "TIFF")]
    files += [encode(images[0], "TIFF", compression=c) for c in ("tiff_lzw", "jpeg", "packbits")]
    files += [encode(images[0], "JPEG", exif=Image.Exif(), progressive=True)]
    files += [written(DEEP), written(DEEP.astype(np.float32)), encode(DEEP)]
    return files


SMALL_FILES = small_files()


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_any_damage_gives_a_picture_or_a_refusal(data):
    file = bytearray(data.draw(st.sampled_from(SMALL_FILES)))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(file)))
        # Most of what a parser trusts stands near the beginning or the end.
        at = data.draw(st.sampled_from([at, min(at, 64), max(0, len(file) - at % 64)]))
        new = data.draw(st.binary(max_size=4))
        file[at : at + data.draw(st.sampled_from([0, len(new), len(file)]))] = new
    try:
        picture = open_picture(bytes(file))
    except PictureError:
        return
    assert picture.image.mode == "RGB"
    assert len(picture.image.tobytes()) == 3 * picture.image.width * picture.image.height


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([file[:12] for file in SMALL_FILES]), st.binary(max_size=200))
def test_any_bytes_after_a_signature_give_a_picture_or_a_refusal(signature, rest):
    with contextlib.suppress(PictureError):
        open_picture(signature + rest)


def test_nothing_global_is_changed():
    def state() -> tuple[object, ...]:
        limits = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, ImageFile.MAXBLOCK
        return *limits, list(warnings.filters), dict(Image.OPEN)

    before = state()
    for file in SMALL_FILES:
        open_picture(file)
        refusal(file[: len(file) // 3])
    assert state() == before
