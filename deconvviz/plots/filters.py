"""The kernels of a layer on one scale, and their faults in words."""

import math
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter
from torch import Tensor

from deconvviz.analysis.filters import Filters
from deconvviz.analysis.kernels import NYQUIST_CHANCE
from deconvviz.plots.arrays import mosaic
from deconvviz.plots.display import display
from deconvviz.plots.figures import ACCENTS, NEUTRAL_INK, captioned, picture_on, quiet

_FULL = 100  # percentile of the magnitudes at full contrast: nothing is clipped
_TILE, _GAP = 60, 4  # pixels of a kernel on a sheet, and between two


LEGEND = (
    "A *kernel* is the small pattern of weights that a unit of the first layer looks for. "
    "*Dominant*: much larger weights than the others. *Dead*: its unit is never active. "
    "*Near Nyquist*: patterns as fine as the pixels can show, mostly noise. "
    "*Cosine*: 1 for two equal kernels."
)


def headline(found: Filters) -> str:
    """How many kernels of the first layer are dominant, dead or double."""
    dead = [] if found.dead is None else [f"{int(found.dead.sum())} dead"]
    pairs = len(found.duplicates)
    alike = f"{pairs} pair{'s' * (pairs != 1)} nearly equal"
    counts = ", ".join([f"{int(found.dominant.sum())} dominant", *dead, alike])
    return f"Of the {len(found.kernels)} kernels of the first layer: {counts}."


def summary(found: Filters) -> str:
    """Dominance, dead units, aliasing and duplicates, in this order."""
    return " ".join([_dominance(found), *_dead(found), _aliasing(found), _duplicates(found)])


def _dominance(found: Filters) -> str:
    kernels, count = found.kernels, int(found.dominant.sum())
    largest = int(kernels.rms.argmax())
    return (
        f"Of {len(kernels)} kernels of {kernels.convolution}, {count or 'none'} "
        f"{'is' if count == 1 else 'are'} dominant (RMS above "
        f"{found.options.dominance_threshold:g} x the median): the largest, {largest}, holds "
        f"{kernels.share[largest]:.1%} of the squared weights, where an equal share is "
        f"{1 / len(kernels):.1%}; they are as uneven as if {found.participation_ratio:.0f} equal "
        "ones had them all."
    )


def _dead(found: Filters) -> list[str]:
    if found.dead is None:
        return []
    count = int(found.dead.sum())
    return [f"{count or 'None'} {'is' if count < 2 else 'are'} dead, on {found.data}."]


def _aliasing(found: Filters) -> str:
    stride, aliased = found.kernels.stride, found.kernels.aliased
    text = (
        f"{found.nyquist.mean():.0%} of a kernel's energy on average lies near Nyquist, "
        f"{NYQUIST_CHANCE:.0%} by chance"
    )
    if max(stride) == 1:
        return f"{text}; the stride is 1, so nothing aliases."
    return (
        f"{text}; the stride of {max(stride)} aliases {aliased.mean():.0%} of it, "
        f"{found.kernels.aliased_by_chance:.0%} by chance."
    )


def _duplicates(found: Filters) -> str:
    count = len(found.duplicates)
    cosine = float(found.kernels.nearest[1].abs().mean())
    return (
        f"{count or 'No'} pair{'s' * (count > 1)} {'are' if count > 1 else 'is'} equal but for "
        f"length and sign (|cosine| above {found.options.duplicate_threshold:g}); with the nearest "
        f"other kernel it is {cosine:.2f} on average, {found.chance_similarity:.2f} by chance."
    )


def figure(found: Filters, ink: str = NEUTRAL_INK) -> Figure:
    """All kernels on one scale, as in the paper, and each on its own; below, their numbers."""
    sheet = Figure(figsize=(9.2, 6.2), facecolor="none", layout="constrained")
    rows = sheet.add_gridspec(2, 1, height_ratios=(1.7, 1))
    ((shared, own),) = rows[0].subgridspec(1, 2).subplots(squeeze=False)
    _sheet(shared, found, "all on one scale", "shared", ink)
    _sheet(own, found, "each on its own scale", "each", ink)
    for unit in found.dominant.nonzero()[:, 0].tolist():
        _mark(shared, found, unit, f"{unit}", ACCENTS[0])
    if found.dead is not None:
        for unit in found.dead.nonzero()[:, 0].tolist():
            _mark(shared, found, unit, "dead", ACCENTS[1])
    ((rms, near_nyquist, cosine),) = rows[1].subgridspec(1, 3).subplots(squeeze=False)
    limit = found.options.dominance_threshold * float(found.kernels.rms.median())
    _bars(rms, found.kernels.rms, "RMS; above the line: dominant", limit, ink)
    _bars(near_nyquist, found.nyquist, "energy near Nyquist; line: chance", NYQUIST_CHANCE, ink)
    near_nyquist.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    title = "|cosine| with the nearest; line: chance"
    _bars(cosine, found.kernels.nearest[1].abs(), title, found.chance_similarity, ink)
    times = f" times the scale of {found.kernels.scaled_by}" if found.kernels.scaled_by else ""
    text = (
        f"{found.kernels.convolution} of {found.network}{times}. Signed weights, symmetric about "
        "grey (zero), nothing clipped. Frames: orange dominant, blue dead. Below: by falling value."
    )
    return captioned(sheet, text, ink)


def _columns(found: Filters) -> int:
    return math.ceil(math.sqrt(1.5 * len(found.kernels)))


def _sheet(
    axes: Axes, found: Filters, title: str, scale: Literal["each", "shared"], ink: str
) -> None:
    tiles = display(found.kernels.weights, scale=scale, percentile=_FULL)
    picture_on(axes, mosaic(tiles, _columns(found), gap=_GAP, side=_TILE, crisp=True), "", ink)
    axes.set_title(title, loc="left", fontsize=8, color=ink, pad=3)


def _mark(axes: Axes, found: Filters, unit: int, text: str, colour: str) -> None:
    height, width = found.kernels.weights.shape[2:]
    factor = max(1, round(_TILE / max(height, width)))
    high, wide = height * factor, width * factor
    row, column = divmod(unit, _columns(found))
    corner = (column * (wide + _GAP) - 1.5, row * (high + _GAP) - 1.5)
    axes.add_patch(
        Rectangle(corner, wide + 2, high + 2, fill=False, edgecolor=colour, linewidth=1.6)
    )
    label = {"facecolor": colour, "edgecolor": "none", "pad": 1}
    axes.text(*corner, text, color="white", fontsize=6, va="top", bbox=label)


def _bars(axes: Axes, values: Tensor, title: str, line: float, ink: str) -> None:
    ordered = values.sort(descending=True).values.tolist()
    quiet(axes, ink)
    axes.bar(range(len(ordered)), ordered, width=1, color=ACCENTS[1])
    axes.axhline(line, color=ACCENTS[0], linewidth=1.2, linestyle="--")
    axes.set_title(title, loc="left", fontsize=8, color=ink)
    axes.set_xticks([])
