"""The data sets by name."""

from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

from deconvviz.errors import DataError
from deconvviz.io.data.augment import Augmentation
from deconvviz.io.data.dataset import Dataset, Loader, LoadOptions, concat
from deconvviz.io.data.folders import load_folder
from deconvviz.io.data.photos import load_photos
from deconvviz.io.data.photos20 import PHOTOS20, load_photos20
from deconvviz.io.data.shapes import load_shapes
from deconvviz.io.data.torchvision_datasets import CIFAR10, CIFAR100, FASHION_MNIST, MNIST
from deconvviz.io.images import MAX_SIDE, MIN_SIDE


@dataclass(frozen=True)
class DatasetEntry:
    """A data set that `load_dataset` knows.

    Attributes:
        load: Loads one split.
        description: Content, in a few words.
        fixed_size: Whether all pictures have one size, so that none can be chosen.
        splits: Names of its splits; none where the files decide.
        augmentation: Default augmentation in training, if not the common one.
    """

    load: Loader
    description: str
    fixed_size: bool = False
    splits: tuple[str, ...] = ("train", "test")
    augmentation: Augmentation | None = None


PUBLISHED = (CIFAR10, CIFAR100, MNIST, FASHION_MNIST, PHOTOS20)
"""The published sets among them, which a person has to have or to download."""

DATASETS = {
    "cifar10": DatasetEntry(CIFAR10.load, "32x32 colour photographs, 10 classes", True),
    "cifar100": DatasetEntry(CIFAR100.load, "32x32 colour photographs, 100 classes", True),
    "mnist": DatasetEntry(MNIST.load, "28x28 grey handwritten digits", True),
    "fashion-mnist": DatasetEntry(FASHION_MNIST.load, "28x28 grey clothes, 10 classes", True),
    # Squashed to squares from photographs of 4:3 and 3:4, so its crops vary in aspect.
    "photos20": DatasetEntry(
        load_photos20,
        "photographs of Imagenette and ImageWoof, 20 classes",
        augmentation=Augmentation(crop_padding=0, crop_scale=0.35, crop_ratio=4 / 3),
    ),
    "folder": DatasetEntry(load_folder, "your own class folders, in --data-dir", splits=()),
    "photos": DatasetEntry(load_photos, "tiles of the photographs in scikit-image; no files"),
    "shapes": DatasetEntry(load_shapes, "drawn shapes, 6 classes; no files"),
}
"""Every data set that `load_dataset` knows. To add one, add its line here."""


def load_dataset(
    name: str,
    split: str = "train",
    *,
    data_dir: str | PathLike[str] | None = None,
    size: int | None = None,
    channels: int | None = None,
    download: bool = False,
    progress: bool = True,
) -> Dataset:
    """Load one split of a named data set.

    Args:
        name: A key of `DATASETS`, such as "cifar10", or "folder" for class folders of your own.
        split: "train", "test", or "all" for both, the training pictures first. A folder may also
            have "val"; one that is divided into such splits has no "all".
        data_dir: Folder of the pictures; a published set is else looked for in the folder that
            DECONVVIZ_DATA names, then in the cache folder.
        size: Side of the pictures in pixels. The pictures of a folder are resized to it (shorter
            side, antialiased bicubic, then a centre crop); without it they must be of one size.
            Photos and shapes are made in it, 32 by default.
        channels: 1 (grey) or 3 (RGB; a grey picture in three equal channels); any number for
            "shapes". None is the data set's own.
        download: Whether to download a published set that is not found.
        progress: Whether work of more than a second shows a bar in the terminal.

    Raises:
        DataError: There is no such set or split, or its pictures are missing or damaged.
    """
    entry = _entry(name)
    if size is not None and not MIN_SIDE <= size <= MAX_SIDE:
        raise DataError(f"size must be from {MIN_SIDE} to {MAX_SIDE} pixels, got {size}")
    if entry.splits and split not in (*entry.splits, "all"):
        raise DataError(f"{name} has no split `{split}`; it has {', '.join(entry.splits)} and all")
    place = None if data_dir is None else Path(data_dir).expanduser()
    options = LoadOptions(split, place, size, channels, download, progress)
    if split == "all" and entry.splits:
        dataset = concat(*(entry.load(replace(options, split=part)) for part in entry.splits))
    else:
        dataset = entry.load(options)
    return replace(dataset, source=f"{name}/{split}")


def name_of(title: str) -> str:
    """The published data set whose title, as a card has it, this is; empty if there is none."""
    same = (one.name for one in PUBLISHED if one.title == title.removesuffix(", JPEG copy"))
    return next(same, "")


def load_for(
    input_size: tuple[int, int, int], name: str, split: str = "train", **options: Any
) -> Dataset:
    """Load a data set for a network: in its number of channels and, where possible, its size.

    Args:
        input_size: Channels, height and width of the network's input.
        name: A key of `DATASETS`.
        split: Split, see `load_dataset`.
        options: More options of `load_dataset`.
    """
    channels, side, _ = input_size
    size = None if _entry(name).fixed_size else side
    return load_dataset(name, split, size=size, channels=channels, **options)


def _entry(name: str) -> DatasetEntry:
    if name not in DATASETS:
        raise DataError(f"no data set `{name}`; there are {', '.join(DATASETS)}")
    return DATASETS[name]
