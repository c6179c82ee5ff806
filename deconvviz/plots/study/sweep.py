"""A sweep's runs: what each change does, as differences and as curves."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from deconvviz.plots.figures import ACCENTS, NEUTRAL_INK, plot
from deconvviz.plots.study import parts
from deconvviz.study.cells import ACCURACY, RECONSTRUCTION, Cell, Measure, interval, points
from deconvviz.study.report import NOT_RUN
from deconvviz.study.sweep import Point, Sweep

__all__ = ["recipe_differences", "reconstruction_curves", "sweep_curves"]

_NEAR = 0.12  # of an axis: values nearer than this cannot both be written
_NEAR_COSTS = 0.2  # likewise, with what they cost below them


def recipe_differences(sweep: Sweep, ink: str = NEUTRAL_INK) -> Figure:
    """How far each arm of a sweep is above the first: every pair, below them mean and interval."""
    shown = [point for point in sweep.points if point.cell.arm != sweep.base]
    several = len({point.cell.labels for point in shown}) > 1
    names = [f"{p.cell.arm}, {p.cell.labels} labels" if several else p.cell.arm for p in shown]
    figure, axes = plot(6.4, 0.8 + parts.ROW * max(len(shown), 2), ink)
    if not shown:
        parts.draw_nothing(axes, ink)
        return figure
    parts.zero_line(axes, names, parts.reach_of([point.difference for point in shown]), ink)
    axes.set_xlabel(f"test accuracy less that of “{sweep.base}”, points")
    for row, point in enumerate(shown):
        parts.draw_pairs(axes, row, point.difference, ACCENTS[0], ink)
        parts.write_beside(axes, row, _change(point), ink, missing=point.difference is None)
    return figure


def sweep_curves(sweep: Sweep, columns: int = 2, ink: str = NEUTRAL_INK) -> Figure:
    """Test accuracy by the value of each factor: every run, means joined, bars of one deviation.

    Below each value stand the median seconds of training, and, where they differ, the parameters
    of the classifier and the multiply-adds of training on one picture. Values that are numbers
    stand where they belong, on a logarithmic axis where the largest is ten times the smallest.
    Factors that are set have one scale, so that a steeper curve is a stronger lever.
    """
    return _curves(sweep.factors, ACCURACY, columns, ink)


def reconstruction_curves(sweep: Sweep, columns: int = 2, ink: str = NEUTRAL_INK) -> Figure:
    """What a decoder leaves of the pictures, by the value of each factor that runs with one had.

    As `sweep_curves`; the lower, the better.
    """
    return _curves(sweep.factors_with(RECONSTRUCTION), RECONSTRUCTION, columns, ink)


def _change(point: Point) -> str:
    """The mean difference and its interval, or why there is none."""
    found = point.difference
    if found is None:
        return "no seed in common" if point.cell.records else NOT_RUN
    return f"{points(found.mean)}\n{'one pair' if len(found.pairs) == 1 else interval(found)}"


def _curves(
    factors: Mapping[str, Sequence[Point]], measure: Measure, columns: int, ink: str
) -> Figure:
    """One measure by the value of each factor."""
    figure, panels = parts.make_panels(max(len(factors), 1), columns, 3.2, ink)
    for axes, (factor, found) in zip(panels, factors.items(), strict=False):
        by_labels = "" if found[0].is_set else ", by number of labels"
        parts.write_title(axes, factor.replace("-", " ") + by_labels, ink)
        _factor(axes, found, measure, ink)
    levers = zip(panels, factors.values(), strict=False)
    parts.one_scale([axes for axes, found in levers if found[0].is_set])
    if not factors:
        parts.draw_nothing(panels[0], ink)
    return figure


def _factor(axes: Axes, found: Sequence[Point], measure: Measure, ink: str) -> None:
    """One factor's curve, or one for each budget."""
    cells = {p.value: p.cell for p in reversed(found) if p.cell.records}
    alike = len({_cost(cell) for cell in cells.values()}) < 2
    values = dict.fromkeys(point.value for point in found)
    places, logarithmic = _places(values, _NEAR if alike else _NEAR_COSTS)
    budgets = list(dict.fromkeys(p.cell.labels for p in found if p.is_set))
    curves = [[p for p in found if p.cell.labels == n] for n in budgets] or [list(found)]
    styles = parts.styles_of([str(n) for n in budgets] or [""])
    for own, style in zip(curves, styles.values(), strict=True):
        run = sorted((p for p in own if p.cell.records), key=lambda p: places[p.value])
        parts.draw_curve(
            axes, [places[p.value] for p in run], [p.cell for p in run], style, measure
        )
        if len(curves) > 1 and run and (spread := run[-1].cell.spread(measure)):
            last, end = run[-1].cell, (places[run[-1].value], spread.mean)
            told = f"    {last.labels} labels"
            axes.annotate(told, end, color=style.colour, fontsize=parts.SMALL, va="center")
    _places_on(axes, places, logarithmic=logarithmic)
    written = [_written(value, cells.get(value), with_cost=not alike) for value in places]
    axes.set_xticks(list(places.values()), written, fontsize=parts.SMALL)
    axes.xaxis.set_minor_locator(NullLocator())
    told = "parameters, multiply-adds, seconds of training"
    if cells and alike:
        parameters, operations = _cost(next(iter(cells.values())))
        told = f"each {parameters} parameters, {operations} multiply-adds"
    axes.set_xlabel(told, fontsize=parts.SMALL)
    parts.value_axis(axes, ink, measure.name, share=measure.unit == "%")


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
    seconds = np.median([record.seconds for record in cell.records])
    return "\n".join([value, *(_cost(cell) if with_cost else ()), f"{seconds:.0f} s"])


def _cost(cell: Cell) -> tuple[str, str]:
    """The classifier's parameters, and the multiply-adds of training on one picture."""
    first = cell.records[0]
    return (
        f"{first.parameters / 1e6:.2f} M",
        f"{first.training_multiply_adds / 1e6:.0f} M",
    )
