"""Filters: the first layer's kernels on one scale, and what is wrong with them (Fig. 6)."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter
from torch import Tensor

from deconvviz.analysis.kernels import Kernels, kernels_of
from deconvviz.analysis.peaks import peaks
from deconvviz.analysis.result import Result
from deconvviz.deconv import Deconvnet
from deconvviz.errors import SettingError
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset
from deconvviz.plots.display import display
from deconvviz.plots.figures import ACCENTS, NEUTRAL_INK, mosaic, picture_on, quiet
from deconvviz.progress import Progress

__all__ = ["Filters", "filters"]

NYQUIST_BAND = 0.375
"""Cycles a pixel above which a frequency counts as near Nyquist (0.5): the upper quarter."""

NYQUIST_CHANCE = 1 - (2 * NYQUIST_BAND) ** 2
"""The share of a random kernel's energy that lies there."""

_DRAWS = 20  # layers of random kernels, for how alike such are
_FULL = 100  # percentile of the magnitudes at full contrast: nothing is clipped
_TILE, _GAP = 60, 4  # pixels of a kernel on a sheet, and between two


@dataclass(frozen=True, eq=False)
class Filters(Result):
    """The kernels of one layer, U of them, and how they share its work.

    Attributes:
        network: Its name.
        layer: The rectified map after the convolution.
        kernels: The kernels as the network applies them.
        outsized: A kernel dominates whose RMS is above so many times the layer's median.
        alike: Kernels are duplicates whose cosine is above this, or below its negative.
        chance_likeness: The mean over kernels of the largest |cosine| with another one, for random
            kernels of the same number and size.
        peak: (U,) each unit's largest activation over the data, 0 if never above zero; or None.
        data: What the pictures are, and how many; empty without any.
    """

    network: str
    layer: str
    kernels: Kernels
    outsized: float
    alike: float
    chance_likeness: float
    peak: Tensor | None
    data: str
    name = "filters"

    @property
    def dominant(self) -> Tensor:
        """(U,) bool: kernels that are longer than the others by far."""
        return self.kernels.rms > self.outsized * self.kernels.rms.median()

    @property
    def dead(self) -> Tensor | None:
        """(U,) bool: units that no picture of the data made positive; None without data."""
        return None if self.peak is None else self.peak <= 0

    @property
    def nyquist(self) -> Tensor:
        """(U,) the share of each kernel's energy near Nyquist; `Kernels.energy_above` defines it.

        Near is above 3/8 cycles a pixel on either axis; 44 % for a random kernel.
        """
        return self.kernels.energy_above(NYQUIST_BAND, NYQUIST_BAND)

    @property
    def duplicates(self) -> list[tuple[int, int, float]]:
        """Kernels that are another's copy or negative: the two, the lower first, and their cosine.

        Each kernel is compared with the one most like it.
        """
        twin, cosine = self.kernels.twins
        pairs = {
            (min(unit, other), max(unit, other)): value
            for unit, (other, value) in enumerate(zip(twin.tolist(), cosine.tolist(), strict=True))
            if abs(value) > self.alike
        }
        return [(*pair, value) for pair, value in sorted(pairs.items())]

    @property
    def worth(self) -> float:
        """How many kernels of one length, the rest zero, share as unevenly: 1 to U.

        That is the inverse of the sum of squared shares, the participation ratio.
        """
        share = self.kernels.share
        return float(1 / share.square().sum()) if share.any() else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Every number, a row for each kernel."""
        kernels, dead = self.kernels, self.dead
        twin, cosine = kernels.twins
        columns = {
            "rms": kernels.rms,
            "share of squared weights": kernels.share,
            "dominant": self.dominant,
            "near Nyquist": self.nyquist,
            "folded by the stride": kernels.folded,
            "most like": twin,
            "cosine": cosine,
        }
        if self.peak is not None and dead is not None:
            columns |= {"largest activation": self.peak, "dead": dead}
        lists = {title: column.tolist() for title, column in columns.items()}
        return {
            "network": self.network,
            "layer": self.layer,
            "convolution": kernels.convolution,
            "times the scale of": kernels.scaled_by,
            "stride": kernels.stride,
            "data": self.data,
            "dominant above": f"{self.outsized:g} x the median RMS",
            "kernels of one length as uneven": self.worth,
            "near Nyquist by chance": NYQUIST_CHANCE,
            "folded by chance": _folded_by_chance(kernels.stride),
            "largest |cosine| by chance": self.chance_likeness,
            "duplicates above": self.alike,
            "duplicates": self.duplicates,
            "kernels": [
                dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)
            ],
        }

    def summary(self) -> str:
        """Dominance, dead units, aliasing and duplicates, in this order."""
        return " ".join([self._dominance(), *self._silence(), self._aliasing(), self._likeness()])

    def _dominance(self) -> str:
        kernels, count = self.kernels, int(self.dominant.sum())
        longest = int(kernels.rms.argmax())
        return (
            f"Of {len(kernels)} kernels of {kernels.convolution}, {count or 'none'} dominate"
            f"{'s' * (count == 1)} (RMS above {self.outsized:g} x the median): the longest, "
            f"{longest}, holds {kernels.share[longest]:.1%} of the squared weights, where an "
            f"equal share is {1 / len(kernels):.1%}; they are as uneven as if {self.worth:.0f} of "
            "one length had them all."
        )

    def _silence(self) -> list[str]:
        if self.dead is None:
            return []
        count = int(self.dead.sum())
        return [f"{count or 'None'} {'is' if count < 2 else 'are'} dead, on {self.data}."]

    def _aliasing(self) -> str:
        stride, folded = self.kernels.stride, self.kernels.folded
        told = (
            f"{self.nyquist.mean():.0%} of a kernel's energy on average lies near Nyquist, "
            f"{NYQUIST_CHANCE:.0%} by chance"
        )
        if max(stride) == 1:
            return f"{told}; the stride is 1, so nothing is folded."
        return (
            f"{told}; the stride of {max(stride)} folds {folded.mean():.0%} of it to lower "
            f"frequencies, {_folded_by_chance(stride):.0%} by chance."
        )

    def _likeness(self) -> str:
        count = len(self.duplicates)
        likeness = float(self.kernels.twins[1].abs().mean())
        return (
            f"{count or 'No'} pair{'s' * (count > 1)} {'are' if count > 1 else 'is'} alike but for "
            f"length and sign (|cosine| above {self.alike:g}); with the most similar other kernel "
            f"it is {likeness:.2f} on average, {self.chance_likeness:.2f} by chance."
        )

    def figure(self, ink: str = NEUTRAL_INK) -> Figure:
        """All kernels on one scale, as in the paper, and each on its own; below, their numbers."""
        figure = Figure(figsize=(9.2, 6.2), facecolor="none", layout="constrained")
        rows = figure.add_gridspec(2, 1, height_ratios=(1.7, 1))
        shared, own = _row(figure, rows[0], 2)
        self._sheet(shared, "all on one scale", "shared", ink)
        self._sheet(own, "each on its own scale", "each", ink)
        for unit in self.dominant.nonzero()[:, 0].tolist():
            self._mark(shared, unit, f"{unit}", ACCENTS[0])
        if self.dead is not None:
            for unit in self.dead.nonzero()[:, 0].tolist():
                self._mark(shared, unit, "dead", ACCENTS[1])
        length, near_nyquist, alike = _row(figure, rows[1], 3)
        limit = self.outsized * float(self.kernels.rms.median())
        _bars(length, self.kernels.rms, "RMS; above the line: dominant", limit, ink)
        _bars(near_nyquist, self.nyquist, "energy near Nyquist; line: chance", NYQUIST_CHANCE, ink)
        near_nyquist.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        likeness = self.kernels.twins[1].abs()
        title = "|cosine| with the most similar; line: chance"
        _bars(alike, likeness, title, self.chance_likeness, ink)
        times = f" times the scale of {self.kernels.scaled_by}" if self.kernels.scaled_by else ""
        figure.supxlabel(
            f"{self.kernels.convolution} of {self.network}{times}. Signed weights, symmetric about "
            "grey (zero), nothing clipped. Frames: orange dominant, blue dead. Below: by falling "
            "value.",
            fontsize=7,
            color=ink,
            x=0.01,
            ha="left",
        )
        return figure

    def _columns(self) -> int:
        return int(np.ceil(np.sqrt(1.5 * len(self.kernels))))

    def _sheet(self, axes: Axes, title: str, scale: Literal["each", "shared"], ink: str) -> None:
        tiles = display(self.kernels.weights, scale=scale, percentile=_FULL)
        axes.set_facecolor("none")
        picture_on(axes, mosaic(tiles, self._columns(), gap=_GAP, side=_TILE), "", ink)
        axes.set_title(title, loc="left", fontsize=8, color=ink, pad=3)

    def _mark(self, axes: Axes, unit: int, text: str, colour: str) -> None:
        """A frame around one kernel of the sheet, and a word in it."""
        height, width = self.kernels.weights.shape[2:]
        factor = max(1, round(_TILE / max(height, width)))
        high, wide = height * factor, width * factor
        row, column = divmod(unit, self._columns())
        corner = (column * (wide + _GAP) - 1.5, row * (high + _GAP) - 1.5)
        frame = Rectangle(corner, wide + 2, high + 2, fill=False, edgecolor=colour, linewidth=1.6)
        axes.add_patch(frame)
        label = {"facecolor": colour, "edgecolor": "none", "pad": 1}
        axes.text(*corner, text, color="white", fontsize=6, va="top", bbox=label)


def filters(
    bundle: Bundle,
    dataset: Dataset | None = None,
    layer: str | None = None,
    *,
    outsized: float = 3.0,
    alike: float = 0.95,
    net: Deconvnet | None = None,
    progress: Progress | None = None,
) -> Filters:
    """Look at a layer's kernels on one scale, and say what is wrong with them.

    Zeiler & Fergus (2014, arXiv:1311.2901, Fig. 6 and section 4.1) saw so in AlexNet's first layer
    that a few kernels dominated, that others were dead, and that a stride of 4 and kernels of high
    and low frequencies without the middle ones gave aliasing.

    Args:
        bundle: The network.
        dataset: Pictures to find dead units on; without any, none are looked for.
        layer: One of the default layers, whose convolution is looked at; by default the first.
        outsized: A kernel dominates whose RMS is above so many times the layer's median.
        alike: Kernels are duplicates whose |cosine| is above this.
        net: The network's deconvnet, where there is one already.
        progress: Told how many pictures are done.

    Raises:
        DataError: The data set has no pictures or other channels than the network.
        SettingError: The network has no convolution that is rectified, or a limit cannot be.
        UnknownLayerError: There is no such layer.
        UnsupportedOperationError: No module of the network holds the kernels.
    """
    if outsized < 1 or not 0 < alike <= 1:
        raise SettingError(
            f"outsized {outsized:g} and alike {alike:g} cannot be; the first is 1 or more, the "
            "second above 0 and at most 1"
        )
    net = net or Deconvnet(bundle.model, bundle.input_size)
    if not net.default_layers:
        raise SettingError(f"`{bundle.name}` has no convolution that is rectified, so no filters")
    layer = net.default_layers[0] if layer is None else layer
    kernels = kernels_of(net, layer)
    peak, data = None, ""
    if dataset is not None:
        found = peaks(net, bundle, dataset, [layer], title="finding dead units", progress=progress)
        peak = found[layer].value[:, 0]
        data = f"{len(dataset)} pictures ({dataset.title})"
    chance = _random_likeness(kernels)
    return Filters(bundle.name, layer, kernels, outsized, alike, chance, peak, data)


def _folded_by_chance(stride: tuple[int, int]) -> float:
    """The share of a random kernel's energy that lies above what the stride carries."""
    return 1 - 1 / (stride[0] * stride[1])


def _random_likeness(kernels: Kernels) -> float:
    """The mean largest |cosine| with another kernel, of random ones of this number and size."""
    generator = torch.Generator().manual_seed(0)
    draws = [
        replace(kernels, weights=torch.randn(kernels.weights.shape, generator=generator))
        for _ in range(_DRAWS)
    ]
    return float(torch.stack([draw.twins[1].abs().mean() for draw in draws]).mean())


def _row(figure: Figure, place: SubplotSpec, count: int) -> list[Axes]:
    """Plots side by side."""
    cells = place.subgridspec(1, count)
    return [figure.add_subplot(cells[column]) for column in range(count)]


def _bars(axes: Axes, values: Tensor, title: str, line: float, ink: str) -> None:
    """Values by falling size, and a line to compare them with."""
    ordered = values.sort(descending=True).values.tolist()
    quiet(axes, ink)
    axes.bar(range(len(ordered)), ordered, width=1, color=ACCENTS[1])
    axes.axhline(line, color=ACCENTS[0], linewidth=1.2, linestyle="--")
    axes.set_title(title, loc="left", fontsize=8, color=ink)
    axes.set_xticks([])
