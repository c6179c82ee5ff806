"""Published data sets: read as published or as class folders, or downloaded by torchvision."""

import gzip
import os
import pickle
import shutil
import tempfile
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from torch import Tensor

from deconvviz.errors import DataError
from deconvviz.io.data.cache import cache_folder
from deconvviz.io.data.dataset import Dataset, LoadOptions
from deconvviz.io.data.folders import ClassFolders, decode_folders, first_few, list_classes
from deconvviz.io.data.pictures import check_channels, to_channels

_LOSSLESS = {".bmp", ".png", ".tif", ".tiff"}  # a copy in these has the original pixels
# Raised by torchvision's readers: a wrong checksum, a missing file, and damage in an idx file.
_DAMAGED = (RuntimeError, AssertionError, ValueError, TypeError, LookupError, EOFError)


@dataclass(frozen=True)
class PublishedDataset:
    """A published data set with a training and a test split.

    Attributes:
        name: Name for `load_dataset`, and of a folder that may hold it.
        title: Name for people.
        torchvision: Class in `torchvision.datasets` that reads and downloads the original files;
            None for a data set that comes as class folders alone, of any size.
        folder: Folder of the original files, relative to torchvision's `root`.
        shape: (C, H, W) of a picture.
        classes: Class names, in the order of the labels.
        counts: Split -> number of pictures.
        class_folders: Whether it may be stored as `train|test/CLASS/*` too; `classes` are then in
            alphabetical order.
        origin: Source, terms, and how a person gets it, for cards; without a last full stop.
    """

    name: str
    title: str
    torchvision: str | None
    folder: PurePosixPath | None
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    counts: Mapping[str, int]
    class_folders: bool
    origin: str = ""

    def load(self, options: LoadOptions) -> Dataset:
        """Load a split from where it is found, or download it if requested.

        It is looked for in `data_dir`; without one, in the folder that DECONVVIZ_DATA names, then
        in the cache folder. Each may be or hold, itself or in a folder of the set's `name`, the
        original files or class folders. Class folders with none of its classes are skipped.

        Raises:
            DataError: It is missing or damaged, or has no such size or channels.
        """
        check_channels(options.channels_or(self.shape[0]))
        side = self.shape[-1]
        if self.torchvision and options.size not in (None, side):
            raise DataError(
                f"{self.title}'s pictures are {side} pixels wide, not {options.size}; "
                "leave the size out, or load class folders of another size as `folder`"
            )
        place = self._place(options.data_dir)
        if place is None and options.download and self.torchvision:
            return self._load_original(options.data_dir or cache_folder() / self.name, options)
        place = place or self.find(options.data_dir)
        if (root := self._torchvision_root(place)) is not None:
            return self._load_original(root, options)
        return self._load_class_folders(place, options)

    def find(self, data_dir: Path | None = None) -> Path:
        """The folder in which the set is found; see `load`.

        Raises:
            DataError: It is missing; the sentence says where it was looked for and how to get it.
        """
        if (place := self._place(data_dir)) is not None:
            return place
        looked = ", ".join(map(str, roots(data_dir)))
        stored = [str(self.folder)] * bool(self.folder)
        stored += ["train/CLASS/*.png"] * self.class_folders
        raise DataError(
            f"{self.title} was not found in {looked}; "
            + ("download it (--download), or " if self.torchvision else "")
            + f"name a folder with {' or '.join(stored)} in --data-dir or DECONVVIZ_DATA"
        )

    def _place(self, data_dir: Path | None) -> Path | None:
        for place in (place for root in roots(data_dir) for place in (root, root / self.name)):
            if self._torchvision_root(place) is not None:
                return place
            if self.class_folders and self._has_own_folders(place / "train"):
                return place
        return None

    def _torchvision_root(self, place: Path) -> Path | None:
        """The `root` for torchvision, where `place` is it or a folder between it and the files."""
        if self.folder is None:
            return None
        for root in (place, *place.parents[: len(self.folder.parts)]):
            files = root / self.folder
            if files.is_dir() and files.is_relative_to(place):
                return root
        return None

    def _has_own_folders(self, folder: Path) -> bool:
        """Whether a folder has one of this set's class folders, or none at all."""
        if not folder.is_dir():
            return False
        names = {entry.name for entry in folder.iterdir() if entry.is_dir()}
        return not names or not names.isdisjoint(self.classes)

    def _load_original(self, root: Path, options: LoadOptions) -> Dataset:
        assert self.torchvision
        assert self.folder
        images, labels = read_torchvision(
            self.torchvision, root, train=options.split == "train", download=options.download
        )
        known = bool((labels < len(self.classes)).all())
        if images.shape[1:] != self.shape or len(labels) != len(images) or not known:
            raise DataError(
                f"{root / self.folder} holds {len(images)} pictures of {tuple(images.shape[1:])} "
                f"and {len(labels)} labels up to {max(labels.tolist(), default=0)}, which is not "
                f"{self.title}; remove it and download it again (--download)"
            )
        images = to_channels(images, options.channels_or(self.shape[0]))
        return Dataset(images, labels, self.classes, self.title)

    def _load_class_folders(self, place: Path, options: LoadOptions) -> Dataset:
        if not (place / options.split).is_dir():
            raise DataError(
                f"{place} has no folder `{options.split}`; {self.title} has train and test"
            )
        folders = list_classes(place / options.split)
        missing = sorted(set(self.classes) - set(folders.classes))
        unexpected = sorted(set(folders.classes) - set(self.classes))
        if missing or unexpected:
            raise DataError(
                f"{folders.root} does not have {self.title}'s {len(self.classes)} class folders: "
                f"missing {first_few(missing)}, unexpected {first_few(unexpected)}"
            )
        dataset = decode_folders(folders, self._folder_title(folders, options.split), options)
        height, width = dataset.images.shape[-2:]
        side = options.size or self.shape[-1]
        if (height, width) != (side, side):
            raise DataError(
                f"{folders.root} holds pictures of {width}x{height}, and {self.title}'s are "
                f"{side}x{side}; load them as `folder`"
            )
        return dataset

    def _folder_title(self, folders: ClassFolders, split: str) -> str:
        kinds = {Path(file).suffix.lower().replace(".jpg", ".jpeg") for file in folders.files}
        kind = min(kinds)[1:].upper() if len(kinds) == 1 else "mixed"
        copy = "" if self.torchvision is None or kinds <= _LOSSLESS else f", {kind} copy"
        whole, there = self.counts[split], len(folders.files)
        part = "" if there == whole else f", {there} of {whole} pictures"
        return f"{self.title}{copy}{part}"


