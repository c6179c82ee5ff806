"""What is kept of a layer while a data set streams by: its strongest moments, and counts."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["EDGES", "Accumulator", "AccumulatorSpec"]

EDGES = tuple(2.0 ** (half / 2) for half in range(-32, 33))
"""Between the bins of the histogram of peaks, two an octave; silent ones lie below the first."""

_TOP = ("value", "picture", "y", "x")
_COUNTS = ("total", "active", "pictures", "class_total", "histogram")


@dataclass(frozen=True)
class AccumulatorSpec:
    """What to keep of each unit.

    Attributes:
        k: How many of its strongest activations, at most one a picture.
        classes: How many classes the pictures have.
        statistics: Whether to count beside that.
    """

    k: int
    classes: int
    statistics: bool


class Accumulator:
    """The running state of one layer of C units; tallies of two parts of the data can be merged.

    Attributes:
        value: (C, k) the strongest activations so far, falling; 0 where there are fewer.
        picture: (C, k) int64, the picture of each; -1 where there is none. Of equal ones the
            earlier picture comes first.
        y: (C, k) int64, its row in the feature map; of equal positions the first in reading order.
        x: (C, k) int64, its column.
        total: (C,) float64, the sum over pictures of the mean over positions.
        active: (C,) int64, how many positions were above zero.
        pictures: (C,) int64, how many pictures had such a position.
        class_total: (classes, C) float64, `total` by the pictures' class.
        histogram: (C, len(EDGES) + 1) int64, the pictures by the unit's peak in them.
    """

    def __init__(
        self,
        channels: int,
        want: AccumulatorSpec,
        dtype: torch.dtype,
        device: torch.device | str = "cpu",
    ) -> None:
        self.value = torch.zeros(channels, want.k, dtype=dtype, device=device)
        self.picture = torch.full((channels, want.k), -1, device=device)
        self.y, self.x = torch.zeros_like(self.picture), torch.zeros_like(self.picture)
        self.counted = want.statistics
        if self.counted:
            self.total = torch.zeros(channels, dtype=torch.float64, device=device)
            self.active = torch.zeros(channels, dtype=torch.int64, device=device)
            self.pictures = torch.zeros_like(self.active)
            self.class_total = torch.zeros(
                want.classes, channels, dtype=torch.float64, device=device
            )
            self.histogram = torch.zeros(channels, len(EDGES) + 1, dtype=torch.int64, device=device)

    def add(self, maps: Tensor, first: int, labels: Tensor) -> None:
        """Take in the next pictures; all of their numbers are above those before.

        Args:
            maps: (B, C, H, W) activations.
            first: The number of the first of these B pictures in the data set.
            labels: (B,) their classes.
        """
        rows = maps.permute(0, 2, 3, 1).flatten(1, 2)  # in memory as the engine has them: no copy
        peaks = rows.amax(1)
        self._top(rows, peaks, first, maps.shape[3])
        if self.counted:
            self._count(rows, peaks, labels)

    def _top(self, rows: Tensor, peaks: Tensor, first: int, width: int) -> None:
        # Almost always nothing or little is stronger than what there is, so that positions, which
        # take another look at the maps, are sought of those few alone.
        better = peaks > self.value[:, -1]
        units = better.any(0).nonzero()[:, 0]
        if not len(units):
            return
        count = self.value.shape[1]
        value, image = peaks[:, units].sort(dim=0, descending=True, stable=True)
        value, image = value[:count].T, image[:count].T
        joined = torch.cat([self.value[units], value.clamp_min(0)], dim=1)
        joined, origin = joined.sort(dim=1, descending=True, stable=True)
        joined, origin = joined[:, :count], origin[:, :count]
        new = (origin >= count) & (joined > 0)
        unit, rank = new.nonzero(as_tuple=True)
        image = image[unit, origin[unit, rank] - count]
        place = rows[image, :, units[unit]].max(dim=1).indices
        before = origin.clamp_max(count - 1)
        for name, found in (
            ("picture", first + image),
            ("y", place // width),
            ("x", place % width),
        ):
            column: Tensor = getattr(self, name)
            kept = column[units].gather(1, before)
            kept[unit, rank] = found
            column[units] = kept
        self.value[units] = joined

    def _count(self, rows: Tensor, peaks: Tensor, labels: Tensor) -> None:
        means = rows.mean(1).double()
        self.total += means.sum(0)
        members = functional.one_hot(labels, len(self.class_total)).double()
        self.class_total += members.T @ means  # unlike index_add_, in one order on every device
        self.active += rows.sign().clamp_min_(0).sum(1).long().sum(0)
        self.pictures += (peaks > 0).sum(0)
        edges = torch.tensor(EDGES, dtype=peaks.dtype, device=peaks.device)
        bins = torch.bucketize(peaks, edges, right=True)
        bins += torch.arange(peaks.shape[1], device=bins.device) * self.histogram.shape[1]
        self.histogram += torch.bincount(bins.flatten(), minlength=self.histogram.numel()).view_as(
            self.histogram
        )

    def merge(self, other: "Accumulator") -> None:
        """Take in the tally of other pictures; the order of merging changes the sums' last bits."""
        count = self.value.shape[1]
        joined = {n: torch.cat([getattr(self, n), getattr(other, n)], dim=1) for n in _TOP}
        order = joined["picture"].argsort(dim=1, stable=True)
        falling = joined["value"].gather(1, order).argsort(dim=1, descending=True, stable=True)
        order = order.gather(1, falling)[:, :count]
        for name, column in joined.items():
            setattr(self, name, column.gather(1, order))
        if self.counted:
            for name in _COUNTS:
                setattr(self, name, getattr(self, name) + getattr(other, name))

    def tensors(self) -> dict[str, Tensor]:
        """All of it, by name, on the CPU."""
        names = _TOP + (_COUNTS if self.counted else ())
        return {name: getattr(self, name).cpu().contiguous() for name in names}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> "Accumulator":
        """The tally that `tensors` gave these."""
        value = tensors["value"]
        tally = cls(0, AccumulatorSpec(value.shape[1], 0, statistics=False), value.dtype)
        tally.counted = "total" in tensors
        for name, tensor in tensors.items():
            setattr(tally, name, tensor)
        return tally
