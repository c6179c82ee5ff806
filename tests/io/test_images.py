"""Any file opens correctly or is refused in one sentence."""

import contextlib
import io
import json
import os
import socket
import struct
import subprocess
import sys
import unicodedata
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import tifffile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile
from PIL.PngImagePlugin import PngImageFile, PngInfo
from skimage.color import lab2rgb

from deconvviz.errors import PictureError
from deconvviz.io.images import (
    MAX_BYTES,
    PHOTOGRAPHS,
    limit_side,
    open_picture,
    photograph,
    to_png,
    to_tensor,
)

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


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(open_picture(data).image)


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


# --- what opens ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_formats_keep_every_pixel(kind):
    picture = open_picture(encode(NOISE, kind))
    assert np.array_equal(np.asarray(picture.image), NOISE)
    assert (picture.image.mode, *picture.image.size) == ("RGB", WIDTH, HEIGHT)
    assert picture.notices == ()


@pytest.mark.parametrize("kind", ["JPEG", "GIF"])
def test_lossy_formats_stay_close(kind):
    assert np.abs(pixels(encode(RAMPS, kind)).astype(int) - RAMPS).mean() < 12


def test_the_format_follows_from_the_bytes_not_from_the_name():
    assert np.array_equal(np.asarray(open_picture(encode(NOISE), "a.jpg").image), NOISE)


@pytest.mark.parametrize(
    ("kind", "orientation"),
    [*(("PNG", orientation) for orientation in range(1, 9)), ("WEBP", 6), ("TIFF", 6), ("JPEG", 6)],
)
def test_exif_orientation_is_applied(kind, orientation):
    upright = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: lambda a: np.rot90(a, 1),
    }[orientation]
    exif = Image.Exif()
    exif[274] = orientation
    stored = np.repeat(np.repeat(RAMPS, 8, axis=0), 8, axis=1)  # whole JPEG blocks
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    shown = pixels(encode(stored, kind, exif=exif, **options))
    assert shown.shape == upright(stored).shape
    assert np.abs(shown.astype(int) - upright(stored)).max() <= (4 if kind == "JPEG" else 0)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_unreadable_exif_leaves_the_picture_as_stored(kind):
    picture = open_picture(encode(NOISE, kind, exif=b"Exif\0\0" + bytes(30)))
    assert np.array_equal(np.asarray(picture.image), NOISE)
    assert "orientation" in picture.notices[0]


def test_no_metadata_survives():
    exif = Image.Exif()
    exif[0x010E] = "at home"
    info = PngInfo()
    info.add_text("place", "at home")
    data = encode(NOISE, exif=exif, pnginfo=info, icc_profile=b"at home")
    assert b"at home" in data
    picture = open_picture(data)
    assert picture.image.info == {}
    assert not picture.image.getexif()
    assert to_png(picture.image) == to_png(NOISE)


def test_16_bit_grey_is_scaled_from_its_full_range():
    expected = np.floor(DEEP / 257 + 0.5)
    for data in (
        encode(DEEP),
        encode(DEEP, "TIFF"),
        *(written(DEEP, byteorder=order) for order in "<>"),
    ):
        picture = open_picture(data)
        assert picture.notices == ("16 bit values scaled to 8 bit",)
        for channel in np.asarray(picture.image).transpose(2, 0, 1):
            assert np.array_equal(channel, expected)


