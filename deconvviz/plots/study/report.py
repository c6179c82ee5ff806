"""The question's runs: differences, curves, and what else is worth knowing of a classifier."""

from collections.abc import Container, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from deconvviz.plots.figures import NEUTRAL_INK, plot
from deconvviz.plots.study import parts
from deconvviz.study.cells import ECE, GAP, NLL, Cell, Measure, corruptions
from deconvviz.study.report import NO_EFFECT, NOT_RUN, Report

__all__ = [
    "accuracy_by_epoch",
    "accuracy_by_labels",
    "calibration",
    "overfitting",
    "paired_differences",
    "robustness",
]

_UNMEASURED = "not measured"
_LEAST = 0.1  # of its greatest value is what an axis of runs spans at least


def paired_differences(report: Report, columns: int = 3, ink: str = NEUTRAL_INK) -> Figure:
    """Every pair of every contrast as a dot, and below the dots their mean and 95 % interval.

    Contrasts are panels and budgets rows; shaded is what counts as no difference, dashed what was
    aimed at.
    """
    names = list(dict.fromkeys(contrast.name for contrast in report.contrasts))
    figure, panels = parts.make_panels(
        len(names), columns, 0.65 + parts.ROW * len(report.budgets), ink
    )
    reach = parts.reach_of(
        [c.difference for c in report.contrasts], [c.aim for c in report.contrasts]
    )
    for axes, name in zip(panels, names, strict=True):
        contrasts = [c for c in report.contrasts if c.name == name]
        parts.write_title(axes, name, ink)
        parts.zero_line(axes, [str(c.labels) for c in contrasts], reach, ink)
        axes.set_ylabel("labels")
        colour = parts.styles_of([contrasts[0].arm])[contrasts[0].arm].colour
        for row, contrast in enumerate(contrasts):
            parts.draw_pairs(axes, row, contrast.difference, colour, ink)
            verdict = contrast.verdict.replace(NO_EFFECT, "no effect")
            parts.write_beside(axes, row, verdict, ink, missing=contrast.difference is None)
            if contrast.aim is not None:
                _aim(axes, row, contrast.aim, ink)
    for axes in panels[-columns:]:
        axes.set_xlabel("difference of test accuracy, points")
    return figure


def accuracy_by_labels(report: Report, ink: str = NEUTRAL_INK) -> Figure:
    """Test accuracy by label budget: every run a dot, and its arm's mean and standard deviation.

    Arms stand beside each other and are not joined: a line that is shifted aside would seem lower.
    """
    figure, axes = plot(7.2, 4.0, ink)
    styles = parts.styles_of(report.arms)
    step = 0.8 / len(report.arms)
    for place, arm in enumerate(report.arms):
        aside = step * (place - (len(report.arms) - 1) / 2)
        for budget, labels in enumerate(report.budgets):
            cells = [cell for cell in [report.cell(arm, labels)] if cell.records]
            parts.draw_curve(axes, [budget + aside] * len(cells), cells, styles[arm])
    run = {record.labels for record in report.records}
    names = [str(n) if n in run else f"{n}\n{NOT_RUN}" for n in report.budgets]
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.5, len(names) - 0.5)
    for budget in range(1, len(names)):
        axes.axvline(budget - 0.5, color=ink, alpha=0.25, linewidth=0.6)
    axes.set_xlabel("labelled training pictures")
    parts.value_axis(axes, ink)
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
    styles = parts.styles_of([cell.arm for cell in cells])
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
    parts.value_axis(axes, ink, key.replace("_", " "), share="accuracy" in key)
    if not drawn:
        parts.draw_nothing(axes, ink)
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
    figure, panels = parts.make_panels(max(len(names), 1), columns, 2.6, ink)
    styles = parts.styles_of([cell.arm for cell in cells])
    drawn = set()
    for axes, name in zip(panels, names or ("robustness",), strict=True):
        parts.write_title(axes, name, ink)
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
        parts.value_axis(axes, ink)
    if not names:
        parts.draw_nothing(panels[0], ink, _UNMEASURED)
    _legend(figure, styles, drawn, ink, _UNMEASURED)
    return figure


def _dot_panels(
    panels: Sequence[tuple[str, Sequence[Cell], Measure]], columns: int, ink: str
) -> Figure:
    """Panels of a title, cells and a measure: a row a cell, every run a dot, its mean a bar."""
    rows = max(len(cells) for _, cells, _ in panels)
    figure, places = parts.make_panels(len(panels), columns, 0.8 + 0.26 * rows, ink)
    for axes, (title, cells, measure) in zip(places, panels, strict=True):
        parts.write_title(axes, title, ink)
        parts.name_rows(axes, [cell.arm for cell in cells])
        axes.grid(axis="x", color=ink, alpha=0.2, linewidth=0.6)
        axes.set_xlabel(measure.title)
        styles = parts.styles_of([cell.arm for cell in cells])
        for row, cell in enumerate(cells):
            spread = cell.spread(measure)
            if spread is None:
                _missing(axes, row, _UNMEASURED if cell.records else NOT_RUN, ink)
                continue
            values = measure.scale * np.asarray(spread.values)
            parts.draw_dots(axes, values, np.full(len(values), row), styles[cell.arm])
            if len(values) > 1:
                axes.plot([values.mean()] * 2, [row - 0.35, row + 0.35], color=ink, linewidth=1.8)
        low, high = axes.dataLim.intervalx
        if high >= low:  # not so near that chance looks like a difference
            reach = max(0.55 * (high - low), _LEAST * max(abs(low), abs(high)) / 2) or 1
            axes.set_xlim((low + high) / 2 - reach, (low + high) / 2 + reach)
        else:
            axes.set_xticks([])
    return figure


def _aim(axes: Axes, row: int, aim: float, ink: str) -> None:
    """What was aimed at, in its row."""
    axes.plot([100 * aim] * 2, [row - 0.48, row + 0.48], "--", color=ink, linewidth=1.2)
    axes.annotate(
        f"aim {100 * aim:+g}",
        (100 * aim, row - 0.5),
        ha="center",
        va="bottom",
        color=ink,
        fontsize=parts.SMALL,
    )


def _strengths(axes: Axes, runs: NDArray[np.float64], aside: float, style: parts.Style) -> None:
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


def _legend(
    figure: Figure,
    styles: Mapping[str, parts.Style],
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
        fontsize=parts.LETTERS,
        title=f"{word}: {', '.join(missing)}" if missing else None,
        title_fontproperties={"size": parts.LETTERS, "style": "italic"},
    )
    legend.get_title().set_color(ink)


def _missing(axes: Axes, row: int, word: str, ink: str) -> None:
    """A row's word instead of dots, at the left, where it hides no zero line."""
    axes.annotate(
        word,
        (0.02, row),
        xycoords=("axes fraction", "data"),
        va="center",
        color=ink,
        fontsize=parts.LETTERS,
        style="italic",
    )


def _note(figure: Figure, told: str, ink: str) -> None:
    """A line below all panels."""
    figure.supxlabel(told, fontsize=parts.LETTERS, color=ink, style="italic")
