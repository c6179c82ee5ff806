"""Labelled pictures in memory or mapped from disk, and stratified splits of them."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor

from deconvviz.errors import DataError, SettingError
from deconvviz.io.data.cache import empty_pixels

_BLOCK_BYTES = 2**24


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled pictures of one size.

    Attributes:
        images: (N, C, H, W) uint8; above 1 GiB, what this package makes is mapped from disk.
        labels: (N,) int64, indices into `classes`.
        classes: Class names.
        title: Name for people and for cards.
        source: "NAME/SPLIT" that `load_dataset` loaded; empty for anything else.
    """

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    title: str
    source: str = ""

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.dim() != 4:
            got = f"{tuple(self.images.shape)} {self.images.dtype}"
            raise DataError(f"images must be uint8 of shape (N, C, H, W), got {got}")
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            got = f"{tuple(self.labels.shape)} {self.labels.dtype}"
            raise DataError(f"labels must be int64 of shape ({len(self.images)},), got {got}")
        if len(self) and not (self.labels.min() >= 0 and self.labels.max() < len(self.classes)):
            raise DataError(f"labels must be from 0 to {len(self.classes) - 1}")

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of pixels, labels and class names."""
        head = {"shape": list(self.images.shape), "classes": list(self.classes)}
        digest = hashlib.sha256(json.dumps(head).encode())
        for block in _blocks(self.images):
            digest.update(block.cpu().contiguous().numpy().data)
        digest.update(self.labels.cpu().numpy().astype("<i8").data)
        return digest.hexdigest()

    def to(self, device: torch.device | str) -> "Dataset":
        """The same pictures and labels on `device`."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))

    def subset(self, indices: Tensor | Sequence[int]) -> "Dataset":
        """The pictures at `indices`, in that order."""
        chosen = torch.as_tensor(indices, dtype=torch.int64, device=self.images.device)
        blocks = (self.images[rows] for rows in torch.split(chosen, _rows_per_block(self.images)))
        images = _assemble(blocks, self.images, len(chosen))
        return replace(self, images=images, labels=self.labels[chosen], source="")

    def channel_statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and (population) standard deviation of each channel, of pixels in [0, 1].

        Exact for any number of pictures: computed from a histogram of the 256 values.
        """
        channels = self.images.shape[1]
        counts = torch.zeros(channels, 256, dtype=torch.int64, device=self.images.device)
        for block in _blocks(self.images):
            for channel in range(channels):
                counts[channel] += torch.bincount(block[:, channel].flatten(), minlength=256)
        share = counts.double().cpu() / counts.sum(dim=1, keepdim=True).cpu()
        values = torch.arange(256, dtype=torch.float64) / 255
        mean = share @ values
        variance = (share * (values - mean[:, None]).square()).sum(dim=1)
        return tuple(mean.tolist()), tuple(variance.sqrt().tolist())


def _rows_per_block(images: Tensor) -> int:
    return max(1, _BLOCK_BYTES // max(1, images[:1].numel()))


def _blocks(images: Tensor) -> Iterator[Tensor]:
    return iter(torch.split(images, _rows_per_block(images)))


def _assemble(blocks: Iterable[Tensor], like: Tensor, count: int) -> Tensor:
    """Blocks of pictures as one tensor of `count`."""
    images = empty_pixels((count, *like.shape[1:]), like.device)
    start = 0
    for block in blocks:
        images[start : start + len(block)] = block
        start += len(block)
    return images


def concat(first: Dataset, second: Dataset) -> Dataset:
    """Concatenate two data sets.

    Raises:
        DataError: The picture sizes or the classes differ.
    """
    if first.classes != second.classes or first.images.shape[1:] != second.images.shape[1:]:
        raise DataError(
            f"cannot concatenate `{first.title}` and `{second.title}`: pictures of "
            f"{tuple(first.images.shape[1:])} and {tuple(second.images.shape[1:])}, "
            f"{len(first.classes)} and {len(second.classes)} classes; both must be equal"
        )
    labels = torch.cat([first.labels, second.labels])
    blocks = chain(_blocks(first.images), _blocks(second.images))
    images = _assemble(blocks, first.images, len(labels))
    return replace(first, images=images, labels=labels, source="")


def train_test_split(
    dataset: Dataset, test_size: float | int, seed: int = 0
) -> tuple[Dataset, Dataset]:
    """Split a data set in two, with the same class proportions in both.

    Args:
        dataset: N pictures.
        test_size: Fraction of N below 1, or number of pictures, in the second part.
        seed: Random seed; gives the same split on every machine.

    Returns:
        The two parts, each in the order of `dataset`.
    """
    train, test = stratified_split(dataset.labels.cpu(), test_size, seed)
    return dataset.subset(train), dataset.subset(test)


def stratified_subset(dataset: Dataset, count: int, seed: int = 0) -> Dataset:
    """Choose pictures at random, with the class proportions of the data set.

    Args:
        dataset: N pictures.
        count: Number of pictures to choose, at most N.
        seed: Random seed; gives the same choice on every machine.

    Raises:
        DataError: `count` is not from 1 to N.
    """
    if not 0 < count <= len(dataset):
        raise DataError(
            f"`{dataset.title}` has {len(dataset)} pictures; ask for 1 to {len(dataset)} of them, "
            f"got {count}"
        )
    if count == len(dataset):
        return dataset
    return train_test_split(dataset, count, seed)[1]


def at_most(dataset: Dataset, count: int, seed: int = 0) -> Dataset:
    """A `stratified_subset` of `count` pictures; all for 0, and where there are no more."""
    return stratified_subset(dataset, count, seed) if 0 < count < len(dataset) else dataset


def stratified_split(labels: Tensor, test_size: float | int, seed: int) -> tuple[Tensor, Tensor]:
    """Sorted indices of the two parts into which `train_test_split` divides (N,) `labels`."""
    total = len(labels)
    count = test_size if isinstance(test_size, int) else round(test_size * total)
    if not 0 < count < total:
        raise DataError(f"test_size {test_size} of {total} pictures leaves a part empty")
    sizes = torch.bincount(labels)
    quota = sizes.double() * count / total
    taken = quota.long()
    # Largest remainders get the pictures that rounding down left over; ties to the lower class.
    order = (taken - quota).sort(stable=True).indices
    taken[order[: count - int(taken.sum())]] += 1
    generator = torch.Generator().manual_seed(seed)
    shuffled = torch.randperm(total, generator=generator)
    by_class = shuffled[labels[shuffled].sort(stable=True).indices]
    rank = torch.arange(total) - (sizes.cumsum(0) - sizes)[labels[by_class]]
    out = rank < taken[labels[by_class]]
    return by_class[~out].sort().values, by_class[out].sort().values


def with_label_noise(dataset: Dataset, share: float, seed: int = 0) -> Dataset:
    """Replace some labels, chosen at random, by another class, each equally likely.

    Args:
        dataset: N pictures.
        share: Fraction of labels to change, in [0, 1): exactly round(share * N) of them.
        seed: Random seed; gives the same labels on every machine.

    Returns:
        The same pictures; the title says how many labels are wrong, if any are.

    Raises:
        SettingError: The share is not in [0, 1).
        DataError: There is no other class.
    """
    if not 0 <= share < 1:
        raise SettingError(f"label noise must be in [0, 1), got {share}")
    count, classes = round(share * len(dataset)), len(dataset.classes)
    if not count:
        return dataset
    if classes < 2:
        raise DataError(f"label noise needs two classes or more; `{dataset.title}` has {classes}")
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(dataset), generator=generator)[:count]
    steps = torch.randint(1, classes, (count,), generator=generator)
    labels = dataset.labels.cpu().clone()
    labels[chosen] = (labels[chosen] + steps) % classes
    title = f"{dataset.title}, {100 * share:.4g} % of labels wrong"
    return replace(dataset, labels=labels.to(dataset.labels.device), title=title, source="")


@dataclass(frozen=True)
class LoadOptions:
    """Options of `load_dataset`, as each loader receives them."""

    split: str
    data_dir: Path | None
    size: int | None
    channels: int | None
    download: bool
    progress: bool

    def channels_or(self, default: int) -> int:
        """The requested channels, or else the `default` of the data set."""
        return default if self.channels is None else self.channels


Loader = Callable[[LoadOptions], Dataset]
