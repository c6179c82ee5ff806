"""Common parts of all figures, which are matplotlib's, without global state.

They have no background and one `ink` for lines and letters, for light and dark pages.
"""

import textwrap
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, PercentFormatter

from deconvviz.io.preprocess import Pixels
from deconvviz.plots.arrays import enlarge
from deconvviz.plots.files import figure_png

NEUTRAL_INK = "#7a7a7a"  # stands on white and on black
ACCENTS = ("#d0753c", "#3f92b0")
COLOURS = (*ACCENTS, "#009e73", "#cc79a7", "#e8d444", "#7a5fb5")
"""More colours, after Okabe & Ito (2008): distinct also for those who see fewer."""
# A contact sheet, in inches: a picture's longer side, what is left free around cells and between
# the pictures of one, and a line of letters.
_SIDE, _GAP, _NEAR, _LINE = 1.6, 0.1, 0.03, 0.13
_NARROWEST = 5.0  # inches of the sheet, so that its caption can be read
_SMOOTH = 320  # pixels that a picture has at least, before matplotlib places it
_LETTERS = 7  # points
_WIDE = 0.6  # of its height is a letter of DejaVu Sans, a digit a little more


def learning_curves(
    runs: Mapping[str, Sequence[Mapping[str, float]]],
    ink: str = NEUTRAL_INK,
    measure: Literal["accuracy", "loss"] = "accuracy",
) -> Figure:
    """Accuracy or loss by epoch: solid on test data, dashed on the (augmented) training data.

    Runs are name -> lines of metrics, as a training record has them.
    """
    figure, axes = plot(4.8, 3.2, ink)
    for colour, (name, metrics) in zip(cycle(ACCENTS), runs.items(), strict=False):
        epochs = [line["epoch"] for line in metrics]
        for key, style, label in (
            (f"test_{measure}", "-", f"{name}, test"),
            (f"train_{measure}", ":", f"{name}, training"),
        ):
            axes.plot(
                epochs,
                [line[key] for line in metrics],
                style,
                color=colour,
                linewidth=1.6,
                marker="o" if len(epochs) < 3 else "",
                markersize=4,
                label=label,
            )
    axes.set_xlabel("epoch")
    axes.set_ylabel(measure)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if measure == "accuracy":
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    legend(axes, ink, loc="lower right" if measure == "accuracy" else "upper right")
    return figure


def per_class_accuracy(
    results: Mapping[str, Mapping[str, float]], ink: str = NEUTRAL_INK
) -> Figure:
    """Each class on a line, the networks' accuracies as dots on it; the easiest class on top.

    Results are network -> class -> accuracy in [0, 1]; classes as in the first network.
    """
    first = next(iter(results.values()))
    classes = sorted(first, key=first.__getitem__)
    figure, axes = plot(4.8, 0.9 + 0.24 * len(classes), ink)
    for row, name in enumerate(classes):
        values = [result[name] for result in results.values() if name in result]
        axes.plot([min(values), max(values)], [row, row], color=ink, linewidth=1, zorder=1)
    for colour, (network, result) in zip(cycle(ACCENTS), results.items(), strict=False):
        rows = [row for row, name in enumerate(classes) if name in result]
        axes.scatter(
            [result[classes[row]] for row in rows], rows, color=colour, s=34, label=network
        )
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("accuracy")
    axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.grid(axis="x", color=ink, alpha=0.2, linewidth=0.6)
    legend(axes, ink, ncols=len(results), loc="lower left", bbox_to_anchor=(0, 1))
    return figure


def confusion_matrix(
    confusion: Sequence[Sequence[int]], classes: Sequence[str], ink: str = NEUTRAL_INK
) -> Figure:
    """Confusion matrix: rows true, columns decided, percent of the row.

    The diagonal is written but not coloured, because it would outshine the mistakes.
    """
    counts = np.asarray(confusion, np.float64)
    shares = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    mistakes = np.where(np.eye(len(classes), dtype=bool), 0, shares)
    figure, axes = plot(4.8, 4.6, ink)
    # Opacity, not lightness, carries the number, so that it reads alike on light and dark pages.
    strongest = max(float(mistakes.max()), 1e-9)
    cells = np.zeros((*mistakes.shape, 4))
    cells[..., :3] = to_rgb(ACCENTS[0])
    cells[..., 3] = 0.85 * np.sqrt(mistakes / strongest)
    axes.imshow(cells, interpolation="nearest")
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.5:
            weight = "bold" if row == column else "normal"
            axes.text(
                column,
                row,
                f"{share:.0f}",
                ha="center",
                va="center",
                color=ink,
                fontsize=7.5,
                weight=weight,
            )
    axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(classes)), classes)
    axes.tick_params(length=0)
    axes.set_ylabel("true class")
    axes.set_xlabel("decision, % of the true class")
    return figure


GalleryRow = tuple[Pixels, str, Sequence[tuple[str, Pixels, Pixels]]]
"""A photograph, its title, and of units of rising depth the caption, patch and reconstruction."""


def gallery(rows: Sequence[GalleryRow], heading: Sequence[str], ink: str = "#333333") -> Figure:
    """Photographs on the left; to the right, layer by layer, what units saw and answered to.

    Each row has as many units as there are headings; the background is white.
    """
    engine = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    wide, high = 3 + 4 * len(heading), 2 * len(rows)  # a photograph is 3:2, the rest are squares
    shape = (11.0, 11.0 * high / wide + 0.2 * len(rows) + 0.35)
    figure = Figure(figsize=shape, facecolor="white", layout=engine)
    grid = figure.add_gridspec(len(rows), 2, width_ratios=(3, wide - 3))
    for y, (photograph, title, units) in enumerate(rows):
        picture_on(figure.add_subplot(grid[y, 0]), photograph, title, ink, smooth=True)
        pairs = grid[y, 1].subgridspec(1, 2 * len(heading))
        for x, (caption, patch, reconstruction) in enumerate(units):
            left = figure.add_subplot(pairs[2 * x])
            picture_on(left, patch, caption, ink, smooth=True)
            right = figure.add_subplot(pairs[2 * x + 1])
            picture_on(right, reconstruction, " ", ink, smooth=True)
            if y == 0:
                left.set_title(heading[x], loc="left", fontsize=8, color=ink)
    return figure


