"""Panels, axes and marks that the figures of a study share."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray

from deconvviz.plots.figures import ACCENTS, quiet
from deconvviz.study.metrics import ACCURACY, Metric
from deconvviz.study.paired import MARGIN, PairedDifference
from deconvviz.study.record import Record
from deconvviz.study.report import NOT_RUN

LETTERS, SMALL = 8, 7
"""Sizes of letters, in points."""
ROW = 0.44
"""Inches of a line of runs."""
_PANEL = 3.0  # inches that a panel is wide
_LANE = 0.2  # of a row: how far above it its dots lie, and below it their mean


@dataclass(frozen=True)
class Style:
    """Drawing style of one arm's runs; arms differ in more than their colour."""

    colour: str
    marker: str


_STYLES = {
    "A": Style(ACCENTS[1], "o"),
    "A2": Style("#5f9f95", "s"),
    "N": Style("#8487c9", "^"),
    "R-lab": Style("#b3922f", "v"),
    "R-all": Style(ACCENTS[0], "D"),
    "C": Style("#5a9e57", "P"),
    "C+R": Style("#bd5a93", "X"),
}


def make_panels(count: int, columns: int, height: float, ink: str) -> tuple[Figure, list[Axes]]:
    """Some plots in rows of `columns`, each `height` inches high."""
    columns = max(1, min(columns, count))
    rows = -(-count // columns)
    size = (_PANEL * columns + 0.4, height * rows + 0.3)
    figure = Figure(figsize=size, facecolor="none", layout="constrained")
    panels = [figure.add_subplot(rows, columns, place + 1) for place in range(count)]
    for axes in panels:
        quiet(axes, ink)
    return figure, panels


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """One row per name, the first on top."""
    axes.set_yticks(range(len(names)), list(names))
    axes.set_ylim(max(len(names), 1) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def zero_line(axes: Axes, names: Sequence[str], limits: tuple[float, float], ink: str) -> None:
    """Rows of differences around a zero line, with the band of what counts as none."""
    name_rows(axes, names)
    axes.set_xlim(*limits)
    axes.axvspan(-100 * MARGIN, 100 * MARGIN, color=ink, alpha=0.16, linewidth=0)
    axes.axvline(0, color=ink, linewidth=1)
    for row in range(1, len(names)):
        axes.axhline(row - 0.5, color=ink, alpha=0.25, linewidth=0.6)
    axes.grid(axis="x", color=ink, alpha=0.15, linewidth=0.6)


def limits_of(
    found: Iterable[PairedDifference | None], aims: Iterable[float | None] = ()
) -> tuple[float, float]:
    """From the lowest to the highest of all that is drawn, in points, and a little more."""
    ends = [-2 * MARGIN, 2 * MARGIN, *(aim for aim in aims if aim is not None)]
    for one in found:
        if one is not None:
            ends += [*one.pairs, *(end for end in (one.low, one.high) if end is not None)]
    more = 0.05 * (max(ends) - min(ends))
    return 100 * (min(ends) - more), 100 * (max(ends) + more)


def draw_pairs(
    axes: Axes, row: float, found: PairedDifference | None, colour: str, ink: str
) -> None:
    """One row of differences: pairs as dots by seed, below them the mean and its interval."""
    if found is None:
        return
    pairs = 100 * np.asarray(found.pairs)
    aside = np.linspace(-0.14, 0.14, len(pairs)) if len(pairs) > 1 else np.zeros(1)
    draw_dots(axes, pairs, row - _LANE + aside, Style(colour, "o"))
    if found.low is not None and found.high is not None:
        ends = [100 * found.low, 100 * found.high]
        axes.plot(ends, [row + _LANE] * 2, color=ink, linewidth=3, solid_capstyle="butt")
        axes.plot(100 * found.mean, row + _LANE, "|", color=ink, markersize=10, markeredgewidth=2)


def write_in_row(
    axes: Axes, row: int, text: str, ink: str, *, missing: bool, x: float = 1.02, size: int = SMALL
) -> None:
    """Words of a row, by default at its right; in italics where they say what is missing.

    `x` is a share of the panel's width.
    """
    axes.annotate(
        text,
        (x, row),
        xycoords=("axes fraction", "data"),
        va="center",
        color=ink,
        fontsize=size,
        style="italic" if missing else "normal",
    )


def draw_dots(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], style: Style) -> None:
    """Draw runs as dots that stay visible where they overlap."""
    axes.scatter(x, y, s=18, color=style.colour, marker=style.marker, alpha=0.75, linewidths=0)


def draw_curve(
    axes: Axes,
    x: Sequence[float],
    groups: Sequence[Sequence[Record]],
    style: Style,
    metric: Metric = ACCURACY,
) -> None:
    """A metric of groups of runs: runs as dots, means joined, bars of one standard deviation."""
    values = {place: np.array(metric.of(runs)) for place, runs in zip(x, groups, strict=True)}
    measured = {place: found for place, found in values.items() if len(found)}
    if not measured:
        return
    beside = ScaledTranslation(4.5 / 72, 0, axes.figure.dpi_scale_trans)
    for place, found in measured.items():
        axes.scatter(
            [place] * len(found),
            found,
            s=12,
            color=style.colour,
            alpha=0.7,
            linewidths=0,
            transform=axes.transData + beside,
        )
        # dots that are moved by points are not in the limits by themselves
        axes.update_datalim([(place, value) for value in found])
    axes.errorbar(
        list(measured),
        [found.mean() for found in measured.values()],
        [found.std(ddof=1) if len(found) > 1 else 0 for found in measured.values()],
        color=style.colour,
        marker=style.marker,
        markersize=6,
        linewidth=1.4,
        elinewidth=1.4,
        capsize=2,
    )


def styles_of(names: Iterable[str]) -> dict[str, Style]:
    """Arms in their own style, other names in those of the arms, one after the other."""
    spare = list(_STYLES.values())
    unknown = [name for name in dict.fromkeys(names) if name not in _STYLES]
    others = {name: spare[place % len(spare)] for place, name in enumerate(unknown)}
    return {name: _STYLES.get(name) or others[name] for name in dict.fromkeys(names)}


def value_axis(axes: Axes, ink: str, name: str = ACCURACY.name, *, share: bool = True) -> None:
    """The vertical axis of something measured; a share is written in its per cent."""
    axes.set_ylabel(name)
    if share:
        axes.yaxis.set_major_formatter(lambda value, _: f"{round(100 * value, 6):g}%")
    axes.grid(axis="y", color=ink, alpha=0.2, linewidth=0.6)


def one_scale(panels: Sequence[Axes]) -> None:
    """The same vertical scale for all, from the lowest to the highest that any of them shows."""
    ends = [axes.get_ylim() for axes in panels if axes.has_data()]
    for axes in panels if ends else ():
        axes.set_ylim(min(low for low, _ in ends), max(high for _, high in ends))


def write_title(axes: Axes, text: str, ink: str) -> None:
    """Write a panel's title at its left, without matplotlib's mathematical notation."""
    axes.set_title(text, loc="left", fontsize=9, color=ink, parse_math=False)


def draw_nothing(axes: Axes, ink: str, word: str = NOT_RUN) -> None:
    """A plot of nothing, which says so instead of showing empty scales."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.text(
        0.5,
        0.5,
        word,
        transform=axes.transAxes,
        ha="center",
        color=ink,
        fontsize=LETTERS,
        style="italic",
    )
