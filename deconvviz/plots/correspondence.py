"""Correspondence of parts beside its controls, as a figure and in words."""

from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from deconvviz.analysis.correspondence import Correspondence
from deconvviz.plots.figures import COLOURS, NEUTRAL_INK, picture_on, quiet

_SHOWN = 6  # pictures


LEGEND = (
    "Coloured frames mark the parts. Each part is hidden in all pictures: if the features change "
    "alike in all of them, the *distance* is small (diamonds) and the network treats the part as "
    "one thing. *Dots*: random places hidden instead; *crosses*: the part's frames moved together. "
    "A diamond left of both shows that the network relates the part."
)


def headline(found: Correspondence) -> str:
    """The parts that the highest layer relates, beyond both controls."""
    both = (found.chance[:, -1] <= 0.05) & (found.moved_chance[:, -1] <= 0.05)
    parts = [part for part, related in zip(found.boxes, both.tolist(), strict=True) if related]
    where = f"as the same thing in all {len(found.pictures)} pictures"
    if not parts:
        return f"In {found.layers[-1]} the network treats no part {where}."
    named = ", ".join(parts)
    return f"In {found.layers[-1]} the network treats {named} {where}, more than random places."


def summary(found: Correspondence) -> str:
    """The parts that the network relates, by layer."""
    layers = []
    for nth, layer in enumerate(found.layers):
        controls = [
            f"{name} {values[:, nth].mean():.3f} (below 95% of these: "
            f"{_below(found, chance[:, nth])})"
            for name, values, chance in (
                ("random masks", found.random, found.chance),
                ("the part's masks moved together", found.moved, found.moved_chance),
            )
        ]
        layers.append(f"{layer}: distance {found.score[:, nth].mean():.3f}, {', '.join(controls)}")
    return (
        f"Parts hidden in {len(found.pictures)} pictures ({found.title}), mean over the parts. "
        f"{'; '.join(layers)}. Below both means that the network relates the part."
    )


def _below(found: Correspondence, chance: Tensor) -> str:
    parts = [p for p, share in zip(found.boxes, chance.tolist(), strict=True) if share <= 0.05]
    return ", ".join(parts) or "none"


def figure(found: Correspondence, ink: str = NEUTRAL_INK) -> Figure:
    """The marked pictures, and for each layer every part among its random masks."""
    shown = found.pictures[:_SHOWN]
    high = 1.5 + 0.3 * len(found.boxes)
    sheet = Figure(figsize=(8.4, 1.6 + high), facecolor="none", layout="constrained")
    cells = sheet.add_gridspec(2, 1, height_ratios=(1.6, high))
    above, below = (sheet.add_subfigure(cells[row], facecolor="none") for row in (0, 1))
    for nth in range(len(shown)):
        _marked(above.add_subplot(1, len(shown), nth + 1), found, nth, ink)
    for nth in range(len(found.layers)):
        _layer(below.add_subplot(1, len(found.layers), nth + 1), found, nth, ink)
    below.supxlabel(
        f"distance of sign changes, mean over pairs; dots: {found.random.shape[2]} sets of "
        "random masks; crosses: the part's masks moved together; bars: mean and deviation",
        fontsize=8,
        color=ink,
    )
    return sheet


def _marked(axes: Axes, found: Correspondence, nth: int, ink: str) -> None:
    picture_on(axes, found.pictures[nth], "", ink)
    for colour, boxes in zip(cycle(COLOURS), found.boxes.values(), strict=False):
        top, left, bottom, right = boxes[nth]
        corner, wide, high = (left - 0.5, top - 0.5), right - left, bottom - top
        axes.add_patch(Rectangle(corner, wide, high, fill=False, edgecolor=colour, linewidth=1.3))


def _layer(axes: Axes, found: Correspondence, nth: int, ink: str) -> None:
    quiet(axes, ink)
    axes.set_title(found.layers[nth], loc="left", fontsize=9, color=ink, parse_math=False)
    spread = np.random.default_rng(0).uniform(-0.14, 0.14, found.random.shape[2])
    for row, colour in zip(range(len(found.boxes)), cycle(COLOURS), strict=False):
        for place, marker, every in ((-0.2, ".", found.random), (0.2, "x", found.moved)):
            values = every[row, nth].numpy()
            axes.scatter(
                values, row + place + spread, s=8, marker=marker, color=ink, alpha=0.3, lw=0.5
            )
            bar = {"xerr": values.std(), "capsize": 3, "linewidth": 1.2}
            axes.errorbar(values.mean(), row + place, color=ink, **bar)
        score = float(found.score[row, nth])
        axes.scatter([score], [row], s=60, marker="D", color=colour, zorder=3)
    axes.set_yticks(range(len(found.boxes)), list(found.boxes) if nth == 0 else [])
    axes.invert_yaxis()
