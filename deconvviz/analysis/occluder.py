"""A square that covers one part of a picture after the other."""

from dataclasses import dataclass

import torch
from torch import Tensor

from deconvviz.errors import SettingError


@dataclass(frozen=True, eq=False)
class Occluder:
    """A square at R x C places, from where it just touches a picture to where it just leaves it.

    Attributes:
        side: Side of the square, in pixels.
        stride: Pixels from one place to the next.
        tops: (R,) int64 first rows, in pixels; negative where it leaves the picture.
        lefts: (C,) int64 first columns.
        shade: (C, 1, 1) colour of the square.
    """

    side: int
    stride: int
    tops: Tensor
    lefts: Tensor
    shade: Tensor

    @classmethod
    def on(
        cls, image: Tensor, shade: Tensor, side: int | None = None, stride: int | None = None
    ) -> "Occluder":
        """An occluder for a picture (C, H, W).

        Its side is by default about a quarter of the picture's shorter one, and its stride the
        largest divisor of that up to a quarter of it.

        Raises:
            SettingError: `stride` does not divide `side`, or `side` is larger than the picture.
        """
        size = image.shape[1:]
        side = 4 * max(1, min(size) // 16) if side is None else side
        if stride is None:
            stride = max(part for part in range(1, max(1, side // 4) + 1) if side % part == 0)
        tops, lefts = (places(length, side, stride) for length in size)
        return cls(side, stride, tops, lefts, shade.to(image))

    def __len__(self) -> int:
        return len(self.tops) * len(self.lefts)

    def cover(self, image: Tensor, rows: slice) -> Tensor:
        """(K, C, H, W): `image` (C, H, W) covered at some of the places, counted row by row."""
        # Made for these alone: the masks of all places could fill the memory.
        top, left = torch.cartesian_prod(self.tops, self.lefts)[rows].T
        down, across = (
            hides(starts, self.side, length)
            for starts, length in zip((top, left), image.shape[1:], strict=True)
        )
        hidden = (down[:, None, :, None] & across[:, None, None, :]).to(image.device)
        return torch.where(hidden, self.shade, image)


def places(length: int, side: int, stride: int) -> Tensor:
    """First pixels of an occluder along one side of a picture, int64, rising.

    Every pixel from 0 to `length` - 1 is covered by exactly `side` / `stride` of the places.

    Raises:
        SettingError: `stride` does not divide `side`, or `side` is not from 1 to `length`.
    """
    if not 1 <= side <= length:
        raise SettingError(f"side must be from 1 to {length}, got {side}")
    if stride < 1 or side % stride:
        raise SettingError(
            f"stride must divide side {side}, so that every pixel is covered equally often, got "
            f"{stride}"
        )
    return torch.arange(stride - side, length, stride)


def hides(starts: Tensor, side: int, length: int) -> Tensor:
    """(K, length) bool: pixels that an occluder covers along one side, starting at each of K."""
    pixel = torch.arange(length)
    return (pixel >= starts[:, None]) & (pixel < starts[:, None] + side)
