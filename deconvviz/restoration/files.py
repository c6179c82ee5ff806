"""Restored copies of picture files, one by one: what cannot be read is listed, the rest is done."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from deconvviz.errors import PictureError, SettingError
from deconvviz.io.files import write_atomically
from deconvviz.io.images import Layers, open_layers
from deconvviz.progress import Progress
from deconvviz.restoration.apply import Restorer
from deconvviz.restoration.degradations import from_image, to_image

# Without loss where the format can; JPEG cannot.
_OPTIONS: dict[str, dict[str, Any]] = {
    ".png": {"format": "PNG"},
    ".jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    ".jpeg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    ".webp": {"format": "WEBP", "lossless": True},
    ".tif": {"format": "TIFF", "compression": "tiff_lzw"},
    ".tiff": {"format": "TIFF", "compression": "tiff_lzw"},
    ".bmp": {"format": "BMP"},
}


@dataclass(frozen=True)
class FileResult:
    """What became of one file.

    Attributes:
        source: The given file.
        target: The written file; None if the given one was refused.
        notices: Conversions of the picture, each a phrase for people.
        refusal: Why it was refused; empty if it was not.
    """

    source: Path
    target: Path | None
    notices: tuple[str, ...] = ()
    refusal: str = ""


def targets(source: Path, out: Path) -> list[tuple[Path, Path]]:
    """The files of `source` and where their restored copies go.

    A file goes to `out`, or into it if that is a folder. Of a folder, every file but hidden ones
    goes to its place in the folder `out`, in its own format, or as PNG where that is not written.

    Raises:
        SettingError: There is nothing at `source`, or a copy would replace its original.
    """
    if source.is_file():
        target = out / source.name if out.is_dir() else out
        if target is not out and source.suffix.lower() not in _OPTIONS:
            target = target.with_suffix(".png")
        if target.suffix.lower() not in _OPTIONS:
            raise SettingError(
                f"cannot write `{target}`; name a folder, or a file that ends in "
                f"{', '.join(_OPTIONS)}"
            )
        pairs = [(source, target)]
    elif source.is_dir():
        if out.exists() and not out.is_dir():
            raise SettingError(f"{source} is a folder, and {out} is a file; name a folder for both")
        pairs = list(_of_folder(source, out))
        if not pairs:
            raise SettingError(f"there are no files in {source}")
    else:
        raise SettingError(f"no file or folder {source}; check the path")
    for before, after in pairs:
        if before.resolve() == after.resolve():
            raise SettingError(f"{after} would replace the original; name another folder")
    return pairs


def _of_folder(source: Path, out: Path) -> Iterator[tuple[Path, Path]]:
    taken: set[Path] = set()
    for file in sorted(source.rglob("*")):
        inner = file.relative_to(source)
        hidden = any(part.startswith(".") for part in inner.parts)
        if hidden or not file.is_file() or file.resolve().is_relative_to(out.resolve()):
            continue
        target = out / inner
        if target.suffix.lower() not in _OPTIONS:
            target = target.with_suffix(".png")
        if target in taken:  # a.gif beside a.png
            target = target.with_name(f"{file.name}.png")
        taken.add(target)
        yield file, target


def restore_files(
    pairs: Sequence[tuple[Path, Path]],
    restorer: Restorer,
    mask: Path | None = None,
    progress: Callable[[Path], Progress | None] = lambda _: None,
) -> Iterator[FileResult]:
    """Restore files one by one.

    Grey pictures stay grey; transparency and the ICC profile are kept; EXIF orientation is applied
    to the pixels, and other metadata is left out. `inpaint` fills what `mask`, or else the
    picture's transparency, says is missing, and writes an opaque picture.

    Args:
        pairs: Files and where their copies go, from `targets`.
        restorer: The networks.
        mask: A picture of the same size, white where pixels are missing.
        progress: Gives the callback for the tiles of a file.

    Raises:
        PictureError: `mask` cannot be read.
        OSError: A copy cannot be written.
    """
    missing = _read_mask(mask) if mask else None
    for source, target in pairs:
        try:
            layers = open_layers(source)
            image = _restored(layers, restorer, missing, progress(source))
        except PictureError as error:
            yield FileResult(source, None, refusal=str(error))
            continue
        lost = _save(image, layers.profile, target)
        yield FileResult(source, target, (*layers.notices, *lost))


def _restored(
    layers: Layers, restorer: Restorer, missing: Tensor | None, progress: Progress | None
) -> Image.Image:
    pixels = from_image(layers.image)
    if restorer.task != "inpaint":
        image = to_image(restorer(pixels, None, progress))
        if layers.alpha:
            image.putalpha(layers.alpha.resize(image.size, Image.Resampling.BICUBIC))
        return image
    if missing is None:
        if not layers.alpha:
            raise PictureError(
                f"{layers.name} has no transparent pixels, and there is no mask; nothing is missing"
            )
        missing = torch.from_numpy(np.array(layers.alpha)) < 128
    return to_image(restorer(pixels, missing, progress))


def _read_mask(path: Path) -> Tensor:
    """(H, W) bool, true where the mask is white."""
    return from_image(open_layers(path).image.convert("L"))[0] >= 128


def _save(image: Image.Image, profile: bytes, path: Path) -> list[str]:
    """Write a picture; the notices say what its format cannot hold."""
    options = dict(_OPTIONS[path.suffix.lower()])
    lost = []
    if options["format"] in ("JPEG", "BMP") and image.mode in ("LA", "RGBA"):
        image = image.convert(image.mode.removesuffix("A"))
        lost.append(f"{options['format']} has no transparency")
    if profile and options["format"] != "BMP":
        options["icc_profile"] = profile
    stream = BytesIO()
    image.save(stream, **options)
    write_atomically(path, stream.getvalue())
    return lost
