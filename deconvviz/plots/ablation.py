"""An ablation in words and as a figure."""

import math
import statistics
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from deconvviz.plots.figures import ACCENTS, NEUTRAL_INK, plot
from deconvviz.study.ablation import Ablation

__all__ = ["errors", "summary"]


def summary(result: Ablation) -> str:
    """The first variant's errors, and what each change does to them."""
    numbers = result.to_dict()
    first, *others = result.variants
    changes = []
    for name in others:
        mean, deviation = result.change(name)
        spread = "" if deviation is None else f" ± {100 * deviation:.1f}"
        changes.append(f"{name} {100 * mean:+.1f}{spread}")
    error, fitted = (numbers["variants"][first][f"{part} error"] for part in ("test", "training"))
    test, count = numbers["test pictures"], len(result.variants[first])
    noise = 100 * math.sqrt(error * (1 - error) / test)
    runs = f"{count} runs each" if count > 1 else "one run each"
    return (
        f"{first}: test error {error:.1%}, training error {fitted:.1%} after "
        f"{result.recipe.epochs} epochs on {numbers['training pictures']} pictures "
        f"({result.data}), {runs}. "
        f"Difference of test error, in points: {', '.join(changes) or 'no other variant'}. "
        f"{test} test pictures alone give each error a standard error of {noise:.1f}."
    )


def errors(result: Ablation, ink: str = NEUTRAL_INK) -> Figure:
    """Errors by variant, a dot a run, with the numbers of parameters and multiply-adds."""
    rows = result.variants
    figure, axes = plot(7.2, 1.0 + 0.32 * len(rows), ink)
    beside: dict[str, Any] = {
        "xycoords": ("axes fraction", "data"),
        "va": "center",
        "fontsize": 8,
        "color": ink,
    }
    means = []
    for row, records in enumerate(rows.values()):
        fitted = [1 - record.train_accuracy for record in records]
        tested = [1 - record.test_accuracy for record in records]
        ends = [statistics.fmean(fitted), statistics.fmean(tested)]
        means.append(ends[1])
        axes.plot(ends, [row, row], color=ink, linewidth=0.8, alpha=0.6, zorder=1)
        axes.scatter(fitted, [row] * len(fitted), s=26, facecolors="none", edgecolors=ACCENTS[1])
        axes.scatter(tested, [row] * len(tested), s=26, color=ACCENTS[0])
        size = f"{records[0].parameters / 1e6:.2f} M, {records[0].multiply_adds / 1e6:.0f} M"
        axes.annotate(size, (1.02, row), **beside)
    axes.annotate("parameters, multiply-adds", (1.02, -0.9), **beside)
    axes.axvline(means[0], color=ACCENTS[0], linewidth=0.8, linestyle=":")
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_ylim(len(rows) - 0.5, -1.3)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_xlabel("error: filled, test; open, training pictures as they are")
    return figure
