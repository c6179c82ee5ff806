"""Figures of a sweep: the effect of each change, as differences and as curves."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from deconvviz.plots.figures import ACCENTS, NEUTRAL_INK, plot
from deconvviz.plots.study import drawing
from deconvviz.plots.study.tables import interval, points
from deconvviz.study.metrics import ACCURACY, RECONSTRUCTION, Metric
from deconvviz.study.paired import MARGIN
from deconvviz.study.record import Record
from deconvviz.study.report import NOT_RUN, Effect, Point, Report

_NEAR = 0.12  # of an axis: values nearer than this cannot both be written
_NEAR_COSTS = 0.2  # the same with costs below them
_THIN = 0.19  # inches of a line of a ranking


def sweep_differences(report: Report, ink: str = NEUTRAL_INK) -> Figure:
    """Each arm's difference from a sweep's first: every pair, below them mean and interval."""
    shown = report.effects
    names = _names(report, shown)
    figure, axes = plot(6.4, 0.8 + drawing.ROW * max(len(shown), 2), ink)
    if not shown:
        drawing.draw_nothing(axes, ink)
        return figure
    limits = drawing.limits_of([effect.difference for effect in shown])
    drawing.zero_line(axes, names, limits, ink)
    axes.set_xlabel(f"test accuracy minus that of “{report.base}”, points")
    for row, effect in enumerate(shown):
        drawing.draw_pairs(axes, row, effect.difference, ACCENTS[0], ink)
        if found := effect.difference:
            spread = "one pair" if len(found.pairs) == 1 else interval(found)
            text = f"{points(found.mean)}\n{spread}"
        else:
            run = report.runs(effect.contrast.arm, effect.labels)
            text = "no seed in common" if run else NOT_RUN
        drawing.write_in_row(axes, row, text, ink, missing=found is None)
    return figure


def ranked_differences(report: Report, ink: str = NEUTRAL_INK) -> Figure:
    """Each change of a sweep on a thin line, from the largest gain to the largest loss.

    A dot is the mean difference from the first arm, a bar its 95 % interval. Left out are arms that
    are the first one by another name, and hence differ in no pair.
    """
    shown = [e for e in report.effects if e.difference and any(e.difference.pairs)]
    shown.sort(key=lambda effect: effect.difference.mean if effect.difference else 0, reverse=True)
    figure, axes = plot(5.2, 0.7 + _THIN * max(len(shown), 3), ink)
    if not shown:
        drawing.draw_nothing(axes, ink)
        return figure
    drawing.name_rows(axes, _names(report, shown))
    axes.axvspan(-100 * MARGIN, 100 * MARGIN, color=ink, alpha=0.16, linewidth=0)
    axes.axvline(0, color=ink, linewidth=1)
    axes.grid(axis="x", color=ink, alpha=0.15, linewidth=0.6)
    axes.set_xlabel("less accurate  ←  percentage points  →  more accurate")
    for row, effect in enumerate(shown):
        if (found := effect.difference) is None:
            continue
        if found.low is not None and found.high is not None:
            axes.plot([100 * found.low, 100 * found.high], [row] * 2, color=ink, linewidth=1.2)
        axes.plot(100 * found.mean, row, "o", color=ACCENTS[0], markersize=4.5)
    return figure


def _names(report: Report, effects: Sequence[Effect]) -> list[str]:
    """The changes, with their labels where these are not the first number of them."""
    usual = next(iter(report.plan.budgets))
    return [e.contrast.arm + f", {e.labels} labels" * (e.labels != usual) for e in effects]


def factor_curves(report: Report, columns: int = 2, ink: str = NEUTRAL_INK) -> Figure:
    """Test accuracy by the value of each factor: every run, means joined, bars of one deviation.

    Below each value stand the median seconds of training, and, where they differ, the parameters
    of the classifier and the multiply-adds of training on one picture. Values that are numbers
    stand where they belong, on a logarithmic axis if the largest is ten times the smallest.
    Factors that are set share one scale, so that a steeper curve is a stronger effect.
    """
    return _curves(report, report.factors, ACCURACY, columns, ink)


def reconstruction_curves(report: Report, columns: int = 2, ink: str = NEUTRAL_INK) -> Figure:
    """The decoder's reconstruction error by the value of each factor, as `factor_curves`."""
    factors = report.factors_with(RECONSTRUCTION)
    return _curves(report, factors, RECONSTRUCTION, columns, ink)


