"""Pictures: an untrusted file becomes checked pixels.

Reading is strict, because the file may come from anyone. The format is found from the first bytes,
not the name, and must be PNG, JPEG, WebP, GIF, BMP or TIFF. The file size is checked before
parsing, the number of pixels before decoding. Any exception of a decoder becomes a `PictureError`.
Neither Pillow's limits nor the filters of warnings change, so that damaged metadata may warn; only
libtiff, which writes lines about damaged files straight to stderr, is silenced for the process.

Conversions, with a notice where the user should know:

- the first frame of an animation, or the first of several pages, is used;
- EXIF orientation is applied, and all other metadata dropped (it may hold a location);
- transparent parts become white;
- 12 and 16 bit integers are scaled from their full range; floats and 32 bit integers from their
  smallest to their largest value, since their range is not stored;
- CMYK, LAB, palettes and black-and-white become RGB; ICC profiles are ignored.
"""

import ctypes
import hashlib
import re
import unicodedata
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import resources
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, _imaging
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ExifTags import Base as Exif
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile, PngInfo
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile
from torch import Tensor

from deconvviz.errors import PictureError
from deconvviz.io.structure import checked, is_progressive, jpeg_profile

MAX_BYTES = 20 * 2**20  # also the limit of the app's uploads
MAX_PIXELS = 50_000_000  # the largest sensors of phones, as JPEG with one scan
# Other decoders hold several copies in memory, and WebP's twice as many as others.
_MOST_PIXELS = {"WEBP": 16_000_000}
_MOST_OTHER = 24_000_000
_REDUCED = 16_000_000  # pixels; a larger JPEG is decoded at half its size
_BLOCK = 256  # rows that are converted at a time
MIN_SIDE = 8  # pixels
MAX_SIDE = 4096  # pixels, of what a network takes
MAX_ASPECT = 20  # longer side over shorter side
FORMATS = "PNG, JPEG, WebP, GIF, BMP or TIFF"

# The decoders are called directly: Image.open would try formats in turn, warn of large pictures
# before we can refuse them, and take the smaller pictures of a phone's JPEG for an animation.
_DECODERS: tuple[tuple[re.Pattern[bytes], type[ImageFile.ImageFile]], ...] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), PngImageFile),
    (re.compile(rb"\xff\xd8\xff"), JpegImageFile),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), WebPImageFile),
    (re.compile(rb"GIF8[79]a"), GifImageFile),
    (re.compile(rb"BM"), BmpImageFile),
    (re.compile(rb"II[*+]\x00|MM\x00[*+]"), TiffImageFile),
)
# HEIC needs a package of its own, and AVIF a decoder that not every build of Pillow has.
_HEIF = re.compile(rb"....ftyp(?:hei|hev|mif1|msf1|avi[fs])", re.DOTALL)


@dataclass(frozen=True)
class Picture:
    """A checked picture in memory.

    Attributes:
        image: RGB, 8 bit, upright, without metadata.
        name: Short name for display: no folders, HTML or control characters.
        key: SHA-256 of size and pixels, for caches.
        notices: Conversions of the file's picture, each a phrase for people.
    """

    image: Image.Image = field(repr=False, compare=False)
    name: str
    key: str
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layers:
    """A checked picture with what a changed copy of it should keep.

    Attributes:
        image: L for a grey picture, else RGB; 8 bit, upright, without metadata; the colours of
            transparent parts are as stored.
        alpha: L of the same size, 255 where opaque; None if all is.
        profile: ICC profile of `image`; empty if it has none, or one of another colour space.
        name: Short name for display.
        notices: Conversions of the file's picture, each a phrase for people.
    """

    image: Image.Image = field(repr=False)
    alpha: Image.Image | None = field(repr=False)
    profile: bytes = field(repr=False)
    name: str
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Photograph:
    """A photograph inside the scikit-image wheel."""

    file: str  # in scikit-image's data folder
    title: str  # the subject, as a text alternative
    credit: str  # source and licence, as scikit-image states them


