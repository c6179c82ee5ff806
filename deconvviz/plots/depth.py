"""Accuracy of linear classifiers by depth, as a figure and in words."""

from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from deconvviz.analysis.depth import Depth
from deconvviz.plots.figures import ACCENTS, NEUTRAL_INK, legend, plot


def summary(found: Depth) -> str:
    """Accuracy by depth, and chance."""
    accuracies = ", ".join(
        f"{row.layer} {row.accuracy:.1%} ({row.features} features)" for row in found.rows
    )
    error = max(found.standard_error(row.accuracy) for row in found.rows)
    own = f"; the network itself {found.own:.1%}" if found.own is not None else ""
    fit = {
        "test": "test pictures, which the network was not trained on,",
        "training": "training pictures, on which the network may have been trained (upper layers "
        "then look better than they are),",
    }
    return (
        f"A linear classifier on each depth, fitted on {found.training} {fit[found.fit_on]} and "
        f"measured on {found.test} others ({found.data}), standard error at most {error:.1%}: "
        f"{accuracies}; chance {found.chance:.1%}{own}."
    )


def figure(found: Depth, ink: str = NEUTRAL_INK) -> Figure:
    """Accuracy by depth, with 95 % intervals, chance and the network's own accuracy."""
    drawn, axes = plot(1.8 + 0.7 * len(found.rows), 3.4, ink)
    places = range(len(found.rows))
    accuracy = [row.accuracy for row in found.rows]
    errors = [1.96 * found.standard_error(value) for value in accuracy]
    style: dict[str, Any] = {"color": ACCENTS[0], "marker": "o", "markersize": 5}
    axes.errorbar(places, accuracy, errors, label="measured", **style)
    fitted = [row.training_accuracy for row in found.rows]
    axes.plot(places, fitted, ":", color=ACCENTS[0], label="as fitted")
    if found.own is not None:
        axes.axhline(found.own, color=ACCENTS[1], linewidth=1, label="the network itself")
    axes.axhline(found.chance, color=ink, linewidth=1, linestyle="--", label="chance")
    labels = [f"{row.layer}\n{row.features}" for row in found.rows]
    axes.set_xticks(places, labels, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_xlabel("layer, and its number of features")
    axes.set_ylabel("accuracy of a linear classifier")
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    legend(axes, ink, loc="lower right")
    return drawn
