"""Figures of a study with contrasts: differences, curves, calibration and robustness."""

from collections.abc import Container, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from deconvviz.plots.figures import NEUTRAL_INK, plot
from deconvviz.plots.study import drawing
from deconvviz.study.metrics import ECE, GAP, NLL, Metric, corruption_metrics
from deconvviz.study.report import HARMS, HELPS, INCONCLUSIVE, NO_EFFECT, NOT_RUN, Report

_UNMEASURED = "not measured"
_TALL = 0.62  # inches of an effect with its words above it
_VERDICTS = {HELPS: "better", HARMS: "worse", NO_EFFECT: "no difference", INCONCLUSIVE: "undecided"}
_LEAST = 0.1  # of its greatest value is what an axis of runs spans at least


def deciding_differences(report: Report, columns: int = 2, ink: str = NEUTRAL_INK) -> Figure:
    """The effects that decide, one below the other: every pair a dot, their mean, its interval.

    With one column it is as narrow as a telephone.
    """
    shown = report.deciding
    figure, axes = plot(3.5 if columns == 1 else 6.4, 0.7 + _TALL * max(len(shown), 1), ink)
    if not shown:
        drawing.draw_nothing(axes, ink)
        return figure
    limits = drawing.limits_of([effect.difference for effect in shown])
    drawing.zero_line(axes, [""] * len(shown), limits, ink)
    for row, effect in enumerate(shown):
        colour = drawing.styles_of([effect.contrast.arm])[effect.contrast.arm].colour
        drawing.draw_pairs(axes, row + 0.15, effect.difference, colour, ink)
        subject = effect.contrast.subject
        for place, text in (
            (0, f"{effect.labels} labels: {subject}"),
            (1, _VERDICTS[effect.verdict]),
        ):
            axes.annotate(
                text,
                (place, row - 0.46),
                xycoords=("axes fraction", "data"),
                ha=("left", "right")[place],
                va="top",
                color=ink,
                fontsize=drawing.LETTERS,
                weight=("normal", "bold")[place],
            )
    axes.set_xlabel("less accurate  ←  percentage points  →  more accurate")
    return figure


def paired_differences(report: Report, columns: int = 3, ink: str = NEUTRAL_INK) -> Figure:
    """Every pair of every contrast as a dot, and below the dots their mean and 95 % interval.

    Contrasts are panels and budgets rows, those of which a pair was run; shaded is what counts as
    no difference, dashed what was aimed at.
    """
    effects = [effect for effect in report.effects if effect.difference is not None]
    contrasts = [one for one in report.plan.contrasts if one in {e.contrast for e in effects}]
    budgets = sorted({effect.labels for effect in effects})
    height = 0.65 + drawing.ROW * max(len(budgets), 2)
    figure, panels = drawing.make_panels(max(len(contrasts), 1), columns, height, ink)
    limits = drawing.limits_of([e.difference for e in effects], [e.aim for e in effects])
    for axes, contrast in zip(panels, contrasts, strict=False):
        own = [effect for effect in effects if effect.contrast == contrast]
        drawing.write_title(axes, contrast.name, ink)
        drawing.zero_line(axes, [str(labels) for labels in budgets], limits, ink)
        axes.set_ylabel("labels")
        colour = drawing.styles_of([contrast.arm])[contrast.arm].colour
        for effect in own:
            row = budgets.index(effect.labels)
            drawing.draw_pairs(axes, row, effect.difference, colour, ink)
            verdict = effect.verdict.replace(NO_EFFECT, "no effect")
            drawing.write_in_row(axes, row, verdict, ink, missing=False)
            if effect.aim is not None:
                aim = 100 * effect.aim
                axes.plot([aim] * 2, [row - 0.48, row + 0.48], "--", color=ink, linewidth=1.2)
                axes.annotate(
                    f"aim {aim:+g}",
                    (aim, row - 0.5),
                    ha="center",
                    va="bottom",
                    color=ink,
                    fontsize=drawing.SMALL,
                )
    if not contrasts:
        drawing.draw_nothing(panels[0], ink)
    for axes in panels[-columns:]:
        axes.set_xlabel("difference of test accuracy, points")
    return figure


def accuracy_by_labels(report: Report, ink: str = NEUTRAL_INK) -> Figure:
    """Test accuracy by label budget: every run a dot, and its arm's mean and standard deviation.

    Arms stand beside each other and are not joined: a line that is shifted aside would seem lower.
    """
    figure, axes = plot(7.2, 4.0, ink)
    styles = drawing.styles_of(report.arms)
    step = 0.8 / max(1, len(report.run_arms))
    for place, arm in enumerate(report.run_arms):
        aside = step * (place - (len(report.run_arms) - 1) / 2)
        for budget, labels in enumerate(report.run_budgets):
            drawing.draw_curve(axes, [budget + aside], [report.runs(arm, labels)], styles[arm])
    names = list(map(str, report.run_budgets))
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.5, max(len(names), 1) - 0.5)
    for budget in range(1, len(names)):
        axes.axvline(budget - 0.5, color=ink, alpha=0.25, linewidth=0.6)
    axes.set_xlabel("labelled training pictures")
    drawing.value_axis(axes, ink)
    _legend(figure, styles, {record.arm for record in report.records}, ink)
    return figure


