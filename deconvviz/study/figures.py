"""What the runs of a study show, as figures in which every run can be seen.

What was not run says so in words; it is never drawn as a zero. All figures are without a ground,
and those of several panels take the number of their columns, so that they fit a narrow page too.
"""

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray

from deconvviz.figures import ACCENTS, NEUTRAL_INK, plot, quiet
from deconvviz.study.cells import (
    ACCURACY,
    ECE,
    GAP,
    NLL,
    RECONSTRUCTION,
    Cell,
    Measure,
    corruptions,
    interval,
    points,
)
from deconvviz.study.paired import MARGIN, Difference
from deconvviz.study.report import NO_EFFECT, NOT_RUN, Report
from deconvviz.study.sweep import Point, Sweep

__all__ = [
    "accuracy_by_epoch",
    "accuracy_by_labels",
    "calibration",
    "overfitting",
    "paired_differences",
    "recipe_differences",
    "reconstruction_curves",
    "robustness",
    "sweep_curves",
]


@dataclass(frozen=True)
class _Style:
    """How the runs of one arm are drawn, so that arms differ in more than their colour."""

    colour: str
    marker: str


_STYLES = {
    "A": _Style(ACCENTS[1], "o"),
    "A2": _Style("#5f9f95", "s"),
    "N": _Style("#8487c9", "^"),
    "R-lab": _Style("#b3922f", "v"),
    "R-all": _Style(ACCENTS[0], "D"),
    "C": _Style("#5a9e57", "P"),
    "C+R": _Style("#bd5a93", "X"),
}
_UNMEASURED = "not measured"
_LETTERS = 8  # points
_SMALL = 7
_ROW = 0.44  # inches of a line of runs
_PANEL = 3.0  # inches that a panel is wide
_LANE = 0.2  # of a row: how far above it its dots lie, and below it their mean
_NEAR = 0.12  # of an axis: values nearer than this cannot both be written
_NEAR_COSTS = 0.2  # likewise, with what they cost below them
_LEAST = 0.1  # of its greatest value is what an axis of runs spans at least


def paired_differences(report: Report, columns: int = 3, ink: str = NEUTRAL_INK) -> Figure:
    """Every pair of every contrast as a dot, and below the dots their mean and 95 % interval.

    Contrasts are panels and budgets rows; shaded is what counts as no difference, dashed what was
    aimed at.
    """
    names = list(dict.fromkeys(contrast.name for contrast in report.contrasts))
    figure, panels = _panels(len(names), columns, 0.65 + _ROW * len(report.budgets), ink)
    reach = _reach([c.difference for c in report.contrasts], [c.aim for c in report.contrasts])
    for axes, name in zip(panels, names, strict=True):
        contrasts = [c for c in report.contrasts if c.name == name]
        _title(axes, name, ink)
        _zero(axes, [str(c.labels) for c in contrasts], reach, ink)
        axes.set_ylabel("labels")
        colour = _styles([contrasts[0].arm])[contrasts[0].arm].colour
        for row, contrast in enumerate(contrasts):
            _pairs(axes, row, contrast.difference, colour, ink)
            verdict = contrast.verdict.replace(NO_EFFECT, "no effect")
            _beside(axes, row, verdict, ink, missing=contrast.difference is None)
            if contrast.aim is not None:
                _aim(axes, row, contrast.aim, ink)
    for axes in panels[-columns:]:
        axes.set_xlabel("difference of test accuracy, points")
    return figure


def recipe_differences(sweep: Sweep, ink: str = NEUTRAL_INK) -> Figure:
    """How far each arm of a sweep is above the first: every pair, below them mean and interval."""
    shown = [point for point in sweep.points if point.cell.arm != sweep.base]
    several = len({point.cell.labels for point in shown}) > 1
    names = [f"{p.cell.arm}, {p.cell.labels} labels" if several else p.cell.arm for p in shown]
    figure, axes = plot(6.4, 0.8 + _ROW * max(len(shown), 2), ink)
    if not shown:
        _nothing(axes, ink)
        return figure
    _zero(axes, names, _reach([point.difference for point in shown]), ink)
    axes.set_xlabel(f"test accuracy less that of “{sweep.base}”, points")
    for row, point in enumerate(shown):
        _pairs(axes, row, point.difference, ACCENTS[0], ink)
        _beside(axes, row, _change(point), ink, missing=point.difference is None)
    return figure


