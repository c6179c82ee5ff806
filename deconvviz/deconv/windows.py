"""Windows as tensors: reading maps at them, and moving a signal from one to another.

A signal outside its map is zero, everywhere and always; what is recorded of a map may therefore be
read there as anything. Maps and signals lie channels last in memory, where convolutions are
fastest and one position's channels are one run of bytes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from deconvviz.deconv.geometry import Field, Interval, Shape, everywhere, then


@dataclass(frozen=True)
class Anchors:
    """The position in the projected layer from which each of G windows is counted.

    Attributes:
        image: (G,) the image of the recording.
        y: (G,) row in the layer's maps.
        x: (G,) column in the layer's maps.
    """

    image: Tensor
    y: Tensor
    x: Tensor

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, rows: slice) -> "Anchors":
        return Anchors(self.image[rows], self.y[rows], self.x[rows])

    def to(self, device: torch.device) -> "Anchors":
        """A copy on a device."""
        return Anchors(self.image.to(device), self.y.to(device), self.x.to(device))


@dataclass(frozen=True)
class Windows:
    """The windows of G signals in one value, all of one size.

    Attributes:
        anchors: Positions that the windows are relative to.
        field: From anchor to window, along y and x; None: the whole value, without positions.
    """

    anchors: Anchors
    field: Field | None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        assert self.field is not None
        return self.field[0].size, self.field[1].size

    @property
    def top(self) -> Tensor:
        """(G,) the first row of each window."""
        assert self.field is not None
        return self.anchors.y * self.field[0].stride + self.field[0].offset

    @property
    def left(self) -> Tensor:
        """(G,) the first column of each window."""
        assert self.field is not None
        return self.anchors.x * self.field[1].stride + self.field[1].offset

    def boxes(self) -> Tensor:
        """(G, 4) top, left, bottom and right of each window."""
        top, left = self.top, self.left
        return torch.stack([top, left, top + self.size[0], left + self.size[1]], dim=1)

    def read(self, maps: Tensor) -> Tensor:
        """The windows of recorded maps.

        Args:
            maps: (N, ..., H, W); (N, ..., 1, 1), one number for all positions, which stays so; or
                (N, ...) without positions.

        Returns:
            (G, ..., h, w), (G, ..., 1, 1) or (G, ...).
        """
        if self.field in (None, everywhere(maps.shape)) or maps.shape[-2:] == (1, 1):
            one_image = len(maps) == 1  # expanded, which copies nothing
            return maps.expand(len(self.anchors), *maps.shape[1:]) if one_image else self._of(maps)
        return gather(maps, self.anchors.image, self.top, self.left, self.size)

    def _of(self, maps: Tensor) -> Tensor:
        """Each signal's image of the maps, whole."""
        if maps.dim() != 4:
            return maps[self.anchors.image]
        return maps.permute(0, 2, 3, 1)[self.anchors.image].permute(0, 3, 1, 2)

    def below(self, field: Field | None, whole: "Windows") -> "Windows":
        """The windows that an operation of this receptive field reads for these.

        Args:
            field: The operation's receptive field; None where that is no interval.
            whole: The windows in the operation's input, which then are the whole map.
        """
        if self.field is None or field is None:
            return whole
        return Windows(self.anchors, then(self.field, field))

    def move(self, signal: Tensor, to: "Windows", shape: Shape) -> Tensor:
        """Crop or pad a signal in these windows to other windows of the same value.

        Args:
            signal: (G, ..., h, w), or (G, ...) without positions, which is passed as it is.
            to: The other windows.
            shape: The shape of the value; beyond its last two axes the result is zero.
        """
        source, target, map_size = self.field, to.field, (shape[-2], shape[-1])
        if source is None or target is None:
            return signal
        if source != target:
            if all(a.stride == b.stride for a, b in zip(source, target, strict=True)):
                signal = functional.pad(
                    signal, (*_margins(source[1], target[1]), *_margins(source[0], target[0]))
                )
            else:  # one window is the whole map, so that each signal moves by another distance
                rows = torch.arange(len(signal), device=signal.device)
                top, left = to.top - self.top, to.left - self.left
                within = inside(top, left, to.size, self.size)
                signal = _masked(gather(signal, rows, top, left, to.size), within)
        if to.are_inside(map_size):
            return signal
        return _masked(signal, inside(to.top, to.left, to.size, map_size))

    def are_inside(self, map_size: tuple[int, int]) -> bool:
        """Whether no window leaves the map; False where only a wait for a GPU could show it."""
        assert self.field is not None
        if all(map(_always_inside, self.field, map_size)):
            return True
        if self.anchors.image.is_cuda or not len(self.anchors):
            return False
        return all(
            first.min() >= 0 and first.max() + window.size <= length
            for first, window, length in zip(
                (self.top, self.left), self.field, map_size, strict=True
            )
        )


def gather(maps: Tensor, rows: Tensor, top: Tensor, left: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut G windows of one size out of maps; beyond an edge the edge is repeated.

    Args:
        maps: (N, ..., H, W), of any dtype.
        rows: (G,) which of the N each window is cut from.
        top: (G,) first row.
        left: (G,) first column.
        size: Height and width.

    Returns:
        (G, ..., height, width).
    """
    ys = _positions(top, size[0]).clamp(0, maps.shape[-2] - 1)
    xs = _positions(left, size[1]).clamp(0, maps.shape[-1] - 1)
    planes = maps.flatten(1, -3).permute(0, 2, 3, 1)
    cut = planes[rows[:, None, None], ys[:, :, None], xs[:, None]].permute(0, 3, 1, 2)
    return cut.reshape(len(rows), *maps.shape[1:-2], *size)


def inside(top: Tensor, left: Tensor, size: tuple[int, int], bounds: tuple[int, int]) -> Tensor:
    """(G, 1, height, width) which positions of G windows of one size lie within the bounds."""
    ys, xs = _positions(top, size[0]), _positions(left, size[1])
    ys, xs = (ys >= 0) & (ys < bounds[0]), (xs >= 0) & (xs < bounds[1])
    return ys[:, None, :, None] & xs[:, None, None]


def _masked(signal: Tensor, mask: Tensor) -> Tensor:
    """A signal (G, ..., h, w) times a mask (G, 1, h, w)."""
    between = [1] * (signal.dim() - 3)
    return signal * mask.view(len(mask), *between, *mask.shape[2:]).to(signal.dtype)


def _positions(first: Tensor, count: int) -> Tensor:
    return first[:, None] + torch.arange(count, device=first.device)


def _margins(source: Interval, target: Interval) -> tuple[int, int]:
    before = source.offset - target.offset
    return before, target.size - source.size - before


def _always_inside(window: Interval, length: int) -> bool:
    return window.stride == 0 and window.offset >= 0 and window.offset + window.size <= length
