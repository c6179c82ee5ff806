"""CIFAR-10 (Krizhevsky 2009), in its original form or as class folders of pictures."""

import os
from collections.abc import Iterator
from pathlib import Path

import torch

from deconvviz import _torchvision
from deconvviz.data.cache import cache_folder
from deconvviz.data.dataset import Dataset
from deconvviz.data.folders import ClassFolders, decode_folders, list_classes, some
from deconvviz.data.pictures import check_channels, grey
from deconvviz.data.request import Request
from deconvviz.errors import DataError

__all__ = ["CLASSES", "load_cifar10"]

CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
"""CIFAR-10's classes in its own order, which is alphabetical too."""

_SIDE = 32
_PICTURES = {"train": 50_000, "test": 10_000}
_BATCHES = "cifar-10-batches-py"


def load_cifar10(request: Request) -> Dataset:
    """Load CIFAR-10 from where it is found, or download it where that was asked for.

    It is looked for in `data_dir`; without one, in the folder that DECONVVIZ_DATA names, then in
    the cache folder. Each may be or hold, itself or in `cifar10/`, the original
    `cifar-10-batches-py`, or class folders `train|test/CLASS/*`.
    """
    check_channels(request.channels)
    if request.split not in _PICTURES:
        raise DataError(f"CIFAR-10 has no split `{request.split}`; it has train and test")
    if request.size not in (None, _SIDE):
        raise DataError(
            f"CIFAR-10's pictures are {_SIDE} pixels wide, not {request.size}; "
            "leave the size out, or load class folders of another size as `folder`"
        )
    for place in _places(request):
        if (batches := _batches_in(place)) is not None:
            return _load_original(batches.parent, request)
        if (place / "train").is_dir():
            return _load_class_folders(place, request)
    if request.download:
        return _load_original(request.data_dir or cache_folder() / "cifar10", request)
    looked = ", ".join(str(root) for root in _roots(request))
    raise DataError(
        f"CIFAR-10 was not found in {looked}; download it (--download), or name a folder with "
        f"{_BATCHES} or train/CLASS/*.png in --data-dir or DECONVVIZ_DATA"
    )


def _roots(request: Request) -> list[Path]:
    if request.data_dir is not None:
        return [request.data_dir]
    named = os.environ.get("DECONVVIZ_DATA")
    return ([Path(named).expanduser()] if named else []) + [cache_folder()]


def _places(request: Request) -> Iterator[Path]:
    for root in _roots(request):
        yield root
        yield root / "cifar10"


def _batches_in(place: Path) -> Path | None:
    if place.name == _BATCHES and place.is_dir():
        return place
    return place / _BATCHES if (place / _BATCHES).is_dir() else None


def _load_original(root: Path, request: Request) -> Dataset:
    pixels, targets = _torchvision.cifar10(
        root, train=request.split == "train", download=request.download
    )
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    if request.channels == 1:
        images = grey(images)
    return Dataset(images, torch.tensor(targets), CLASSES, "CIFAR-10")


def _load_class_folders(place: Path, request: Request) -> Dataset:
    if not (place / request.split).is_dir():
        raise DataError(f"{place} has no folder `{request.split}`; CIFAR-10 has train and test")
    folders = list_classes(place / request.split)
    missing = sorted(set(CLASSES) - set(folders.classes))
    unexpected = sorted(set(folders.classes) - set(CLASSES))
    if missing or unexpected:
        raise DataError(
            f"{folders.root} does not have CIFAR-10's ten class folders: "
            f"missing {some(missing) or 'none'}, unexpected {some(unexpected) or 'none'}"
        )
    dataset = decode_folders(folders, _title(folders, request.split), request)
    if dataset.images.shape[-2:] != (_SIDE, _SIDE):
        height, width = dataset.images.shape[-2:]
        raise DataError(
            f"{folders.root} holds pictures of {width}x{height}, and CIFAR-10's are 32x32; "
            "load them as `folder`"
        )
    return dataset


def _title(folders: ClassFolders, split: str) -> str:
    kinds = {Path(file).suffix.lower().replace(".jpg", ".jpeg") for file in folders.files}
    kind = kinds.pop()[1:].upper() if len(kinds) == 1 else "mixed"
    whole, there = _PICTURES[split], len(folders.files)
    part = "" if there == whole else f", {there} of {whole} pictures"
    return f"CIFAR-10, {kind} copy{part}"