def roots(data_dir: Path | None) -> list[Path]:
    """The folders to look in for data: a given one; or what DECONVVIZ_DATA names, and the cache."""
    if data_dir is not None:
        return [data_dir]
    named = os.environ.get("DECONVVIZ_DATA")
    return ([Path(named).expanduser()] if named else []) + [cache_folder()]


@contextmanager
def _unpacked(root: Path, folder: Path) -> Iterator[Path]:
    """A root with the files of `folder` unpacked: as published, those of MNIST end in `.gz`.

    torchvision unpacks what it has downloaded itself, and reads nothing else.
    """
    packed = [path for path in folder.glob("*.gz") if not path.with_suffix("").exists()]
    if not packed:
        yield root
        return
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / folder.relative_to(root)
        target.mkdir(parents=True)
        for path in folder.iterdir():
            if path not in packed:
                shutil.copyfile(path, target / path.name)
                continue
            try:
                with gzip.open(path) as file, (target / path.stem).open("wb") as out:
                    shutil.copyfileobj(file, out)
            except (gzip.BadGzipFile, zlib.error) as error:
                raise ValueError(f"{path} is damaged") from error
        yield Path(scratch)


def read_torchvision(
    name: str, root: Path, *, train: bool, download: bool
) -> tuple[Tensor, Tensor]:
    """Read the original files of a data set with torchvision.

    Args:
        name: CIFAR10 or CIFAR100 (checksums verified; fine labels), MNIST or FashionMNIST (which
            torchvision verifies only when it downloads them).
        root: Folder that holds, or is to hold, the data set's own folder.
        train: Whether to read the training split instead of the test split.
        download: Whether to download missing files, with a progress bar.

    Returns:
        (N, C, H, W) uint8 pictures and (N,) int64 labels.

    Raises:
        DataError: The files are missing or damaged, or could not be downloaded.
    """
    from torchvision import datasets

    kind = getattr(datasets, name)
    folder = root / getattr(kind, "base_folder", f"{name}/raw")
    try:
        unpacked = nullcontext(root) if download else _unpacked(root, folder)
        with unpacked as place, warnings.catch_warnings():
            # CIFAR's pickles hold `align=0`, which NumPy 2.4 warns about.
            warnings.filterwarnings("ignore", message=r"dtype\(\): align should be passed")
            dataset = kind(str(place), train=train, download=download)
    except (OSError, HTTPException, *_DAMAGED, pickle.UnpicklingError) as error:
        unreachable = isinstance(error, OSError | HTTPException)
        if unreachable or str(error).startswith("Error downloading"):  # no mirror answers
            reason = " ".join(str(error).split())
            raise DataError(
                f"cannot download {name} to {root} ({reason}); check network and disk, or name a "
                "folder that has it in --data-dir or DECONVVIZ_DATA"
            ) from error
        raise DataError(
            f"{folder} is incomplete or damaged; remove it and download it again (--download)"
        ) from error
    pixels = np.asarray(dataset.data)
    images = torch.from_numpy(pixels.reshape(*pixels.shape[:3], -1)).permute(0, 3, 1, 2)
    return images.contiguous(), torch.as_tensor(dataset.targets, dtype=torch.int64)
