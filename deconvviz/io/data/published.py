"""Published data sets: found in their original form or as class folders, or downloaded."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import torch

from deconvviz.errors import DataError
from deconvviz.io import _torchvision
from deconvviz.io.data.cache import cache_folder
from deconvviz.io.data.dataset import Dataset
from deconvviz.io.data.folders import ClassFolders, decode_folders, list_classes, some
from deconvviz.io.data.pictures import check_channels, in_channels
from deconvviz.io.data.request import Request

__all__ = ["Published"]

_LOSSLESS = {".bmp", ".png", ".tif", ".tiff"}  # a copy in these has the original pixels


@dataclass(frozen=True)
class Published:
    """A published data set with a training and a test part.

    Attributes:
        name: As `load_dataset` knows it, and the folder that it may lie in.
        title: Its name for people.
        door: Its name in torchvision, which reads and downloads the original files; None where
            torchvision has it not: it then comes as class folders, of any size.
        files: The folder of the original files, below the one that torchvision is given.
        form: (C, H, W) of its pictures.
        classes: Their names, in its own order.
        pictures: Split -> how many pictures it has.
        as_folders: Whether it may come as class folders `train|test/CLASS/*` too; `classes` are
            then in alphabetical order.
    """

    name: str
    title: str
    door: str | None
    files: PurePosixPath | None
    form: tuple[int, int, int]
    classes: tuple[str, ...]
    pictures: Mapping[str, int]
    as_folders: bool

    def load(self, request: Request) -> Dataset:
        """Load it from where it is found, or download it where that was asked for.

        It is looked for in `data_dir`; without one, in the folder that DECONVVIZ_DATA names, then
        in the cache folder. Each may be or hold, itself or in a folder of the set's `name`, the
        original files or class folders. Class folders of other classes alone are passed over.

        Raises:
            DataError: It is not found or damaged, or has no such split, size or channels.
        """
        self._check(request)
        for place in self._places(request):
            if (home := self._home(place)) is not None:
                return self._load_original(home, request)
            if self.as_folders and self._has_own_folders(place / "train"):
                return self._load_class_folders(place, request)
        if request.download and self.door:
            home = request.data_dir or cache_folder() / self.name
            return self._load_original(home, request)
        looked = ", ".join(str(root) for root in _roots(request))
        forms = [str(self.files)] * bool(self.files) + ["train/CLASS/*.png"] * self.as_folders
        raise DataError(
            f"{self.title} was not found in {looked}; "
            + ("download it (--download), or " if self.door else "")
            + f"name a folder with {' or '.join(forms)} in --data-dir or DECONVVIZ_DATA"
        )

    def _check(self, request: Request) -> None:
        check_channels(request.channels_or(self.form[0]))
        if request.split not in self.pictures:
            raise DataError(f"{self.title} has no split `{request.split}`; it has train and test")
        side = self.form[-1]
        if self.door and request.size not in (None, side):
            raise DataError(
                f"{self.title}'s pictures are {side} pixels wide, not {request.size}; "
                "leave the size out, or load class folders of another size as `folder`"
            )

    def _places(self, request: Request) -> Iterator[Path]:
        for root in _roots(request):
            yield root
            yield root / self.name

    def _home(self, place: Path) -> Path | None:
        """The folder to give to torchvision, where `place` is it or one on the way to the files."""
        if self.files is None:
            return None
        parts = self.files.parts
        for depth in range(len(parts) + 1):
            if depth and place.parts[-depth:] != parts[:depth]:
                continue
            home = place.parents[depth - 1] if depth else place
            if (home / self.files).is_dir():
                return home
        return None

    def _has_own_folders(self, folder: Path) -> bool:
        """Whether a folder has one of this set's class folders, or none at all."""
        if not folder.is_dir():
            return False
        names = {entry.name for entry in folder.iterdir() if entry.is_dir()}
        return not names or not names.isdisjoint(self.classes)

    def _load_original(self, home: Path, request: Request) -> Dataset:
        assert self.door
        assert self.files
        pixels, targets = _torchvision.published(
            self.door, home, train=request.split == "train", download=request.download
        )
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
        labels = torch.tensor(targets)
        known = bool((labels < len(self.classes)).all())
        if images.shape[1:] != self.form or len(labels) != len(images) or not known:
            raise DataError(
                f"{home / self.files} holds {len(images)} pictures of {tuple(images.shape[1:])} "
                f"and {len(labels)} labels up to {max(targets, default=0)}, which is not "
                f"{self.title}; remove it and download it again (--download)"
            )
        images = in_channels(images, request.channels_or(self.form[0]))
        return Dataset(images, labels, self.classes, self.title)

    def _load_class_folders(self, place: Path, request: Request) -> Dataset:
        if not (place / request.split).is_dir():
            raise DataError(
                f"{place} has no folder `{request.split}`; {self.title} has train and test"
            )
        folders = list_classes(place / request.split)
        missing = sorted(set(self.classes) - set(folders.classes))
        unexpected = sorted(set(folders.classes) - set(self.classes))
        if missing or unexpected:
            raise DataError(
                f"{folders.root} does not have {self.title}'s {len(self.classes)} class folders: "
                f"missing {some(missing) or 'none'}, unexpected {some(unexpected) or 'none'}"
            )
        dataset = decode_folders(folders, self._folder_title(folders, request.split), request)
        height, width = dataset.images.shape[-2:]
        side = request.size or self.form[-1]
        if (height, width) != (side, side):
            raise DataError(
                f"{folders.root} holds pictures of {width}x{height}, and {self.title}'s are "
                f"{side}x{side}; load them as `folder`"
            )
        return dataset

    def _folder_title(self, folders: ClassFolders, split: str) -> str:
        kinds = {Path(file).suffix.lower().replace(".jpg", ".jpeg") for file in folders.files}
        kind = kinds.copy().pop()[1:].upper() if len(kinds) == 1 else "mixed"
        copy = "" if self.door is None or kinds <= _LOSSLESS else f", {kind} copy"
        whole, there = self.pictures[split], len(folders.files)
        part = "" if there == whole else f", {there} of {whole} pictures"
        return f"{self.title}{copy}{part}"


def _roots(request: Request) -> list[Path]:
    if request.data_dir is not None:
        return [request.data_dir]
    named = os.environ.get("DECONVVIZ_DATA")
    return ([Path(named).expanduser()] if named else []) + [cache_folder()]