def _change(point: Point) -> str:
    """The mean difference and its interval, or why there is none."""
    found = point.difference
    if found is None:
        return "no seed in common" if point.cell.records else NOT_RUN
    return f"{points(found.mean)}\n{'one pair' if len(found.pairs) == 1 else interval(found)}"


def accuracy_by_labels(report: Report, ink: str = NEUTRAL_INK) -> Figure:
    """Test accuracy by label budget: every run a dot, and its arm's mean and standard deviation.

    Arms stand beside each other and are not joined: a line that is shifted aside would seem lower.
    """
    figure, axes = plot(7.2, 4.0, ink)
    styles = _styles(report.arms)
    step = 0.8 / len(report.arms)
    for place, arm in enumerate(report.arms):
        aside = step * (place - (len(report.arms) - 1) / 2)
        for budget, labels in enumerate(report.budgets):
            cells = [cell for cell in [report.cell(arm, labels)] if cell.records]
            _curve(axes, [budget + aside] * len(cells), cells, styles[arm])
    run = {record.labels for record in report.records}
    names = [str(n) if n in run else f"{n}\n{NOT_RUN}" for n in report.budgets]
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.5, len(names) - 0.5)
    for budget in range(1, len(names)):
        axes.axvline(budget - 0.5, color=ink, alpha=0.25, linewidth=0.6)
    axes.set_xlabel("labelled training pictures")
    _accuracy(axes, ink)
    _legend(figure, styles, {record.arm for record in report.records}, ink)
    return figure


