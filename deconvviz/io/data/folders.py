"""Class folders of pictures: listed, decoded once, then read from the cache."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from deconvviz.errors import DataError
from deconvviz.io.data.cache import cache_folder, read_pixels, write_pixels
from deconvviz.io.data.dataset import Dataset, LoadOptions, stratified_split
from deconvviz.io.data.pictures import decode

_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
_SPLITS = ("train", "val", "test")
_TEST_SIZE = 0.2
_BLOCK = 32  # pictures decoded at a time, by as many threads as the machine likes
# Part of every cache key: raise it when the same files come to decode to other pixels.
_DECODING = 1


@dataclass(frozen=True)
class ClassFolders:
    """The pictures of one split, sorted by class and name.

    Attributes:
        root: Folder that holds the class folders.
        classes: Class names.
        files: Paths of the N pictures, relative to `root`.
        labels: (N,) int64, indices into `classes`.
    """

    root: Path
    classes: tuple[str, ...]
    files: tuple[str, ...]
    labels: Tensor


def load_folder(options: LoadOptions) -> Dataset:
    """Load class folders, `CLASS/*.jpg|png|...`, or `train|val|test/CLASS/*`.

    Folders without such splits are split here: a fifth of each class, the same in every call, is
    "test", the rest "train", and "all" is both. Without a `test` folder, `val` is the test split.
    """
    if options.data_dir is None:
        raise DataError("the data set `folder` needs a folder of class folders in --data-dir")
    root = options.data_dir
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; name one that holds class folders")
    title = f"folder {root.resolve().name}"
    return decode_folders(_split_of(root, options.split), title, options)


def _split_of(root: Path, split: str) -> ClassFolders:
    present = [name for name in _SPLITS if (root / name).is_dir()]
    if "train" not in present:
        return _split(list_classes(root), split)
    wanted = "val" if split == "test" and "test" not in present else split
    if wanted not in present:
        raise DataError(f"{root} has no split `{split}`; it has {', '.join(present)}")
    train, folders = list_classes(root / "train"), list_classes(root / wanted)
    if folders.classes != train.classes:
        odd = sorted(set(folders.classes) ^ set(train.classes))
        raise DataError(
            f"{root / wanted} and {root / 'train'} must have the same class folders; "
            f"only one of them has {first_few(odd)}"
        )
    return folders


def _split(whole: ClassFolders, split: str) -> ClassFolders:
    if split == "all":
        return whole
    if split not in ("train", "test"):
        raise DataError(f"{whole.root} has no split `{split}`; there are train, test, all")
    train, test = stratified_split(whole.labels, _TEST_SIZE, seed=0)
    chosen = train if split == "train" else test
    files = tuple(whole.files[index] for index in chosen.tolist())
    return replace(whole, files=files, labels=whole.labels[chosen])


def list_classes(root: Path) -> ClassFolders:
    """List the class folders of `root` and the pictures in each, without hidden names."""
    classes = tuple(sorted(entry.name for entry in _visible(root) if entry.is_dir()))
    if not classes:
        raise DataError(
            f"{root} holds no folders; put the pictures of each class in one of their own"
        )
    files: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        pictures = sorted(
            f"{name}/{entry.name}"
            for entry in _visible(root / name)
            if Path(entry.name).suffix.lower() in _SUFFIXES
        )
        if not pictures:
            known = ", ".join(sorted(suffix[1:] for suffix in _SUFFIXES))
            raise DataError(f"{root / name} holds no pictures ({known}); add some, or remove it")
        files += pictures
        labels += [label] * len(pictures)
    return ClassFolders(root, classes, tuple(files), torch.tensor(labels, dtype=torch.int64))


def first_few(names: Sequence[str]) -> str:
    """The first few of `names`, for a message."""
    if not names:
        return "none"
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _visible(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        yield from (entry for entry in entries if not entry.name.startswith("."))


def decode_folders(folders: ClassFolders, title: str, options: LoadOptions) -> Dataset:
    """Decode the listed pictures, or read them from the cache.

    They are written to disk as they are decoded, so memory does not grow with their number.
    """
    key = _content_key(folders, options)
    images = read_pixels(key)
    if images is None:
        write_pixels(key, _decoded_blocks(folders, options))
        images = read_pixels(key)
    if images is None:
        raise DataError(f"cannot read back what was written to {cache_folder()}; check its disk")
    return Dataset(images, folders.labels, folders.classes, title)


def _content_key(folders: ClassFolders, options: LoadOptions) -> str:
    """SHA-256 of all that the decoded pixels depend on: file names, bytes, size and channels."""
    head = [_DECODING, PIL.__version__, options.size, options.channels_or(3)]
    digest = hashlib.sha256(json.dumps(head).encode())
    with _bar("reading", folders, options) as bar:
        for file in folders.files:
            path = folders.root / file
            try:
                content = path.read_bytes()
            except OSError as error:
                raise DataError(
                    f"{path} cannot be read ({error.strerror}); remove or replace it"
                ) from error
            digest.update(f"{file}\0{len(content)}\0".encode())
            digest.update(content)
            bar.update()
    return digest.hexdigest()


def _decoded_blocks(folders: ClassFolders, options: LoadOptions) -> Iterator[NDArray[np.uint8]]:
    def decoded(file: str) -> NDArray[np.uint8]:
        return decode(folders.root / file, options.size, options.channels_or(3))

    first = decoded(folders.files[0]).shape
    with ThreadPoolExecutor() as pool, _bar("decoding", folders, options) as bar:
        for start in range(0, len(folders.files), _BLOCK):
            files = folders.files[start : start + _BLOCK]
            for file, picture in zip(files, pool.map(decoded, files), strict=True):
                if picture.shape != first:
                    raise DataError(
                        f"{folders.root / file} is {_size(picture.shape)} and the first picture "
                        f"{_size(first)}; state one size for all (--size)"
                    )
                yield picture[None]
                bar.update()


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[2]} x {shape[1]} pixels"


def _bar(title: str, folders: ClassFolders, options: LoadOptions) -> "tqdm[Any]":
    """A progress bar over the pictures, shown only if the work takes more than a second."""
    return tqdm(
        desc=title,
        total=len(folders.files),
        unit=" pictures",
        delay=1,
        leave=False,
        disable=not options.progress,
    )
