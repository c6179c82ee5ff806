"""The data sets by name."""

from dataclasses import replace
from os import PathLike
from pathlib import Path

from deconvviz.errors import DataError
from deconvviz.io.data.augment import Augmentation
from deconvviz.io.data.cifar10 import CIFAR10
from deconvviz.io.data.cifar100 import CIFAR100
from deconvviz.io.data.dataset import Dataset, joined
from deconvviz.io.data.folders import load_folder
from deconvviz.io.data.mnist import FASHION_MNIST, MNIST
from deconvviz.io.data.photos import load_photos
from deconvviz.io.data.photos20 import load_photos20
from deconvviz.io.data.request import Loader, Request
from deconvviz.io.data.shapes import load_shapes
from deconvviz.io.images import MIN_SIDE

__all__ = ["AUGMENTATIONS", "LOADERS", "PUBLISHED", "load_dataset"]

PUBLISHED = {
    "cifar10": CIFAR10,
    "cifar100": CIFAR100,
    "fashion-mnist": FASHION_MNIST,
    "mnist": MNIST,
}
"""The sets that have a size of their own; the others are made in any."""

LOADERS: dict[str, Loader] = {
    **{name: one.load for name, one in PUBLISHED.items()},
    "photos20": load_photos20,
    "folder": load_folder,
    "photos": load_photos,
    "shapes": load_shapes,
}
"""Every data set that `load_dataset` knows. A further one joins by its line here."""

AUGMENTATIONS = {"photos20": Augmentation(crop_padding=0, crop_scale=0.35, crop_ratio=4 / 3)}
"""What training does to the pictures of a set by default, where it is not the common default.

photos20 was squashed to squares from photographs of 4:3 and 3:4, so that its crops vary in aspect.
"""


def load_dataset(
    name: str,
    split: str = "train",
    *,
    data_dir: str | PathLike[str] | None = None,
    size: int | None = None,
    channels: int | None = None,
    download: bool = False,
    byte_budget: int = 2**30,
    progress: bool = True,
) -> Dataset:
    """Load one split of a named data set.

    Args:
        name: "cifar10" or "cifar100"; "mnist" or "fashion-mnist"; "photos20"; "folder", class
            folders of a person's own; "photos", tiles of the photographs inside scikit-image; or
            "shapes", drawn here. The last two need no files.
        split: "train", "test", or "all", which is both, the training pictures first. A folder may
            also have "val"; one that is divided into such splits has no "all".
        data_dir: where the pictures are; a published set is else looked for in the folder that
            DECONVVIZ_DATA names, then in the cache folder.
        size: the side of the pictures in pixels: a folder's are brought to it when decoded
            (the shorter side resized, antialiased bicubic, then the centre cut out); without one
            they must be alike. Photos and shapes are made in it, 32 unless stated.
        channels: 1 (grey) or 3 (RGB; a grey picture in three equal channels); any number for
            "shapes". None is the set's own: 1 for the two MNISTs, 3 for all others.
        download: fetch a published set from its home where it is not found.
        byte_budget: decoded folders larger than this are mapped from disk instead of held in
            memory.
        progress: whether work of more than a second shows a bar in the terminal.

    Raises:
        DataError: there is no such set or split, or its pictures are missing or damaged.
    """
    if name not in LOADERS:
        raise DataError(f"no data set `{name}`; there are {', '.join(LOADERS)}")
    if size is not None and size < MIN_SIDE:
        raise DataError(f"pictures of {size} pixels are too small; ask for at least {MIN_SIDE}")
    place = None if data_dir is None else Path(data_dir).expanduser()
    request = Request(split, place, size, channels, download, byte_budget, progress)
    if split == "all" and name != "folder":
        train, test = (LOADERS[name](replace(request, split=part)) for part in ("train", "test"))
        return joined(train, test)
    return LOADERS[name](request)
