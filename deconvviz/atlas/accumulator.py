"""Running top-k and statistics of one layer while a data set streams by."""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

EDGES = tuple(2.0 ** (half / 2) for half in range(-32, 33))
"""Edges of the histogram of peaks, two per octave; inactive pictures lie below the first."""

_TOP = ("value", "picture", "y", "x")


class Accumulator:
    """The running state of one layer of C units; states of two parts of the data can be merged.

    Attributes:
        value: (C, k) strongest activations so far, descending; 0 where there are fewer.
        picture: (C, k) int64, index of the picture of each; -1 where there is none. Of equal
            activations the earlier picture comes first.
        y: (C, k) int64, row in the feature map; of equal positions the first in reading order.
        x: (C, k) int64, column in the feature map.
        total: (C,) float64, sum over pictures of the mean over positions.
        active: (C,) int64, number of positions above zero.
        pictures: (C,) int64, number of pictures with such a position.
        class_total: (classes, C) float64, `total` by class.
        histogram: (C, len(EDGES) + 1) int64, number of pictures by the unit's peak in them.
    """

    value: Tensor
    picture: Tensor
    y: Tensor
    x: Tensor
    total: Tensor
    active: Tensor
    pictures: Tensor
    class_total: Tensor
    histogram: Tensor

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        vars(self).update(tensors)
        self.statistics = "total" in tensors

    @classmethod
    def empty(
        cls,
        channels: int,
        k: int,
        dtype: torch.dtype,
        classes: int | None = None,
        device: torch.device | str = "cpu",
    ) -> "Accumulator":
        """The state before the first picture.

        Args:
            channels: Number of units.
            k: Number of strongest activations, at most one per picture.
            dtype: Data type of activations.
            classes: Number of classes in the data; None accumulates no statistics.
            device: Device of the activations.
        """
        zeros = partial(torch.zeros, dtype=torch.int64, device=device)
        tensors = {"value": zeros(channels, k, dtype=dtype)}
        tensors |= {name: zeros(channels, k) for name in ("picture", "y", "x")}
        tensors["picture"].fill_(-1)
        if classes is not None:
            tensors |= {name: zeros(channels) for name in ("active", "pictures")}
            tensors |= {
                "total": zeros(channels, dtype=torch.float64),
                "class_total": zeros(classes, channels, dtype=torch.float64),
                "histogram": zeros(channels, len(EDGES) + 1),
            }
        return cls(tensors)

    def add(self, maps: Tensor, first: int, labels: Tensor) -> None:
        """Add the next pictures; their indices must be above those of all before.

        Args:
            maps: (B, C, H, W) activations.
            first: Index in the data set of the first of these B pictures.
            labels: (B,) classes.
        """
        rows = maps.permute(0, 2, 3, 1).flatten(1, 2)  # in memory as the engine has them: no copy
        peaks = rows.amax(1)
        self._add_top(rows, peaks, first, maps.shape[3])
        if self.statistics:
            self._add_statistics(rows, peaks, labels)

    def _add_top(self, rows: Tensor, peaks: Tensor, first: int, width: int) -> None:
        # Few units improve in a batch. Positions, which need a second pass over the maps, are
        # found for those alone.
        better = peaks > self.value[:, -1]
        units = better.any(0).nonzero()[:, 0]
        if not len(units):
            return
        count = self.value.shape[1]
        value, image = peaks[:, units].sort(dim=0, descending=True, stable=True)
        value, image = value[:count].T, image[:count].T
        merged = torch.cat([self.value[units], value.clamp_min(0)], dim=1)
        merged, origin = merged.sort(dim=1, descending=True, stable=True)
        merged, origin = merged[:, :count], origin[:, :count]
        new = (origin >= count) & (merged > 0)
        unit, rank = new.nonzero(as_tuple=True)
        image = image[unit, origin[unit, rank] - count]
        position = rows[image, :, units[unit]].max(dim=1).indices
        before = origin.clamp_max(count - 1)
        for name, found in (
            ("picture", first + image),
            ("y", position // width),
            ("x", position % width),
        ):
            column: Tensor = getattr(self, name)
            kept = column[units].gather(1, before)
            kept[unit, rank] = found
            column[units] = kept
        self.value[units] = merged

    def _add_statistics(self, rows: Tensor, peaks: Tensor, labels: Tensor) -> None:
        means = rows.mean(1).double()
        self.total += means.sum(0)
        members = functional.one_hot(labels, len(self.class_total)).double()
        self.class_total += members.T @ means  # unlike index_add_, in one order on every device
        self.active += rows.sign().clamp_min_(0).sum(1).long().sum(0)
        self.pictures += (peaks > 0).sum(0)
        edges = torch.tensor(EDGES, dtype=peaks.dtype, device=peaks.device)
        bins = torch.bucketize(peaks, edges, right=True)
        bins += torch.arange(peaks.shape[1], device=bins.device) * self.histogram.shape[1]
        counts = torch.bincount(bins.flatten(), minlength=self.histogram.numel())
        self.histogram += counts.view_as(self.histogram)

    def merge(self, other: "Accumulator") -> None:
        """Add what another accumulated; the order of merging changes the sums' last bits."""
        count = self.value.shape[1]
        merged = {n: torch.cat([getattr(self, n), getattr(other, n)], dim=1) for n in _TOP}
        order = merged["picture"].argsort(dim=1, stable=True)
        descending = merged["value"].gather(1, order).argsort(dim=1, descending=True, stable=True)
        order = order.gather(1, descending)[:, :count]
        for name, column in merged.items():
            setattr(self, name, column.gather(1, order))
        for name in self.tensors().keys() - set(_TOP):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name."""
        return {name: one for name, one in vars(self).items() if isinstance(one, Tensor)}
