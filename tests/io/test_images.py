"""Pictures that open: their pixels, names and keys."""

import contextlib
import io
import os
import socket
import unicodedata

import numpy as np
import PIL
import pytest
import skimage.data
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from skimage.color import lab2rgb

from deconvviz.errors import PictureError
from deconvviz.io.images import (
    PHOTOGRAPHS,
    limit_side,
    open_picture,
    photograph,
    to_png,
    to_tensor,
)
from tests.io.picture_files import (
    DEEP,
    HEIGHT,
    LOSSLESS,
    NOISE,
    RAMPS,
    WIDTH,
    encode,
    pixels,
    plain_tiff,
    png,
    refusal,
    tiff,
    written,
)

# --- what opens -----------------------------------------------------------------------------------


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


@pytest.mark.skipif(int(PIL.__version__.split(".")[0]) < 13, reason="Pillow reads these from 13")
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


# --- sources, names, keys -------------------------------------------------------------------------


def test_a_path_names_its_picture(tmp_path):
    path = tmp_path / "my cat.png"
    path.write_bytes(encode(NOISE))
    assert open_picture(path).name == "my cat.png"
    assert open_picture(path, "other.png").name == "other.png"
    assert open_picture(str(path)).key == open_picture(path).key


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


def test_keys_are_of_the_pixels_and_their_shape_alone():
    other = NOISE.copy()
    other[-1, -1, 2] ^= 1
    flat = np.zeros((10, 20, 3), dtype=np.uint8)
    pictures = NOISE, other, flat, flat.reshape(20, 10, 3)
    assert len({open_picture(encode(one)).key for one in pictures}) == 4
    assert len({open_picture(encode(NOISE, kind), kind).key for kind in LOSSLESS}) == 1


# --- photographs ----------------------------------------------------------------------------------


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


# --- to tensors, and smaller ----------------------------------------------------------------------


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


def test_a_name_that_the_system_refuses_is_one_sentence(tmp_path):
    with pytest.raises(PictureError, match="cannot be opened"):
        open_picture(tmp_path / ("x" * 5000))
    with pytest.raises(PictureError, match="no file"):
        open_picture(tmp_path / "a\0b")
