"""The picture sets of restoration benchmarks: uint8 pictures of any size, without labels."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from deconvviz.errors import DataError
from deconvviz.io.data.cache import cache_folder
from deconvviz.io.data.pictures import decode

_FOLDER = "restoration"
_SUFFIXES = {".png", ".webp", ".bmp", ".tif", ".tiff"}  # lossless ones; a JPEG copy differs


@dataclass(frozen=True, eq=False)
class PictureSet:
    """Pictures of any sizes, all grey or all colour.

    Attributes:
        title: Name for people and for cards.
        pictures: (C, H, W) uint8 each, in the order of their names.
        names: Names of the pictures.
    """

    title: str
    pictures: tuple[Tensor, ...] = field(repr=False)
    names: tuple[str, ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.pictures)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of sizes and pixels."""
        digest = hashlib.sha256()
        for one in self.pictures:
            digest.update(f"{tuple(one.shape)};".encode())
            digest.update(one.contiguous().numpy().data)
        return digest.hexdigest()

    def held_out(self, every: int) -> tuple["PictureSet", "PictureSet"]:
        """The pictures but every `every`-th one, and those."""
        rest = [i for i in range(len(self)) if (i + 1) % every]
        return self._subset(rest), self._subset(range(every - 1, len(self), every))

    def first(self, count: int) -> "PictureSet":
        """The first pictures."""
        return self._subset(range(min(count, len(self))))

    def _subset(self, indices: Sequence[int]) -> "PictureSet":
        chosen = tuple(self.pictures[i] for i in indices)
        return replace(self, pictures=chosen, names=tuple(self.names[i] for i in indices))


def joined(first: PictureSet, second: PictureSet) -> PictureSet:
    """The pictures of two sets."""
    title = f"{first.title} and {second.title}"
    return PictureSet(title, first.pictures + second.pictures, first.names + second.names)


@dataclass(frozen=True)
class BenchmarkEntry:
    """A picture set that `load_pictures` knows.

    Attributes:
        title: Name for people.
        count: Number of its pictures.
        channels: 1 (grey) or 3 (RGB).
        origin: Source, for cards and pages.
    """

    title: str
    count: int
    channels: int
    origin: str


BENCHMARKS = {
    "t91": BenchmarkEntry(
        *("T91", 91, 3),
        "91 photographs by Yang, Wright, Huang & Ma (Image super-resolution via sparse "
        "representation, 2010), on which SRCNN and FSRCNN were trained",
    ),
    "train400": BenchmarkEntry(
        *("Train400", 400, 1),
        "400 grey pictures of 180 x 180, cut from the Berkeley segmentation data set (Martin et "
        "al. 2001), on which DnCNN was trained",
    ),
    "set5": BenchmarkEntry("Set5", 5, 3, "5 photographs by Bevilacqua et al. (2012)"),
    "set12": BenchmarkEntry("Set12", 12, 1, "12 grey pictures that Zhang et al. (2017) tested on"),
    "bsd68": BenchmarkEntry(
        *("BSD68", 68, 1),
        "68 grey test pictures of the Berkeley segmentation data set, chosen by Roth & Black "
        "(2009)",
    ),
}
"""Every picture set that `load_pictures` knows. To add one, add its line here."""


def load_pictures(name: str, data_dir: Path | None = None) -> PictureSet:
    """Load a picture set from `data_dir`; else from DECONVVIZ_DATA, else from the cache folder.

    Its pictures are lossless files in a folder of its name, there or in a folder `restoration`.

    Args:
        name: A key of `BENCHMARKS`.
        data_dir: Folder that holds it.

    Raises:
        DataError: There is no such set, or it is missing, damaged or incomplete.
    """
    if name not in BENCHMARKS:
        raise DataError(f"no picture set `{name}`; there are {', '.join(BENCHMARKS)}")
    entry = BENCHMARKS[name]
    root = data_dir or Path(os.environ.get("DECONVVIZ_DATA") or cache_folder())
    places = (root / _FOLDER / name, root / name)
    folder = next((place for place in places if place.is_dir()), None)
    if folder is None:
        raise DataError(
            f"{entry.title} ({entry.origin}) was not found at {places[0]}; put its pictures "
            "there, or name another folder in DECONVVIZ_DATA"
        )
    files = sorted(one for one in folder.iterdir() if one.suffix.lower() in _SUFFIXES)
    if len(files) != entry.count:
        raise DataError(f"{folder} holds {len(files)} pictures; {entry.title} has {entry.count}")
    pictures = tuple(torch.tensor(decode(one, None, entry.channels)) for one in files)
    return PictureSet(entry.title, pictures, tuple(one.stem for one in files))