class _Sheet(Figure):
    """A figure that a notebook shows even if pyplot was never imported."""

    def _repr_png_(self) -> bytes:
        return figure_png(self, dpi=100)


def contact_sheet(
    cells: Sequence[Sequence[Pixels]],
    titles: Sequence[str],
    caption: str,
    columns: int,
    ink: str = NEUTRAL_INK,
    side: float = _SIDE,
) -> Figure:
    """Small pictures row by row under their titles, and a caption below them all.

    A cell holds the pictures of one title side by side, uint8 (h, w, 3), all of one size, the
    longer side `side` inches; without cells the caption stands alone. Titles are broken after
    commas where too long. There is no background.
    """
    # All is placed by hand, in inches from the top left: a layout engine takes seconds for many
    # pictures, and lets long titles run into each other.
    height, width = cells[0][0].shape[:2] if cells else (1, 1)
    high, wide = (side * pixels / max(height, width) for pixels in (height, width))
    across = max(side, len(cells[0]) * (wide + _NEAR) - _NEAR if cells else 0)
    # a line ends at no other spaces than those after commas
    spaced = (title.replace(" ", "\N{NO-BREAK SPACE}") for title in titles)
    titles = [_wrapped(title.replace(",\N{NO-BREAK SPACE}", ", "), across) for title in spaced]
    above = max(map(_height, titles), default=0)
    columns, rows = min(columns, len(cells)), -(-len(cells) // columns)
    page = max(columns * (across + _GAP) + _GAP, _NARROWEST)
    text, below = _wrapped(caption, page - 2 * _GAP), rows * (above + high + _GAP) + _GAP
    figure = _Sheet(figsize=(page, below + _height(text) + _GAP), facecolor="none")
    for place, (pictures, title) in enumerate(zip(cells, titles, strict=True)):
        top = _GAP + place // columns * (above + high + _GAP) + above
        left = _GAP + place % columns * (across + _GAP)
        lefts = [left + nth * (wide + _NEAR) for nth in range(len(pictures))]
        first, *_ = [
            _placed(figure, (x, top, wide, high), pixels)
            for x, pixels in zip(lefts, pictures, strict=True)
        ]
        first.set_title(title, loc="left", fontsize=_LETTERS, color=ink, pad=2, parse_math=False)
    x, y = _GAP / page, 1 - below / figure.get_figheight()
    figure.text(x, y, text, va="top", fontsize=_LETTERS, color=ink, parse_math=False)
    return figure


def _wrapped(text: str, width: float) -> str:
    """Text in lines of at most about `width` inches."""
    return textwrap.fill(text, int(width * 72 / (_WIDE * _LETTERS)))


def _height(text: str) -> float:
    return _LINE * (text.count("\n") + 1)


def _placed(figure: Figure, inches: tuple[float, float, float, float], pixels: Pixels) -> Axes:
    """A picture, given how far from the figure's left and top, how wide and how high."""
    left, top, wide, high = inches
    width, height = figure.get_size_inches()
    axes = figure.add_axes((left / width, 1 - (top + high) / height, wide / width, high / height))
    picture_on(axes, pixels, "", NEUTRAL_INK, smooth=True)
    return axes


def picture_on(
    axes: Axes, pixels: Pixels, caption: str, ink: str = NEUTRAL_INK, *, smooth: bool = False
) -> None:
    """A picture without ticks and frame, its caption below it at the left."""
    shown = enlarge(pixels, _SMOOTH) if smooth else pixels
    axes.imshow(shown, interpolation="antialiased" if smooth else "nearest")
    axes.set_facecolor("none")  # seen through a picture's transparent parts
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlabel(caption, fontsize=7, color=ink, labelpad=2, loc="left", parse_math=False)


def plot(width: float, height: float, ink: str = NEUTRAL_INK) -> tuple[Figure, Axes]:
    """One plot with two spines and no background; width and height in inches."""
    figure = Figure(figsize=(width, height), facecolor="none", layout="constrained")
    axes = figure.add_subplot()
    quiet(axes, ink)
    return figure, axes


def captioned(figure: Figure, text: str, ink: str = NEUTRAL_INK) -> Figure:
    """A figure of constrained layout with small lines of text below it, at the left."""
    figure.supxlabel(text, fontsize=7, color=ink, x=0.01, ha="left", parse_math=False)
    return figure


def quiet(axes: Axes, ink: str = NEUTRAL_INK) -> None:
    """Style one plot: two spines, small letters and no background."""
    axes.set_facecolor("none")
    for side, spine in axes.spines.items():
        spine.set_color(ink)
        spine.set_visible(side in ("left", "bottom"))
    axes.tick_params(colors=ink, labelsize=8)
    axes.xaxis.label.set(color=ink, fontsize=9)
    axes.yaxis.label.set(color=ink, fontsize=9)


def legend(axes: Axes, ink: str, *, fontsize: float = 8, **place: Any) -> None:
    """A legend without a frame; `place` is as in `Axes.legend`."""
    axes.legend(frameon=False, labelcolor=ink, fontsize=fontsize, **place)