def _curves(
    report: Report,
    factors: Mapping[str, Sequence[Point]],
    metric: Metric,
    columns: int,
    ink: str,
) -> Figure:
    """One metric by the value of each factor."""
    figure, panels = drawing.make_panels(max(len(factors), 1), columns, 3.2, ink)
    for axes, (factor, found) in zip(panels, factors.items(), strict=False):
        by_labels = "" if found[0].is_set else ", by number of labels"
        drawing.write_title(axes, factor.replace("-", " ") + by_labels, ink)
        _factor(axes, report, found, metric, ink)
    drawn = zip(panels, factors.values(), strict=False)
    drawing.one_scale([axes for axes, found in drawn if found[0].is_set])
    if not factors:
        drawing.draw_nothing(panels[0], ink)
    return figure


def _factor(axes: Axes, report: Report, found: Sequence[Point], metric: Metric, ink: str) -> None:
    """One factor's curve, or one for each budget."""
    runs = {point: records for point in found if (records := report.runs(*point))}
    costs = {_cost(records) for records in runs.values()}
    values = dict.fromkeys(point.value for point in found)
    places, logarithmic = _places(values, _NEAR if len(costs) < 2 else _NEAR_COSTS)
    budgets = list(dict.fromkeys(p.labels for p in found if p.is_set))
    curves = [[p for p in runs if p.labels == n] for n in budgets] or [list(runs)]
    styles = drawing.styles_of([str(n) for n in budgets] or [""])
    for own, style in zip(curves, styles.values(), strict=True):
        own.sort(key=lambda point: places[point.value])
        x, groups = [places[point.value] for point in own], [runs[point] for point in own]
        drawing.draw_curve(axes, x, groups, style, metric)
        if len(curves) > 1 and own and (last := metric.of(groups[-1])):
            text, end = f"    {own[-1].labels} labels", (x[-1], float(np.mean(last)))
            axes.annotate(text, end, color=style.colour, fontsize=drawing.SMALL, va="center")
    low, high = min(places.values()), max(places.values())  # run or not
    if logarithmic:
        axes.set_xscale("log")
        more = (high / low) ** 0.15
        axes.set_xlim(low / more, high * more)
    else:
        more = 0.15 * (high - low)
        axes.set_xlim(low - more, high + more)
    by_value = {point.value: records for point, records in reversed(runs.items())}
    written = [_written(value, by_value.get(value), with_cost=len(costs) > 1) for value in places]
    axes.set_xticks(list(places.values()), written, fontsize=drawing.SMALL)
    axes.xaxis.set_minor_locator(NullLocator())
    text = "parameters, multiply-adds, seconds of training"
    if len(costs) == 1:
        text = "each {} parameters, {} multiply-adds".format(*costs.pop())
    axes.set_xlabel(text, fontsize=drawing.SMALL)
    drawing.value_axis(axes, ink, metric.name, share=metric.unit == "%")


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


def _written(value: str, records: Sequence[Record] | None, *, with_cost: bool) -> str:
    """A factor's value, and below it the cost of its runs and their time in seconds."""
    if records is None:
        return f"{value}\n{NOT_RUN}"
    seconds = np.median([record.seconds for record in records])
    return "\n".join([value, *(_cost(records) if with_cost else ()), f"{seconds:.0f} s"])


def _cost(records: Sequence[Record]) -> tuple[str, str]:
    """The classifier's parameters, and the multiply-adds of training on one picture."""
    first = records[0]
    return f"{first.parameters / 1e6:.2f} M", f"{first.training_multiply_adds / 1e6:.0f} M"
