"""The one form of a data set, and how to hold a part of it out."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from deconvviz.errors import DataError
from deconvviz.io.data.cache import scratch_tensor

__all__ = ["Dataset", "held_out", "joined", "stratified_parts"]

_BLOCK_BYTES = 2**24


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled pictures of one size.

    Attributes:
        images: (N, C, H, W) uint8.
        labels: (N,) int64, positions in `classes`.
        classes: the name of each class.
        title: what the pictures are, for people and for cards.
        mapped: whether `images` are mapped from disk, because memory should not hold them.
    """

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    title: str
    mapped: bool = False

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.dim() != 4:
            form = f"{tuple(self.images.shape)} {self.images.dtype}"
            raise DataError(f"images must be uint8 of shape (N, C, H, W), these are {form}")
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            form = f"{tuple(self.labels.shape)} {self.labels.dtype}"
            raise DataError(f"labels must be {len(self.images)} int64 numbers, these are {form}")
        if len(self) and not (self.labels.min() >= 0 and self.labels.max() < len(self.classes)):
            raise DataError(f"labels must lie in 0..{len(self.classes) - 1}, one for each class")

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of pixels, labels and class names: of the content, wherever it lies."""
        form = {"shape": list(self.images.shape), "classes": list(self.classes)}
        digest = hashlib.sha256(json.dumps(form).encode())
        for block in _blocks(self.images):
            digest.update(block.cpu().contiguous().numpy().data)
        digest.update(self.labels.cpu().numpy().astype("<i8").data)
        return digest.hexdigest()

    def to(self, device: torch.device | str) -> "Dataset":
        """The same pictures and labels on `device`."""
        images, labels = self.images.to(device), self.labels.to(device)
        return replace(self, images=images, labels=labels, mapped=self.mapped and images.is_cpu)

    def subset(self, indices: Tensor | Sequence[int]) -> "Dataset":
        """The pictures at `indices`, in that order; those of a mapped set stay on disk."""
        chosen = torch.as_tensor(indices, dtype=torch.int64, device=self.images.device)
        labels = self.labels[chosen]
        if not self.mapped:
            return replace(self, images=self.images[chosen], labels=labels)
        images = scratch_tensor((len(chosen), *self.images.shape[1:]))
        for target, rows in zip(_blocks(images), _blocks_of_rows(chosen, images), strict=True):
            target.copy_(self.images[rows])
        return replace(self, images=images, labels=labels)

    def channel_statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and (population) standard deviation of each channel, of pixels in [0, 1].

        Counted in a histogram of the 256 values, hence exact however many pictures there are.
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


def _blocks_of_rows(rows: Tensor, images: Tensor) -> Iterator[Tensor]:
    return iter(torch.split(rows, _rows_per_block(images)))


def joined(first: Dataset, second: Dataset) -> Dataset:
    """Both data sets as one, the second after the first.

    Raises:
        DataError: their pictures have different sizes, or their classes differ.
    """
    if first.classes != second.classes or first.images.shape[1:] != second.images.shape[1:]:
        raise DataError(
            f"`{first.title}` and `{second.title}` cannot be joined: pictures of "
            f"{tuple(first.images.shape[1:])} and {tuple(second.images.shape[1:])}, "
            f"{len(first.classes)} and {len(second.classes)} classes; they must be alike"
        )
    labels = torch.cat([first.labels, second.labels])
    if not (first.mapped or second.mapped):
        return replace(first, images=torch.cat([first.images, second.images]), labels=labels)
    images = scratch_tensor((len(labels), *first.images.shape[1:]))
    targets = torch.split(images, [len(first), len(second)])
    for part, target in zip((first, second), targets, strict=True):
        for block, place in zip(_blocks(part.images), _blocks(target), strict=True):
            place.copy_(block)
    return replace(first, images=images, labels=labels, mapped=True)


def held_out(dataset: Dataset, share: float | int, seed: int = 0) -> tuple[Dataset, Dataset]:
    """Split a data set in two, with the classes in the same proportions in both.

    Args:
        dataset: N pictures.
        share: how much is held out: a fraction of N below 1, or a number of pictures.
        seed: which pictures; the same seed chooses the same ones on every machine.

    Returns:
        The pictures that remain and those that are held out, both in their old order.
    """
    remaining, chosen = stratified_parts(dataset.labels.cpu(), share, seed)
    return dataset.subset(remaining), dataset.subset(chosen)


def stratified_parts(labels: Tensor, share: float | int, seed: int) -> tuple[Tensor, Tensor]:
    """The sorted indices that remain and those held out, as `held_out` divides (N,) `labels`."""
    total = len(labels)
    count = share if isinstance(share, int) else round(share * total)
    if not 0 < count < total:
        raise DataError(f"cannot hold {share} of {total} pictures out and keep some of both")
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
