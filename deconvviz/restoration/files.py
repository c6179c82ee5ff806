"""Changed copies of picture files, one by one: what cannot be read is listed, the rest is done."""

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
from deconvviz.restoration.segmenter import Segmenter, class_map, overlaid

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


def targets(source: Path, out: Path, ending: str = "") -> list[tuple[Path, Path]]:
    """The files of `source` and where their changed copies go.

    A file goes to `out`, or into it if that is a folder. Of a folder, every file but hidden ones
    goes to its place in the folder `out`, in its own format, or as PNG where that is not written.

    Args:
        source: A file or a folder.
        out: A file or a folder.
        ending: Ending of all copies, ".png" for example, instead of their own.

    Raises:
        SettingError: There is nothing at `source`, or a copy would replace its original.
    """
    if source.is_file():
        target = out / source.name if out.is_dir() else out
        if target is not out:
            target = _with_ending(target, ending)
        if target.suffix.lower() not in (writable := [ending] if ending else list(_OPTIONS)):
            raise SettingError(
                f"cannot write `{target}`; name a folder, or a file that ends in "
                f"{', '.join(writable)}"
            )
        pairs = [(source, target)]
    elif source.is_dir():
        if out.exists() and not out.is_dir():
            raise SettingError(f"{source} is a folder, and {out} is a file; name a folder for both")
        pairs = list(_of_folder(source, out, ending))
        if not pairs:
            raise SettingError(f"there are no files in {source}")
    else:
        raise SettingError(f"no file or folder {source}; check the path")
    for before, after in pairs:
        if before.resolve() == after.resolve():
            raise SettingError(f"{after} would replace the original; name another folder")
    return pairs


def _with_ending(target: Path, ending: str) -> Path:
    if ending:
        return target.with_suffix(ending)
    return target if target.suffix.lower() in _OPTIONS else target.with_suffix(".png")


def _of_folder(source: Path, out: Path, ending: str) -> Iterator[tuple[Path, Path]]:
    taken: set[Path] = set()
    for file in sorted(source.rglob("*")):
        inner = file.relative_to(source)
        hidden = any(part.startswith(".") for part in inner.parts)
        if hidden or not file.is_file() or file.resolve().is_relative_to(out.resolve()):
            continue
        target = _with_ending(out / inner, ending)
        if target in taken:  # a.gif beside a.png
            target = target.with_name(f"{file.name}.png")
        taken.add(target)
        yield file, target


Change = Callable[[Layers, Progress | None], tuple[Image.Image, bytes]]
"""What is made of a picture, and its ICC profile; raises a `PictureError` to refuse it."""
Pairs = Sequence[tuple[Path, Path]]
Bars = Callable[[Path], Progress | None]


def change_files(pairs: Pairs, change: Change, progress: Bars) -> Iterator[FileResult]:
    """Make changed copies of files, one by one; EXIF orientation is applied to the pixels.

    Args:
        pairs: Files and where their copies go, from `targets`.
        change: What is made of each.
        progress: Gives the callback for the parts of a file.

    Raises:
        OSError: A copy cannot be written.
    """
    for source, target in pairs:
        try:
            layers = open_layers(source)
            image, profile = change(layers, progress(source))
        except PictureError as error:
            yield FileResult(source, None, refusal=str(error))
            continue
        lost = _save(image, profile, target)
        yield FileResult(source, target, (*layers.notices, *lost))


def restore_files(
    pairs: Pairs,
    restorer: Restorer,
    mask: Path | None = None,
    progress: Bars = lambda _: None,
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
    return change_files(
        pairs,
        lambda layers, bar: (_restored(layers, restorer, missing, bar), layers.profile),
        progress,
    )


def segment_files(
    pairs: Pairs, segmenter: Segmenter, *, overlay: bool = False, progress: Bars = lambda _: None
) -> Iterator[FileResult]:
    """Write a map of the classes of each file, a PNG whose palette has their colours.

    Args:
        pairs: Files and where their maps go, from `targets` with the ending ".png".
        segmenter: The network.
        overlay: Write the picture under the colours instead.
        progress: Gives the callback for the parts of a file.

    Raises:
        OSError: A map cannot be written.
    """

    def change(layers: Layers, _bar: Progress | None) -> tuple[Image.Image, bytes]:
        classes = segmenter(from_image(layers.image))
        if overlay:
            profile = layers.profile if layers.image.mode == "RGB" else b""
            return overlaid(layers.image, classes, segmenter.colours), profile
        return class_map(classes, segmenter.colours), b""

    return change_files(pairs, change, progress)


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