PHOTOGRAPHS: Mapping[str, Photograph] = {
    "cat": Photograph("chelsea.png", "Chelsea the cat", "Stefan van der Walt, CC0"),
    "rocket": Photograph(
        "rocket.jpg", "A Falcon 9 lifting off with DSCOVR", "SpaceX Photos, public domain"
    ),
    "astronaut": Photograph(
        "astronaut.png", "The astronaut Eileen Collins", "NASA Great Images, public domain"
    ),
    "coffee": Photograph(
        "coffee.png", "A cup of coffee", "Rachel Michetti, courtesy of Pikolo Espresso Bar, CC0"
    ),
    "motorcycle": Photograph(
        "motorcycle_left.png",
        "A motorcycle in a workshop",
        "Middlebury 2014 stereo benchmark, Scharstein et al. (GCPR 2014), no licence stated",
    ),
}


def _silence_libtiff() -> None:
    """Take away libtiff's handlers, where its symbols are found beside Pillow's decoders."""
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(_imaging.__file__)
        for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
            function = getattr(library, name)
            function.argtypes, function.restype = (ctypes.c_void_p,), ctypes.c_void_p
            function(None)


_silence_libtiff()


def open_picture(source: bytes | str | Path | BinaryIO, name: str | None = None) -> Picture:
    """Read an untrusted file as an RGB picture.

    Args:
        source: Bytes, path, or a binary stream, which is read from its start.
        name: Name for display; by default that of the path or the stream.

    Returns:
        The picture at its own size: at least `MIN_SIDE` pixels on each side, sides at most
        1:`MAX_ASPECT`, at most `MAX_PIXELS` pixels, and fewer for other formats than JPEG. A JPEG
        of over 16 megapixels is at half its size.

    Raises:
        PictureError: The file is missing, larger than `MAX_BYTES`, damaged, of another format or
            size, has values that are not finite, or more parts than pictures have.
    """
    source = Path(source) if isinstance(source, str) else source
    shown = safe_name(name if name is not None else getattr(source, "name", None))
    image, notices, _ = _opened(source, shown, _on_white)
    digest = hashlib.sha256(f"{image.width}x{image.height}:".encode())
    for top in range(0, image.height, _BLOCK):
        digest.update(_rows(image, top).tobytes())
    return Picture(image, shown, digest.hexdigest(), notices)


def open_layers(source: bytes | Path | BinaryIO, name: str | None = None) -> Layers:
    """Read an untrusted file as `open_picture` does, but keep grey, transparency and ICC profile.

    Raises:
        PictureError: As for `open_picture`.
    """
    shown = safe_name(name if name is not None else getattr(source, "name", None))
    image, notices, profile = _opened(source, shown, _straight)
    *_, alpha = image.split() if image.mode in ("LA", "RGBA") else (None,)
    image = image.convert(image.mode.removesuffix("A"))
    fits = profile[16:20] == (b"GRAY" if image.mode == "L" else b"RGB ")
    return Layers(image, alpha, profile if fits else b"", shown, notices)


def photograph(name: str) -> Picture:
    """Read one of `PHOTOGRAPHS` by its short name; nothing is downloaded.

    Raises:
        PictureError: There is no photograph of this name, or scikit-image lacks its data.
    """
    if name not in PHOTOGRAPHS:
        raise PictureError(f"no photograph {safe_name(name)}; there are {', '.join(PHOTOGRAPHS)}")
    file = resources.files("skimage") / "data" / PHOTOGRAPHS[name].file
    if not file.is_file():
        raise PictureError(f"scikit-image has no {file.name}; install its wheel again")
    return open_picture(file.read_bytes(), name)