def accuracy_by_epoch(
    cells: Sequence[Cell], key: str = "test_accuracy", ink: str = NEUTRAL_INK
) -> Figure:
    """A metric by epoch, an arm a curve: the mean of its runs, shaded from their least to greatest.

    Args:
        cells: Arms at one budget.
        key: Of the lines of metrics.
        ink: Colour of lines and letters.
    """
    figure, axes = plot(6.4, 4.0, ink)
    styles = _styles([cell.arm for cell in cells])
    drawn = set()
    for cell in cells:
        by_epoch: dict[float, list[float]] = {}
        for line in (line for record in cell.records for line in record.epochs if key in line):
            by_epoch.setdefault(line["epoch"], []).append(line[key])
        if not by_epoch:
            continue
        drawn.add(cell.arm)
        epochs = sorted(by_epoch)
        low, mean, high = (
            [float(f(by_epoch[epoch])) for epoch in epochs] for f in (np.min, np.mean, np.max)
        )
        style = styles[cell.arm]
        axes.fill_between(epochs, low, high, color=style.colour, alpha=0.18, linewidth=0)
        every = max(1, len(epochs) // 8)
        axes.plot(
            epochs, mean, color=style.colour, marker=style.marker, markersize=5, markevery=every
        )
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _accuracy(axes, ink)
    axes.set_ylabel(key.replace("_", " "))
    if "accuracy" not in key:
        axes.yaxis.set_major_formatter("{x:g}")
    if not drawn:
        _nothing(axes, ink)
    _legend(figure, styles, drawn, ink)
    return figure


def overfitting(report: Report, columns: int = 3, ink: str = NEUTRAL_INK) -> Figure:
    """Training accuracy less test accuracy, a panel for each budget that was run."""
    run = [n for n in report.budgets if any(cell.records for cell in report.at(n))]
    missing = [str(n) for n in report.budgets if n not in run]
    panels = [(f"{n} labels", report.at(n), GAP) for n in run or report.budgets[:1]]
    figure = _dot_panels(panels, columns, ink)
    if missing:
        _note(figure, f"{NOT_RUN}: {', '.join(missing)} labels", ink)
    return figure


def calibration(cells: Sequence[Cell], columns: int = 2, ink: str = NEUTRAL_INK) -> Figure:
    """Negative log-likelihood and expected calibration error, for both of which less is better."""
    panels = [
        ("negative log-likelihood", cells, NLL),
        ("expected calibration error", cells, ECE),
    ]
    return _dot_panels(panels, columns, ink)


def robustness(cells: Sequence[Cell], columns: int = 2, ink: str = NEUTRAL_INK) -> Figure:
    """Test accuracy by strength, a panel a corruption: means, and bars of one deviation.

    Strength 0 is the test pictures as they are.
    """
    names = corruptions([record for cell in cells for record in cell.records])
    figure, panels = _panels(max(len(names), 1), columns, 2.6, ink)
    styles = _styles([cell.arm for cell in cells])
    drawn = set()
    for axes, name in zip(panels, names or ("robustness",), strict=True):
        _title(axes, name, ink)
        for place, cell in enumerate(cells):
            runs = [
                (record.test_accuracy, *record.robustness[name])
                for record in cell.records
                if record.robustness.get(name)
            ]
            if runs:
                drawn.add(cell.arm)
                aside = 0.06 * (place - (len(cells) - 1) / 2)
                _strengths(axes, np.asarray(runs), aside, styles[cell.arm])
        axes.set_xlabel("strength")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _accuracy(axes, ink)
    if not names:
        _nothing(panels[0], ink, _UNMEASURED)
    _legend(figure, styles, drawn, ink, _UNMEASURED)
    return figure


def sweep_curves(sweep: Sweep, columns: int = 2, ink: str = NEUTRAL_INK) -> Figure:
    """Test accuracy by the value of each factor: every run, means joined, bars of one deviation.

    Below each value stand the seconds that training took, and, where they differ, the parameters
    of the classifier and the multiply-adds of training on one picture. Values that are numbers
    stand where they belong, on a logarithmic axis where the largest is ten times the smallest.
    """
    return _curves(sweep.factors, ACCURACY, columns, ink)


def reconstruction_curves(sweep: Sweep, columns: int = 2, ink: str = NEUTRAL_INK) -> Figure:
    """What a decoder leaves of the pictures, by the value of each factor that runs with one had.

    As `sweep_curves`; the lower, the better.
    """
    return _curves(sweep.factors_with(RECONSTRUCTION), RECONSTRUCTION, columns, ink)


def _curves(
    factors: Mapping[str, Sequence[Point]], measure: Measure, columns: int, ink: str
) -> Figure:
    """One measure by the value of each factor."""
    figure, panels = _panels(max(len(factors), 1), columns, 3.2, ink)
    for axes, (factor, found) in zip(panels, factors.items(), strict=False):
        _title(axes, factor.replace("-", " "), ink)
        _factor(axes, found, measure, ink)
    if not factors:
        _nothing(panels[0], ink)
    return figure


def _factor(axes: Axes, found: Sequence[Point], measure: Measure, ink: str) -> None:
    """One factor's curve, or one for each budget."""
    cells = {p.value: p.cell for p in reversed(found) if p.cell.records}
    alike = len({_cost(cell) for cell in cells.values()}) < 2
    values = dict.fromkeys(point.value for point in found)
    places, logarithmic = _places(values, _NEAR if alike else _NEAR_COSTS)
    budgets = list(dict.fromkeys(p.cell.labels for p in found if "=" in p.cell.arm))
    curves = [[p for p in found if p.cell.labels == n] for n in budgets] or [list(found)]
    styles = _styles([str(n) for n in budgets] or [""])
    for own, style in zip(curves, styles.values(), strict=True):
        run = sorted((p for p in own if p.cell.records), key=lambda p: places[p.value])
        _curve(axes, [places[p.value] for p in run], [p.cell for p in run], style, measure)
        if len(curves) > 1 and run and (spread := run[-1].cell.spread(measure)):
            last, end = run[-1].cell, (places[run[-1].value], spread.mean)
            told = f"    {last.labels} labels"
            axes.annotate(told, end, color=style.colour, fontsize=_SMALL, va="center")
    _places_on(axes, places, logarithmic=logarithmic)
    written = [_written(value, cells.get(value), with_cost=not alike) for value in places]
    axes.set_xticks(list(places.values()), written, fontsize=_SMALL)
    axes.xaxis.set_minor_locator(NullLocator())
    told = "parameters, multiply-adds, seconds of training"
    if cells and alike:
        parameters, operations = _cost(next(iter(cells.values())))
        told = f"each {parameters} parameters, {operations} multiply-adds"
    axes.set_xlabel(told, fontsize=_SMALL)
    if measure is ACCURACY:
        _accuracy(axes, ink)
    else:
        axes.set_ylabel(measure.title)
        axes.grid(axis="y", color=ink, alpha=0.2, linewidth=0.6)


def _places(values: Iterable[str], near: float) -> tuple[dict[str, float], bool]:
    """Value -> where it stands, by rising number, and whether on a logarithmic axis.

    Words, and numbers of which two are nearer than that share of the axis, stand at equal steps.
    """
    try:
        numbers = {value: float(value) for value in values}
    except ValueError:
        return {value: float(place) for place, value in enumerate(values)}, False
    ordered = sorted(numbers, key=lambda value: numbers[value])
    first, last = numbers[ordered[0]], numbers[ordered[-1]]
    logarithmic = first > 0 and last >= 10 * first
    shown = [math.log(numbers[v]) if logarithmic else numbers[v] for v in ordered]
    if min(np.diff(shown)) < near * (shown[-1] - shown[0]):
        return {value: float(place) for place, value in enumerate(ordered)}, False
    return {value: numbers[value] for value in ordered}, logarithmic


def _places_on(axes: Axes, places: Mapping[str, float], *, logarithmic: bool) -> None:
    """The horizontal axis from the first place to the last and a little beyond, run or not."""
    first, last = min(places.values()), max(places.values())
    if logarithmic:
        axes.set_xscale("log")
        more = (last / first) ** 0.15
        axes.set_xlim(first / more, last * more)
    else:
        more = 0.15 * (last - first)
        axes.set_xlim(first - more, last + more)


def _written(value: str, cell: Cell | None, *, with_cost: bool) -> str:
    """A factor's value, and below it what its runs cost and the seconds that they took."""
    if cell is None:
        return f"{value}\n{NOT_RUN}"
    seconds = np.mean([record.seconds for record in cell.records])
    return "\n".join([value, *(_cost(cell) if with_cost else ()), f"{seconds:.0f} s"])


def _cost(cell: Cell) -> tuple[str, str]:
    """The classifier's parameters, and the multiply-adds of training on one picture."""
    first = cell.records[0]
    return (
        f"{first.parameters / 1e6:.2f} M",
        f"{first.training_multiply_adds / 1e6:.0f} M",
    )


def _panels(count: int, columns: int, height: float, ink: str) -> tuple[Figure, list[Axes]]:
    """Some plots in rows of `columns`, each `height` inches high."""
    columns = max(1, min(columns, count))
    rows = -(-count // columns)
    size = (_PANEL * columns + 0.4, height * rows + 0.3)
    figure = Figure(figsize=size, facecolor="none", layout="constrained")
    panels = [figure.add_subplot(rows, columns, place + 1) for place in range(count)]
    for axes in panels:
        quiet(axes, ink)
    return figure, panels


def _dot_panels(
    panels: Sequence[tuple[str, Sequence[Cell], Measure]], columns: int, ink: str
) -> Figure:
    """Panels of a title, cells and a measure: a row a cell, every run a dot, its mean a bar."""
    rows = max(len(cells) for _, cells, _ in panels)
    figure, places = _panels(len(panels), columns, 0.8 + 0.26 * rows, ink)
    for axes, (title, cells, measure) in zip(places, panels, strict=True):
        _title(axes, title, ink)
        _rows(axes, [cell.arm for cell in cells])
        axes.grid(axis="x", color=ink, alpha=0.2, linewidth=0.6)
        axes.set_xlabel(measure.title)
        styles = _styles([cell.arm for cell in cells])
        for row, cell in enumerate(cells):
            spread = cell.spread(measure)
            if spread is None:
                _missing(axes, row, _UNMEASURED if cell.records else NOT_RUN, ink)
                continue
            values = measure.scale * np.asarray(spread.values)
            _dots(axes, values, np.full(len(values), row), styles[cell.arm])
            if len(values) > 1:
                axes.plot([values.mean()] * 2, [row - 0.35, row + 0.35], color=ink, linewidth=1.8)
        low, high = axes.dataLim.intervalx
        if high >= low:  # not so near that chance looks like a difference
            reach = max(0.55 * (high - low), _LEAST * max(abs(low), abs(high)) / 2) or 1
            axes.set_xlim((low + high) / 2 - reach, (low + high) / 2 + reach)
        else:
            axes.set_xticks([])
    return figure


def _zero(axes: Axes, names: Sequence[str], reach: tuple[float, float], ink: str) -> None:
    """Rows of differences around a zero line, with the band of what counts as none."""
    _rows(axes, names)
    axes.set_xlim(*reach)
    axes.axvspan(-100 * MARGIN, 100 * MARGIN, color=ink, alpha=0.16, linewidth=0)
    axes.axvline(0, color=ink, linewidth=1)
    for row in range(1, len(names)):
        axes.axhline(row - 0.5, color=ink, alpha=0.25, linewidth=0.6)
    axes.grid(axis="x", color=ink, alpha=0.15, linewidth=0.6)


def _rows(axes: Axes, names: Sequence[str]) -> None:
    """A row a name, the first on top."""
    axes.set_yticks(range(len(names)), list(names))
    axes.set_ylim(max(len(names), 1) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _reach(
    found: Iterable[Difference | None], aims: Iterable[float | None] = ()
) -> tuple[float, float]:
    """From the lowest to the highest of all that is drawn, in points, and a little more."""
    ends = [-2 * MARGIN, 2 * MARGIN, *(aim for aim in aims if aim is not None)]
    for one in found:
        if one is not None:
            ends += [*one.pairs, *(end for end in (one.low, one.high) if end is not None)]
    more = 0.05 * (max(ends) - min(ends))
    return 100 * (min(ends) - more), 100 * (max(ends) + more)


def _pairs(axes: Axes, row: int, found: Difference | None, colour: str, ink: str) -> None:
    """One row of differences: pairs as dots by seed, below them the mean and its interval."""
    if found is None:
        return
    pairs = 100 * np.asarray(found.pairs)
    aside = np.linspace(-0.14, 0.14, len(pairs)) if len(pairs) > 1 else np.zeros(1)
    _dots(axes, pairs, row - _LANE + aside, _Style(colour, "o"))
    if found.low is not None and found.high is not None:
        ends = [100 * found.low, 100 * found.high]
        axes.plot(ends, [row + _LANE] * 2, color=ink, linewidth=3, solid_capstyle="butt")
        axes.plot(100 * found.mean, row + _LANE, "|", color=ink, markersize=10, markeredgewidth=2)


def _aim(axes: Axes, row: int, aim: float, ink: str) -> None:
    """What was aimed at, in its row."""
    axes.plot([100 * aim] * 2, [row - 0.48, row + 0.48], "--", color=ink, linewidth=1.2)
    axes.annotate(
        f"aim {100 * aim:+g}",
        (100 * aim, row - 0.5),
        ha="center",
        va="bottom",
        color=ink,
        fontsize=_SMALL,
    )


def _dots(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], style: _Style) -> None:
    """Runs, each of which can be seen where they lie on each other."""
    axes.scatter(x, y, s=18, color=style.colour, marker=style.marker, alpha=0.75, linewidths=0)


def _curve(
    axes: Axes,
    x: Sequence[float],
    cells: Sequence[Cell],
    style: _Style,
    measure: Measure = ACCURACY,
) -> None:
    """A measure of some cells: runs as dots, their means joined, bars of one deviation."""
    measured = [
        (place, spread)
        for place, cell in zip(x, cells, strict=True)
        if (spread := cell.spread(measure)) is not None
    ]
    if not measured:
        return
    x, spreads = [place for place, _ in measured], [spread for _, spread in measured]
    beside = ScaledTranslation(4.5 / 72, 0, axes.figure.dpi_scale_trans)
    for place, spread in zip(x, spreads, strict=True):
        axes.scatter(
            [place] * len(spread.values),
            spread.values,
            s=12,
            color=style.colour,
            alpha=0.7,
            linewidths=0,
            transform=axes.transData + beside,
        )
    axes.errorbar(
        x,
        [spread.mean for spread in spreads],
        [spread.deviation or 0 for spread in spreads],
        color=style.colour,
        marker=style.marker,
        markersize=6,
        linewidth=1.4,
        elinewidth=1.4,
        capsize=2,
    )


def _strengths(axes: Axes, runs: NDArray[np.float64], aside: float, style: _Style) -> None:
    """Accuracy by strength, (runs, strengths), the first of which is none."""
    axes.errorbar(
        aside + np.arange(runs.shape[1]),
        runs.mean(0),
        runs.std(0, ddof=1) if len(runs) > 1 else None,
        color=style.colour,
        marker=style.marker,
        markersize=4,
        linewidth=1.2,
        elinewidth=1,
    )


def _styles(names: Iterable[str]) -> dict[str, _Style]:
    """Arms in their own style, other names in those of the arms, one after the other."""
    spare = list(_STYLES.values())
    unknown = [name for name in dict.fromkeys(names) if name not in _STYLES]
    others = {name: spare[place % len(spare)] for place, name in enumerate(unknown)}
    return {name: _STYLES.get(name) or others[name] for name in dict.fromkeys(names)}


def _legend(
    figure: Figure,
    styles: Mapping[str, _Style],
    drawn: Container[str],
    ink: str,
    word: str = NOT_RUN,
) -> None:
    """Below the figure the arms by colour and marker, and those that nothing is shown of."""
    handles = [
        Line2D([], [], color=style.colour, marker=style.marker, label=name)
        for name, style in styles.items()
        if name in drawn
    ]
    missing = [name for name in styles if name not in drawn]
    legend = figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=max(1, min(len(handles), int(figure.get_figwidth() / 0.85))),
        frameon=False,
        labelcolor=ink,
        fontsize=_LETTERS,
        title=f"{word}: {', '.join(missing)}" if missing else None,
        title_fontproperties={"size": _LETTERS, "style": "italic"},
    )
    legend.get_title().set_color(ink)


def _accuracy(axes: Axes, ink: str) -> None:
    """The vertical axis of accuracies."""
    axes.set_ylabel("test accuracy")
    axes.yaxis.set_major_formatter(lambda value, _: f"{round(100 * value, 6):g}%")
    axes.grid(axis="y", color=ink, alpha=0.2, linewidth=0.6)


def _title(axes: Axes, title: str, ink: str) -> None:
    axes.set_title(title, loc="left", fontsize=9, color=ink, parse_math=False)


def _missing(axes: Axes, row: int, word: str, ink: str) -> None:
    """A row's word instead of dots, at the left, where it hides no zero line."""
    axes.annotate(
        word,
        (0.02, row),
        xycoords=("axes fraction", "data"),
        va="center",
        color=ink,
        fontsize=_LETTERS,
        style="italic",
    )


def _beside(axes: Axes, row: int, told: str, ink: str, *, missing: bool) -> None:
    """Words at the right of a row, slanted where they stand for what is missing."""
    axes.annotate(
        told,
        (1.02, row),
        xycoords=("axes fraction", "data"),
        va="center",
        color=ink,
        fontsize=_SMALL,
        style="italic" if missing else "normal",
    )


def _nothing(axes: Axes, ink: str, word: str = NOT_RUN) -> None:
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
        fontsize=_LETTERS,
        style="italic",
    )


def _note(figure: Figure, told: str, ink: str) -> None:
    """A line below all panels."""
    figure.supxlabel(told, fontsize=_LETTERS, color=ink, style="italic")