def written(array: np.ndarray, **options: object) -> bytes:
    """A TIFF file by tifffile, which shares no code with Pillow."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **options)
    return stream.getvalue()


def test_16_bit_colour_keeps_its_full_range():
    deep = np.stack([DEEP, DEEP[::-1], DEEP[:, ::-1]], axis=2)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)
    for data in (png(17, 30, 16, 2, rows), written(deep, photometric="rgb")):
        picture = open_picture(data)
        assert np.abs(np.asarray(picture.image) - deep / 257).max() < 1
        assert picture.notices == ("16 bit values scaled to 8 bit",)


def test_12_bit_grey_is_scaled_from_its_full_range():
    values = [0, 4095] * 8  # two values in three bytes
    row = b"".join(bytes((a >> 4, (a & 15) << 4 | b >> 8, b & 255)) for a, b in [values[:2]] * 8)
    shown = pixels(plain_tiff(16, 16, 12, row * 16))
    assert np.array_equal(shown[..., 0], [[0, 255] * 8] * 16)


def test_16_bit_white_is_zero_is_not_shown_as_a_negative():
    shown = pixels(plain_tiff(17, 30, 16, DEEP.tobytes(), photometric=0))
    assert np.abs(shown[..., 0] - (255 - DEEP / 257)).max() < 1


@pytest.mark.parametrize("dtype", ["float32", "uint32", "int32", "int16"])
def test_values_of_unstated_range_are_scaled_from_smallest_to_largest(dtype):
    low, high = {"float32": (-3.5, 3e38), "uint32": (7, 2**32 - 1)}.get(dtype, (-3000, 30000))
    values = np.linspace(low, high, 20 * 21).reshape(20, 21).astype(dtype)
    picture = open_picture(written(values))
    expected = (values.astype(np.float64) - low) / (float(high) - low) * 255
    assert np.abs(np.asarray(picture.image)[..., 1] - expected).max() <= 0.51
    assert "smallest" in picture.notices[0]


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_values_that_are_not_finite_are_refused(value):
    values = np.zeros((9, 9), dtype=np.float32)
    values[4, 4] = value
    assert "not finite" in refusal(written(values))


def test_constant_pictures_open():
    assert (pixels(encode(np.full((9, 9, 3), 90, dtype=np.uint8))) == 90).all()
    assert np.ptp(pixels(written(np.full((9, 9), 90, dtype=np.float32)))) == 0


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "1"), ("PNG", "P"), ("TIFF", "L")])
def test_few_colours_become_rgb(kind, mode):
    image = Image.fromarray(RAMPS).convert(mode)
    expected = np.asarray(image.convert("RGB"))
    assert np.array_equal(pixels(encode(image, kind)), expected)


def test_cmyk_becomes_rgb():
    ink = np.zeros((9, 9, 4), dtype=np.uint8)
    ink[..., 0], ink[:4, :, 3] = 255, 128  # cyan, the upper part darkened with half black
    image = Image.frombytes("CMYK", (9, 9), ink.tobytes())
    assert np.array_equal(pixels(encode(image, "TIFF"))[[0, 8], 0], [[0, 127, 127], [0, 255, 255]])
    lossy = pixels(encode(image, "JPEG", quality=100))[[0, 8], 0]
    assert np.abs(lossy.astype(int) - [[0, 127, 127], [0, 255, 255]]).max() < 6


def test_lab_becomes_rgb():
    lab = np.zeros((9, 9, 3))
    lab[..., 0], lab[..., 1], lab[..., 2] = 150, np.arange(9) * 4, (np.arange(9)[:, None] - 4) * 4
    data = lab.astype(np.int16).astype(np.uint8).tobytes()  # a and b signed
    tags = {256: 9, 257: 9, 258: (8, 8, 8), 259: 1, 262: 8, 273: 8, 277: 3, 278: 9, 279: len(data)}
    expected = lab2rgb(lab * [100 / 255, 1, 1]) * 255
    shown = pixels(tiff(tags, data))
    # skimage's white point is D65, the file's D50: alike for greys, some levels apart for colours.
    assert np.abs(shown[4, 0] - expected[4, 0]).max() < 2
    assert np.abs(shown - expected).max() < 12


@pytest.mark.parametrize(
    ("kind", "mode"), [("PNG", "RGBA"), ("PNG", "LA"), ("TIFF", "LA"), ("WEBP", "RGBA")]
)
def test_transparent_parts_are_shown_on_white(kind, mode):
    alpha = np.broadcast_to(np.linspace(0, 255, WIDTH), (HEIGHT, WIDTH)).astype(np.uint8)
    image = Image.fromarray(NOISE).convert(mode)
    image.putalpha(Image.fromarray(alpha))
    colours = np.asarray(Image.fromarray(NOISE).convert(mode[:-1]).convert("RGB"))
    opacity = alpha[..., None] / 255
    picture = open_picture(encode(image, kind))
    assert np.abs(np.asarray(picture.image) - (colours * opacity + 255 * (1 - opacity))).max() <= 1
    assert picture.notices == ("transparent parts shown on white",)


def test_opaque_alpha_is_no_matter():
    picture = open_picture(encode(Image.fromarray(NOISE).convert("RGBA")))
    assert np.array_equal(np.asarray(picture.image), NOISE)
    assert picture.notices == ()


def test_premultiplied_grey_is_shown_on_white():
    data = bytes([100, 128] * 81)  # grey 199 of half opacity, stored as 100
    tags = {256: 9, 257: 9, 258: (8, 8), 259: 1, 262: 1, 273: 8, 277: 2, 278: 9, 279: 162, 338: 1}
    assert np.abs(pixels(tiff(tags, data)).astype(int) - (100 + 127)).max() <= 1


@pytest.mark.parametrize(
    ("kind", "transparency"), [("PNG", 0), ("PNG", bytes([0, 255])), ("GIF", 0)]
)
def test_transparent_palette_entries_are_white(kind, transparency):
    image = Image.fromarray(np.tile(np.array([[0, 1]], dtype=np.uint8), (9, 5)), "P")
    image.putpalette([200, 0, 0, 0, 0, 200])
    shown = pixels(encode(image, kind, transparency=transparency))
    assert (shown[:, ::2] == 255).all()
    assert (shown[:, 1::2] == [0, 0, 200]).all()


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animations_show_their_first_frame(kind):
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "lime", "blue")]
    picture = open_picture(encode(frames[0], kind, save_all=True, append_images=frames[1:]))
    assert (np.asarray(picture.image) == [255, 0, 0]).all()
    assert "first frame" in picture.notices[0]


def test_a_photograph_of_12_megapixels_opens():
    image = photograph("cat").image.resize((4000, 3000))
    assert open_picture(encode(image, "JPEG")).image.size == (4000, 3000)


# --- what is refused ----------------------------------------------------------------------------


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
    [
        *(SyntaxError, MemoryError, RecursionError, zlib.error, Image.DecompressionBombWarning),
    ],
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


# --- sources, names, keys -----------------------------------------------------------------------


def test_a_path_names_its_picture(tmp_path):
    path = tmp_path / "my cat.png"
    path.write_bytes(encode(NOISE))
    assert open_picture(path).name == "my cat.png"
    assert open_picture(path, "other.png").name == "other.png"


def test_a_stream_is_read_from_its_start():
    stream = io.BytesIO(encode(NOISE))
    stream.name = "../../upload.png"
    stream.read()
    assert open_picture(stream).name == "upload.png"
    assert open_picture(stream).key == open_picture(encode(NOISE)).key


def test_paths_that_are_no_files_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")  # reading it would wait for ever
    for path in (tmp_path / "none.png", tmp_path, tmp_path / "pipe.png"):
        assert "no file" in refusal(path)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("cat.png", "cat.png"),
        ("IMG_1234 (2).JPG", "IMG_1234 (2).JPG"),
        ("../../etc/x.png", "x.png"),
        (r"C:\Users\me\x.png", "x.png"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe", "gnp.exe"),
        ("a\0b\r\n\x1b[31mc.png", "ab-31mc.png"),
        ("<img src=x onerror=alert(1)>.png", "img src-x onerror-alert(1).png"),
        ("Katze am Gerät.jpeg", "Katze am Gerät.jpeg"),
        ("חתול.png", "חתול.png"),
        ("..", "picture"),
        ("", "picture"),
        (None, "picture"),
    ],
)
def test_names_are_shown_inert(name, shown):
    assert open_picture(encode(NOISE), name).name == shown


@given(st.one_of(st.text(max_size=200), st.text(alphabet="<>&\"'/\\.\u202e\0a ", max_size=200)))
def test_any_name_becomes_short_and_inert(name):
    sentence = refusal(b"", name)
    shown = sentence.removesuffix(" is empty; choose a PNG, JPEG, WebP, GIF, BMP or TIFF picture")
    assert 0 < len(shown) <= 60
    assert not set(shown) & set("<>&\"'/\\`*[]{}|$#:")
    assert not any(
        unicodedata.category(letter).startswith(("C", "Z")) for letter in shown if letter != " "
    )
    assert not shown.startswith((".", "-", " "))


def test_a_name_of_10_000_letters_is_cut_and_keeps_its_suffix():
    name = open_picture(encode(NOISE), "a" * 10_000 + ".png").name
    assert len(name) <= 60
    assert name.endswith("….png")


def test_keys_differ_where_one_pixel_differs():
    other = NOISE.copy()
    other[HEIGHT - 1, WIDTH - 1, 2] ^= 1
    assert open_picture(encode(NOISE)).key != open_picture(encode(other)).key


def test_keys_differ_where_only_the_shape_differs():
    flat = np.zeros((10, 20, 3), dtype=np.uint8)
    assert open_picture(encode(flat)).key != open_picture(encode(flat.reshape(20, 10, 3))).key


def test_equal_pixels_have_equal_keys_in_every_format():
    assert len({open_picture(encode(NOISE, kind), kind).key for kind in LOSSLESS}) == 1


# --- photographs --------------------------------------------------------------------------------


def test_photographs_are_those_of_scikit_image_and_need_no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    originals = {
        "cat": skimage.data.chelsea(),
        "rocket": skimage.data.rocket(),
        "astronaut": skimage.data.astronaut(),
        "coffee": skimage.data.coffee(),
        "motorcycle": skimage.data.stereo_motorcycle()[0],
    }
    assert PHOTOGRAPHS.keys() == originals.keys()
    for name, original in originals.items():
        picture = photograph(name)
        assert np.array_equal(np.asarray(picture.image), original)
        assert picture.name == name
        assert PHOTOGRAPHS[name].title
        assert PHOTOGRAPHS[name].credit


def test_an_unknown_photograph_is_refused_with_those_there_are():
    with pytest.raises(PictureError, match="no photograph dog; there are cat, rocket"):
        photograph("dog")


# --- to tensors, and smaller --------------------------------------------------------------------


def test_tensor_holds_the_pixels():
    image = Image.fromarray(NOISE)
    tensor = to_tensor(image)
    assert (tensor.shape, tensor.dtype) == ((3, HEIGHT, WIDTH), torch.float32)
    assert tensor.is_contiguous()
    for channel, row, column in np.ndindex(3, HEIGHT, WIDTH):
        assert tensor[channel, row, column] == NOISE[row, column, channel] / np.float32(255)
    tensor.zero_()
    assert np.array_equal(np.asarray(image), NOISE)


@given(st.integers(8, 300), st.integers(8, 300), st.integers(1, 400))
@settings(deadline=None)
def test_limit_side_keeps_the_aspect_and_never_enlarges(width, height, longest):
    image = Image.new("RGB", (width, height))
    small = limit_side(image, longest)
    assert max(small.size) == min(longest, max(image.size))
    factor = max(small.size) / max(image.size)
    assert abs(small.width - width * factor) <= 0.5 or small.width == 1
    assert abs(small.height - height * factor) <= 0.5 or small.height == 1


def test_limit_side_is_antialiased():
    board = (np.indices((256, 256)).sum(axis=0) % 2 * 255).astype(np.uint8)
    inner = np.asarray(limit_side(Image.fromarray(board), 64))[4:-4, 4:-4]
    assert np.abs(inner.astype(int) - 128).max() <= 8


def test_png_holds_the_pixels():
    for source in (NOISE, Image.fromarray(NOISE), NOISE[..., 0]):
        data = to_png(source)
        assert data.startswith(b"\x89PNG\r\n\x1a\n")
        with Image.open(io.BytesIO(data)) as image:
            assert np.array_equal(np.asarray(image), np.asarray(source))


@pytest.mark.parametrize("compression", ["tiff_lzw", "jpeg", "tiff_adobe_deflate", "group4"])
def test_decoders_write_nothing_to_stderr(capfd, compression):
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    image = Image.fromarray(pixels).convert("1" if compression == "group4" else "RGB")
    stream = io.BytesIO()
    image.save(stream, "TIFF", compression=compression)
    data = bytearray(stream.getvalue())
    for place in range(len(data) // 3, min(len(data) - 200, len(data) // 3 + 300)):
        data[place] ^= 0x5A
    with contextlib.suppress(PictureError):
        open_picture(bytes(data))
    assert capfd.readouterr() == ("", "")
