"""CamVid: street scenes from a driving car, with the class of every pixel.

Brostow, Fauqueur & Cipolla (2009), Semantic object classes in video; 367 training, 101 validation
and 233 test pictures of 11 classes, as Badrinarayanan et al. (2017, arXiv:1511.00561) divided them.
"""

from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from deconvviz.errors import DataError
from deconvviz.io.data.dataset import Dataset
from deconvviz.io.data.pictures import decode
from deconvviz.io.data.published import roots

CLASSES = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian",
    "bicyclist",
)  # fmt: skip
"""Classes in the order of the masks' values."""

ORIGIN = (
    "367 street scenes at 240 x 180 pixels, 11 classes (G. Brostow, J. Fauqueur & R. Cipolla, "
    "Semantic object classes in video, 2009), as SegNet's tutorial publishes them, without terms; "
    "read as `train|val|test/NAME.jpg` with its classes in NAME.png"
)
"""Source and form of the training part, for cards."""

COLOURS = (
    (128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0),
    (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192),
)  # fmt: skip
"""The colours in which the data set's publications draw the classes, RGB."""

VOID = 11
"""Value of pixels that have no class, in a mask."""

COUNTS = {"train": 367, "val": 101, "test": 233}


@dataclass(frozen=True, eq=False)
class Scenes:
    """Pictures and the class of each of their pixels.

    Attributes:
        images: (N, 3, H, W) uint8.
        masks: (N, H, W) uint8, indices into `CLASSES`, or `VOID`.
        title: Name for people and for cards.
    """

    images: Tensor
    masks: Tensor
    title: str

    def __len__(self) -> int:
        return len(self.images)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the pixels and the masks."""
        return self._dataset(torch.cat([self.images, self.masks[:, None]], 1)).fingerprint

    def channel_statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each channel, of pixels in [0, 1]."""
        return self._dataset(self.images).channel_statistics()

    def _dataset(self, images: Tensor) -> Dataset:
        return Dataset(images, torch.zeros(len(self), dtype=torch.int64), CLASSES, self.title)

    def frequencies(self) -> Tensor:
        """(11,) for each class, its pixels over all pixels of the pictures that have it.

        Pixels without a class do not count. A class that no picture has is 0.
        """
        flat = self.masks.flatten(1).long()
        counts = torch.zeros(len(self), VOID + 1).scatter_add_(1, flat, torch.ones(flat.shape))
        counts = counts[:, :VOID]
        of_pictures = (counts > 0).float() * counts.sum(1, keepdim=True)
        return counts.sum(0) / of_pictures.sum(0).clamp(min=1)


def load_camvid(split: str = "train", data_dir: str | PathLike[str] | None = None) -> Scenes:
    """Load a split: `train`, `val` or `test`, with `SPLIT/NAME.jpg` and its mask `NAME.png`.

    Args:
        split: Name of the split.
        data_dir: Folder of the splits, or one that holds it as `camvid`. By default the folder that
            DECONVVIZ_DATA names, then the cache folder.

    Raises:
        DataError: There is no such split, or its pictures are missing, damaged or of several sizes.
    """
    if split not in COUNTS:
        raise DataError(f"CamVid has no split `{split}`; it has {', '.join(COUNTS)}")
    folder = _folder(split, data_dir)
    pictures = sorted(path for path in folder.iterdir() if path.suffix in (".jpg", ".png"))
    images = [path for path in pictures if path.suffix == ".jpg"]
    masks = [path for path in pictures if path.suffix == ".png"]
    if not images or [path.stem for path in images] != [path.stem for path in masks]:
        raise DataError(f"{folder} must hold a mask NAME.png for every picture NAME.jpg")
    pixels = [decode(path, None, 3) for path in images]
    classes = [decode(path, None, 1)[0] for path in masks]
    shapes = {one.shape[-2:] for one in (*pixels, *classes)}
    if len(shapes) > 1:
        raise DataError(f"the pictures and masks in {folder} are of several sizes: {shapes}")
    values = torch.from_numpy(np.stack(classes))
    if int(values.max()) > VOID:
        raise DataError(f"a mask in {folder} has the value {int(values.max())}, above {VOID}")
    there, whole = len(images), COUNTS[split]
    part = "" if there == whole else f", {there} of {whole} pictures"
    return Scenes(torch.from_numpy(np.stack(pixels)), values, f"CamVid {split}{part}")


def part_of(scenes: Scenes, indices: Tensor) -> Scenes:
    """The scenes at `indices`, in that order."""
    return replace(scenes, images=scenes.images[indices], masks=scenes.masks[indices])


def _folder(split: str, data_dir: str | PathLike[str] | None) -> Path:
    places = roots(None if data_dir is None else Path(data_dir).expanduser())
    for place in (place for root in places for place in (root / "camvid", root)):
        if any((place / split).glob("*.png")):
            return place / split
    raise DataError(
        f"CamVid was not found in {', '.join(map(str, places))}; name a folder with "
        f"{split}/NAME.jpg and NAME.png in --data-dir or DECONVVIZ_DATA"
    )