def accuracy_by_epoch(
    report: Report, labels: int, key: str = "test_accuracy", ink: str = NEUTRAL_INK
) -> Figure:
    """A metric by epoch, an arm a curve: the mean of its runs, shaded from lowest to highest."""
    figure, axes = plot(6.4, 4.0, ink)
    styles = drawing.styles_of(report.arms)
    drawn = set()
    for arm, style in styles.items():
        lines = [one for run in report.runs(arm, labels) for one in run.epochs if key in one]
        if not lines:
            continue
        drawn.add(arm)
        by_epoch = pd.DataFrame(lines).groupby("epoch")[key]
        mean, every = by_epoch.mean(), max(1, by_epoch.ngroups // 8)
        axes.fill_between(
            mean.index, by_epoch.min(), by_epoch.max(), color=style.colour, alpha=0.18, linewidth=0
        )
        axes.plot(mean, color=style.colour, marker=style.marker, markersize=5, markevery=every)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    drawing.value_axis(axes, ink, key.replace("_", " "), share="accuracy" in key)
    if not drawn:
        drawing.draw_nothing(axes, ink)
    _legend(figure, styles, drawn, ink)
    return figure


def overfitting(report: Report, columns: int = 3, ink: str = NEUTRAL_INK) -> Figure:
    """Training accuracy minus test accuracy, a panel for each budget that was run."""
    panels = [(f"{n} labels", n, GAP) for n in report.run_budgets or report.budgets[:1]]
    return _dot_panels(report, panels, columns, ink)


def calibration(report: Report, labels: int, columns: int = 2, ink: str = NEUTRAL_INK) -> Figure:
    """Negative log-likelihood and expected calibration error at one budget; lower is better."""
    panels = [
        ("negative log-likelihood", labels, NLL),
        ("expected calibration error", labels, ECE),
    ]
    return _dot_panels(report, panels, columns, ink)


def robustness(report: Report, labels: int, columns: int = 2, ink: str = NEUTRAL_INK) -> Figure:
    """Test accuracy by severity at one budget, a panel a corruption; bars of one deviation.

    Severity 0 is the test pictures as they are.
    """
    names = list(corruption_metrics([r for r in report.records if r.labels == labels]))
    figure, panels = drawing.make_panels(max(len(names), 1), columns, 2.6, ink)
    styles = drawing.styles_of(report.arms)
    drawn = set()
    for axes, name in zip(panels, names or ("robustness",), strict=True):
        drawing.write_title(axes, name, ink)
        for place, (arm, style) in enumerate(styles.items()):
            rows = [
                (record.test_accuracy, *record.robustness[name])
                for record in report.runs(arm, labels)
                if record.robustness.get(name)
            ]
            if not rows:
                continue
            drawn.add(arm)
            runs = np.asarray(rows)
            axes.errorbar(
                0.06 * (place - (len(styles) - 1) / 2) + np.arange(runs.shape[1]),
                runs.mean(0),
                runs.std(0, ddof=1) if len(runs) > 1 else None,
                color=style.colour,
                marker=style.marker,
                markersize=4,
                linewidth=1.2,
                elinewidth=1,
            )
        axes.set_xlabel("severity")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        drawing.value_axis(axes, ink)
    if not names:
        drawing.draw_nothing(panels[0], ink, _UNMEASURED)
    _legend(figure, styles, drawn, ink, _UNMEASURED)
    return figure


def _dot_panels(
    report: Report, panels: Sequence[tuple[str, int, Metric]], columns: int, ink: str
) -> Figure:
    """Panels of a title, a budget and a metric: a row per arm, each run a dot, the mean a bar."""
    arms = report.run_arms or report.arms
    height = 0.8 + 0.26 * len(arms)
    figure, places = drawing.make_panels(len(panels), columns, height, ink)
    styles = drawing.styles_of(arms)
    for axes, (title, labels, metric) in zip(places, panels, strict=True):
        drawing.write_title(axes, title, ink)
        drawing.name_rows(axes, list(styles))
        axes.grid(axis="x", color=ink, alpha=0.2, linewidth=0.6)
        axes.set_xlabel(metric.title)
        for row, (arm, style) in enumerate(styles.items()):
            records = report.runs(arm, labels)
            values = metric.scale * np.asarray(metric.of(records))
            if not len(values):
                word = _UNMEASURED if records else NOT_RUN
                # at the left, where it hides no zero line
                drawing.write_in_row(
                    axes, row, word, ink, missing=True, x=0.02, size=drawing.LETTERS
                )
                continue
            drawing.draw_dots(axes, values, np.full(len(values), row), style)
            if len(values) > 1:
                axes.plot([values.mean()] * 2, [row - 0.35, row + 0.35], color=ink, linewidth=1.8)
        low, high = axes.dataLim.intervalx
        if high >= low:  # not so near that chance looks like a difference
            half = max(0.55 * (high - low), _LEAST * max(abs(low), abs(high)) / 2) or 1
            axes.set_xlim((low + high) / 2 - half, (low + high) / 2 + half)
        else:
            axes.set_xticks([])
    return figure


def _legend(
    figure: Figure,
    styles: Mapping[str, drawing.Style],
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
        fontsize=drawing.LETTERS,
        title=f"{word}: {', '.join(missing)}" if missing else None,
        title_fontproperties={"size": drawing.LETTERS, "style": "italic"},
    )
    legend.get_title().set_color(ink)
