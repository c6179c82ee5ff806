"""Windows as tensors: reading maps at them, and carrying a signal from one to another.

A signal outside its map is zero, everywhere and always; what is recorded of a map may therefore be
read there as anything. Maps and signals lie channels last in memory, where convolutions are
fastest and one position's channels are one run of bytes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from deconvviz.deconv.geometry import Field, Interval, Shape, then

__all__ = ["Starts", "Windows", "gather", "inside"]


@dataclass(frozen=True)
class Starts:
    """Where K signals start: image, and first position, each of shape (K,)."""

    image: Tensor
    y: Tensor
    x: Tensor

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, rows: slice) -> "Starts":
        return Starts(self.image[rows], self.y[rows], self.x[rows])


@dataclass(frozen=True)
class Windows:
    """The windows of K signals in one value; without a field, each is that image's whole value."""

    starts: Starts
    field: Field | None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        assert self.field is not None
        return self.field[0].size, self.field[1].size

    @property
    def top(self) -> Tensor:
        """The first row of each window, of shape (K,)."""
        assert self.field is not None
        return self.starts.y * self.field[0].stride + self.field[0].offset

    @property
    def left(self) -> Tensor:
        """The first column of each window, of shape (K,)."""
        assert self.field is not None
        return self.starts.x * self.field[1].stride + self.field[1].offset

    def read(self, maps: Tensor) -> Tensor:
        """The windows of recorded maps (N, ..., H, W), or whole rows of values (N, ...).

        What is one for all positions of a map, (N, ..., 1, 1), stays so.
        """
        height, width = maps.shape[-2:]
        whole = (Interval(0, 0, height), Interval(0, 0, width))
        if self.field is None or self.field == whole or (height, width) == (1, 1):
            one_image = len(maps) == 1
            return maps.expand(len(self.starts), *maps.shape[1:]) if one_image else self._of(maps)
        return gather(maps, self.starts.image, self.top, self.left, self.size)

    def _of(self, maps: Tensor) -> Tensor:
        """Each signal's image of the maps, whole."""
        if maps.dim() != 4:
            return maps[self.starts.image]
        return maps.permute(0, 2, 3, 1)[self.starts.image].permute(0, 3, 1, 2)

    def reaching(self, reach: Field | None, whole: "Windows") -> "Windows":
        """What these windows reach below; the `whole` windows there if that is no interval."""
        if self.field is None or reach is None:
            return whole
        return Windows(self.starts, then(self.field, reach))

    def boxes(self) -> Tensor:
        """Top, left, bottom and right of each window: (K, 4)."""
        top, left = self.top, self.left
        return torch.stack([top, left, top + self.size[0], left + self.size[1]], dim=1)

    def carry(self, signal: Tensor, to: "Windows", shape: Shape) -> Tensor:
        """A signal (K, ..., h, w) in these windows, as it is in other windows of the same value.

        It comes out zero outside the map, whose shape is given; a value without positions is
        passed as it is.
        """
        source, target, map_size = self.field, to.field, (shape[-2], shape[-1])
        if source is None or target is None:
            return signal
        if source != target:
            if all(a.stride == b.stride for a, b in zip(source, target, strict=True)):
                signal = functional.pad(
                    signal, (*_margins(source[1], target[1]), *_margins(source[0], target[0]))
                )
            else:
                rows = torch.arange(len(signal), device=signal.device)
                top, left = to.top - self.top, to.left - self.left
                within = inside(top, left, to.size, self.size)
                signal = _masked(gather(signal, rows, top, left, to.size), within)
        if to.are_inside(map_size):
            return signal
        return _masked(signal, inside(to.top, to.left, to.size, map_size))

    def are_inside(self, map_size: tuple[int, int]) -> bool:
        """Whether no window leaves the map, as far as that can be told without a wait."""
        assert self.field is not None
        if all(map(_always_inside, self.field, map_size)):
            return True
        if self.starts.image.is_cuda or not len(self.starts):
            return False
        return all(
            first.min() >= 0 and first.max() + reach.size <= length
            for first, reach, length in zip(
                (self.top, self.left), self.field, map_size, strict=True
            )
        )


def gather(maps: Tensor, rows: Tensor, top: Tensor, left: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut K windows of one size out of maps (N, ..., H, W); beyond an edge the edge is repeated."""
    ys = _positions(top, size[0]).clamp(0, maps.shape[-2] - 1)
    xs = _positions(left, size[1]).clamp(0, maps.shape[-1] - 1)
    planes = maps.flatten(1, -3).permute(0, 2, 3, 1)
    cut = planes[rows[:, None, None], ys[:, :, None], xs[:, None]].permute(0, 3, 1, 2)
    return cut.reshape(len(rows), *maps.shape[1:-2], *size)


def _masked(signal: Tensor, mask: Tensor) -> Tensor:
    """A signal (K, ..., h, w) times a mask (K, 1, h, w)."""
    between = [1] * (signal.dim() - 3)
    return signal * mask.view(len(mask), *between, *mask.shape[2:]).to(signal.dtype)


def _positions(first: Tensor, count: int) -> Tensor:
    return first[:, None] + torch.arange(count, device=first.device)


def inside(top: Tensor, left: Tensor, size: tuple[int, int], bounds: tuple[int, int]) -> Tensor:
    """Which positions of K windows of one size lie within the bounds: (K, 1, height, width)."""
    ys, xs = _positions(top, size[0]), _positions(left, size[1])
    ys, xs = (ys >= 0) & (ys < bounds[0]), (xs >= 0) & (xs < bounds[1])
    return ys[:, None, :, None] & xs[:, None, None]


def _margins(source: Interval, target: Interval) -> tuple[int, int]:
    before = source.offset - target.offset
    return before, target.size - source.size - before


def _always_inside(window: Interval, length: int) -> bool:
    return window.stride == 0 and window.offset >= 0 and window.offset + window.size <= length