def limit_side(image: Image.Image, longest: int) -> Image.Image:
    """Shrink a picture, antialiased, to a longer side of at most `longest` pixels.

    The aspect ratio is kept to the nearest pixel. A smaller picture is returned unchanged.
    """
    if max(image.size) <= longest:
        return image
    width, height = (max(1, round(side * longest / max(image.size))) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def to_tensor(image: Image.Image) -> Tensor:
    """Pixels of a picture, float32 (3, H, W), in [0, 1]."""
    pixels = torch.from_numpy(np.array(image.convert("RGB")))
    return pixels.permute(2, 0, 1).to(torch.float32, memory_format=torch.contiguous_format).div(255)


def to_png(
    pixels: Image.Image | NDArray[np.uint8], about: Mapping[str, str] | None = None
) -> bytes:
    """Encode a picture, or uint8 pixels (h, w) or (h, w, 3), as PNG; `about` it: text chunks."""
    texts = PngInfo()
    for name, text in (about or {}).items():
        texts.add_itxt(name, text)
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    stream = BytesIO()
    image.save(stream, format="PNG", pnginfo=texts)
    return stream.getvalue()


def safe_name(name: object, unnamed: str = "picture") -> str:
    """A short name for display, without folders, markup, control characters or direction marks."""
    last = re.split(r"[/\\]", name if isinstance(name, str) else "")[-1]
    kept = "".join(
        letter if unicodedata.category(letter)[0] in "LMN" or letter in " ._-()" else "-"
        for letter in unicodedata.normalize("NFC", last)
        if unicodedata.category(letter)[0] != "C"  # controls, formats, halves of surrogates
    )
    suffix = "".join(re.findall(r"\.[A-Za-z0-9]{1,10}$", kept))
    stem = kept.removesuffix(suffix).strip(" .-_") or unnamed
    return (stem if len(stem) <= 48 else stem[:47] + "…") + suffix


def _read(source: bytes | Path | BinaryIO, name: str) -> bytes:
    if isinstance(source, bytes):
        data = source
    elif isinstance(source, Path):
        try:
            if not source.is_file():  # reading a pipe or a device may never end
                raise PictureError(f"no file {name}; check the path")
            with source.open("rb") as stream:
                data = stream.read(MAX_BYTES + 1)
        except OSError as error:
            raise PictureError(f"{name} cannot be opened; check name and permissions") from error
    else:
        if source.seekable():  # an upload that was read before is at its end
            source.seek(0)
        data = source.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise PictureError(f"{name} is over {MAX_BYTES >> 20} MB; shrink it, or save it as JPEG")
    return data


def _opened(
    source: bytes | Path | BinaryIO,
    name: str,
    convert: Callable[[Image.Image], tuple[Image.Image, str]],
) -> tuple[Image.Image, tuple[str, ...], bytes]:
    """The checked picture, upright; notices; and the ICC profile as the file has it."""
    data = _read(source, name)
    decoder = _decoder(data, name)
    profile = jpeg_profile(data) if decoder is JpegImageFile else b""
    data = checked(data, decoder.format or "", name)
    try:
        with decoder(BytesIO(data)) as stored:
            baseline = decoder is JpegImageFile and not is_progressive(data)
            _check_size(stored, name, MAX_PIXELS if baseline else _most(decoder))
            profile = profile or stored.info.get("icc_profile") or b""
            image, notices = _decode(stored, name, convert)
    except PictureError:
        raise
    except Exception as error:
        raise PictureError(
            f"{name} cannot be read as {decoder.format}: it is damaged, cut short or of an "
            "unusual kind; open it in an image editor and save it as PNG"
        ) from error
    return image, notices, profile


def _decoder(data: bytes, name: str) -> type[ImageFile.ImageFile]:
    """The decoder for the format that the first bytes name."""
    for signature, decoder in _DECODERS:
        if signature.match(data):
            return decoder
    if not data:
        raise PictureError(f"{name} is empty; choose a {FORMATS} picture")
    if _HEIF.match(data):
        raise PictureError(
            f"{name} is HEIC or AVIF, which is not read here; export it as JPEG or PNG (in Python, "
            "the package pillow-heif reads HEIC and saves it as either)"
        )
    raise PictureError(f"{name} is not a {FORMATS} picture, whatever its suffix; export it as PNG")


def _most(decoder: type[ImageFile.ImageFile]) -> int:
    return _MOST_PIXELS.get(decoder.format or "", _MOST_OTHER)


def _rows(image: Image.Image, top: int) -> Image.Image:
    """Some rows of a picture, from `top` on."""
    return image.crop((0, top, image.width, min(top + _BLOCK, image.height)))


def _check_size(stored: ImageFile.ImageFile, name: str, most: int) -> None:
    """Check the size in the header, before anything is decoded."""
    width, height = stored.size
    size = f"{name} is {width} x {height} pixels"
    if width * height > most:
        raise PictureError(f"{size}; scale it below {most // 10**6} megapixels")
    if min(width, height) < MIN_SIDE:
        raise PictureError(f"{size}; each side must be >= {MIN_SIDE}")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise PictureError(f"{size}; crop it to an aspect ratio of at most {MAX_ASPECT}:1")
    if isinstance(stored, TiffImageFile):  # libtiff decodes a tile whole, larger than the picture
        width, height = (stored.tag_v2.get(tag, 0) for tag in (Exif.TileWidth, Exif.TileLength))
        if width * height > most:
            raise PictureError(f"{name} has tiles of {width} x {height} pixels; save it as PNG")


def _decode(
    stored: ImageFile.ImageFile,
    name: str,
    convert: Callable[[Image.Image], tuple[Image.Image, str]],
) -> tuple[Image.Image, tuple[str, ...]]:
    """The first frame, converted and upright, and notices."""
    deep = any(";16" in str(tile.args) for tile in stored.tile)
    several = bool(getattr(stored, "is_animated", False))
    notices = ["only the first frame, or page, is used"] * several
    if isinstance(stored, JpegImageFile) and stored.width * stored.height > _REDUCED:
        stored.draft(None, (stored.width // 2, stored.height // 2))
        notices.append("decoded at half its size")
    stored.load()
    if stored.mode[0] in "IF":
        shades, notice = _scaled(stored, name)
        image, _ = convert(shades)
        notices.append(notice)
    else:
        image, notice = convert(stored)
        notices += ["16 bit values scaled to 8 bit"] * deep
        notices += [notice] * bool(notice)
    orientation = 1
    try:
        orientation = stored.getexif().get(Exif.Orientation, 1)
    except (OSError, SyntaxError, TypeError, ValueError, Warning):
        notices.append("its orientation cannot be read; shown as stored")
    image.info = {}
    image.getexif()[Exif.Orientation] = orientation
    ImageOps.exif_transpose(image, in_place=True)
    image.getexif().clear()
    return image, tuple(notices)


def _scaled(stored: Image.Image, name: str) -> tuple[Image.Image, str]:
    """One deep channel as 8 bits (`convert` would clip it at 255), and a notice."""
    values = np.asarray(stored)
    tags = stored.tag_v2 if isinstance(stored, TiffImageFile) else {}
    bits = tags.get(Exif.BitsPerSample, (16,))[0]
    if stored.mode.startswith("I;"):
        low, high = 0.0, 2.0**bits - 1
        notice = f"{bits} bit values scaled to 8 bit"
    else:
        if bits == 32 and tags.get(Exif.SampleFormat, (1,)) == (1,):
            values = values.view(np.uint32)  # Pillow has signed integers only
        if not np.isfinite(values).all():
            raise PictureError(f"{name} has values that are not finite; replace them first")
        low, high = float(values.min()), float(values.max())
        notice = "values scaled from the smallest (black) to the largest (white)"
    if tags.get(Exif.PhotometricInterpretation) == 0:  # white is zero
        low, high = high, low
    shades = np.empty(values.shape, np.uint8)
    for top in range(0, len(values), _BLOCK):
        block = np.subtract(values[top : top + _BLOCK], low, dtype=np.float64)
        block *= 255 / ((high - low) or 1)
        shades[top : top + _BLOCK] = block.round(out=block)
    return Image.fromarray(shades), notice


def _on_white(stored: Image.Image) -> tuple[Image.Image, str]:
    """A picture of 8 bit channels as RGB, transparent parts on white; and a notice if there are."""
    layer = _straight(stored)[0]
    if layer.mode in ("L", "RGB"):
        return layer.convert("RGB"), ""
    rgba = layer.convert("RGBA")
    white = Image.new("RGB", rgba.size, "white")
    white.paste(rgba, mask=rgba)
    return white, "transparent parts shown on white"


def _straight(stored: Image.Image) -> tuple[Image.Image, str]:
    """A picture of 8 bit channels as L or RGB, with A if any part is transparent; no notice."""
    grey = stored.mode in ("1", "L", "LA", "La")
    if stored.has_transparency_data:
        straight = stored.convert("LA") if stored.mode == "La" else stored  # La: no way to RGBA
        layer = straight if straight.mode == "RGBA" else straight.convert("RGBA")
        if layer.getchannel("A").getextrema() != (255, 255):
            return (layer.convert("LA") if grey else layer), ""
        stored = layer
    return stored.convert("L" if grey else "RGB"), ""
