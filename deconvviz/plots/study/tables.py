"""A study's results as tables, for a page, a notebook or Markdown."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from deconvviz.plots.display import minus
from deconvviz.study.metrics import (
    ACCURACY,
    CLARITY,
    COSTS,
    GAP,
    RECONSTRUCTION,
    TRAINING,
    Metric,
)
from deconvviz.study.paired import PairedDifference
from deconvviz.study.record import Record
from deconvviz.study.report import NOT_RUN, Effect, Report


def points(share: float) -> str:
    """A difference of accuracies, in percentage points with its sign."""
    return minus(f"{100 * share:+.2f}")


def interval(found: PairedDifference) -> str:
    """The 95 % interval of a difference of accuracies, in points; a dash with one pair."""
    if found.low is None or found.high is None:
        return "–"
    return f"{points(found.low)} to {points(found.high)}"


def cell(metric: Metric, records: Sequence[Record]) -> str:
    """A metric of some runs: mean ± standard deviation, or median and range, and their number."""
    values = metric.of(records)
    if not values:
        return "not measured" if records else NOT_RUN
    spread, count = "", f"({len(values)})"
    if metric.median:
        lowest, highest = metric.format(min(values)), metric.format(max(values))
        spread = f", {lowest} to {highest}" if lowest != highest else ""
        return f"{metric.format(statistics.median(values))}{spread} {count}"
    if len(values) > 1 and (deviation := statistics.stdev(values)):
        spread = f" ± {metric.format(deviation)}"
    return f"{metric.format(statistics.fmean(values))}{spread} {count}"


def metric_table(report: Report, metric: Metric) -> pd.DataFrame:
    """One metric, arms by budgets."""
    rows = [
        [arm, *(cell(metric, report.runs(arm, labels)) for labels in report.budgets)]
        for arm in report.arms
    ]
    return pd.DataFrame(rows, columns=["arm", *(f"{n} labels" for n in report.budgets)])


def cost_table(report: Report) -> pd.DataFrame:
    """The cost of the runs of every arm and budget."""
    rows = [
        [arm, labels, *(cell(metric, records) for metric in COSTS)]
        for arm in report.arms
        for labels in report.budgets
        if (records := report.runs(arm, labels))
    ]
    return pd.DataFrame(rows, columns=["arm", "labels", *(metric.title for metric in COSTS)])


def effect_table(report: Report) -> pd.DataFrame:
    """Every contrast at every budget, differences in percentage points; NaN where nothing is."""
    rows = [
        {
            "contrast": effect.contrast.name,
            "labels": effect.labels,
            **_numbers(effect.difference),
            "p": effect.difference and effect.difference.p,
            "p, adjusted": effect.p,
            "p, equivalence": effect.difference and effect.difference.equivalent_p,
            "verdict": effect.verdict,
        }
        for effect in report.effects
    ]
    return pd.DataFrame(rows).astype(dict.fromkeys(("p", "p, adjusted", "p, equivalence"), float))


def measure_table(report: Report) -> pd.DataFrame:
    """Every contrast of which a pair was run: the difference of each metric, and its 95 % interval.

    A contrast and budget a row, a metric that was measured a column; a dash where it was not.
    """
    shown = [m for m in report.metrics if any(_of(effect, m) for effect in report.effects)]
    rows = [
        {
            "contrast": effect.contrast.name,
            "labels": effect.labels,
            "pairs": len(effect.difference.pairs),
            **{
                _difference_title(metric): _difference_cell(metric, found)
                for metric in shown
                for found in [_of(effect, metric)]
            },
        }
        for effect in report.effects
        if effect.difference is not None and any(effect.difference.pairs)
    ]
    return pd.DataFrame(rows)


def _of(effect: Effect, metric: Metric) -> PairedDifference | None:
    return effect.difference if metric is ACCURACY else effect.measures.get(metric.name)


def _difference_title(metric: Metric) -> str:
    unit = metric.difference_unit
    return f"{metric.name}, {unit}" if unit else metric.name


def _difference_cell(metric: Metric, found: PairedDifference | None) -> str:
    if found is None:
        return "–"
    mean = minus(metric.format_difference(found.mean))
    if found.low is None or found.high is None:
        return mean
    ends = (minus(metric.format_difference(end)) for end in (found.low, found.high))
    return f"{mean} ({' to '.join(ends)})"


def baseline_table(report: Report) -> pd.DataFrame:
    """Where our arms stand: the baselines and all arms with published figures, as far as run.

    Their accuracy on the pictures they learned from says whether the network is large enough to
    afford a second task; beside it what was published.
    """
    shown = dict.fromkeys([*report.bases, *(one.arm for one in report.plan.published)])
    rows = [
        {
            "arm": arm,
            "labels": labels,
            **{m.title: cell(m, records) for m in (ACCURACY, TRAINING, COSTS[0])},
            "published, %": _published(report, arm, labels),
        }
        for arm in shown
        for labels in report.budgets
        if (records := report.runs(arm, labels))
    ]
    table = pd.DataFrame(rows)
    return table if report.plan.published or not rows else table.drop(columns="published, %")


def _published(report: Report, arm: str, labels: int) -> str:
    found = [
        f"{ACCURACY.format(one.accuracy[labels])} ({one.name})"
        for one in report.plan.published
        if one.arm == arm and labels in one.accuracy
    ]
    return "; ".join(found) or "–"


def sweep_table(report: Report) -> pd.DataFrame:
    """Every point of a sweep, and its difference from the first arm in percentage points."""
    error = (RECONSTRUCTION,) if report.factors_with(RECONSTRUCTION) else ()
    clear = tuple(metric for metric in CLARITY if metric.of(report.records))
    shown = (ACCURACY, GAP, *error, *clear, *COSTS)
    found = {(e.contrast.arm, e.labels): e.difference for e in report.effects}
    rows = [
        {
            "arm": point.arm,
            "labels": point.labels,
            **{metric.title: cell(metric, report.runs(*point)) for metric in shown},
            **_numbers(found.get(point)),
        }
        for point in report.points
    ]
    return pd.DataFrame(rows)


def _numbers(found: PairedDifference | None) -> dict[str, float]:
    values = (found.mean, found.low, found.high) if found else (None,) * 3
    scaled = [float("nan") if value is None else 100 * value for value in values]
    names = ("difference, points", "95 % from", "to")
    return {"pairs": len(found.pairs) if found else 0, **dict(zip(names, scaled, strict=True))}


def markdown(frame: pd.DataFrame) -> str:
    """A table in Markdown."""
    formats: Mapping[str, Callable[[Any], str]] = {
        **dict.fromkeys(("difference, points", "95 % from", "to"), "{:+.2f}".format),
        **dict.fromkeys(("p", "p, adjusted", "p, equivalence"), "{:.2g}".format),
    }
    rows = [
        ["–" if pd.isna(value) else formats.get(name, str)(value) for name, value in row.items()]
        for row in frame.to_dict("records")
    ]
    lines = [list(frame.columns), ["---"] * len(frame.columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def run_only(table: pd.DataFrame) -> pd.DataFrame:
    """A table of results without the rows and columns in which nothing was run."""
    names = table.columns.intersection(["arm", "contrast"])
    missing = table.drop(columns=names).select_dtypes(exclude="number").eq(NOT_RUN)
    if missing.empty:
        return table
    return table.loc[~missing.all(axis=1)].drop(columns=missing.columns[missing.all()])
