"""Heat maps of gradients, by layer and step, one for each network that was followed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor

from deconvviz.study.gradients.traces import Arm

if TYPE_CHECKING:
    from deconvviz.study.gradients.result import Gradients

__all__ = ["cosine_maps", "norm_maps"]

_NAMES = {"plain": "plain CNN", "ddnet": "ddnet"}
_CELL = 0.085  # inches of a layer in a figure, and the least height of a panel
_LEAST_HIGH = 0.95


@dataclass(frozen=True)
class _Scale:
    """How a figure's numbers become colours, and the colour of lines on these."""

    low: float
    high: float
    colours: str
    label: str
    line: str


def norm_maps(found: Gradients, ink: str) -> Figure:
    """Of gradient norms: a row a depth, a column an architecture and norm."""
    tables = {arm: found.log_norms(arm) for arm in found.classifiers}
    values = torch.cat([table.flatten() for table in tables.values()])
    values = values[values.isfinite()]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    titles = {arm: _title(found, arm) for arm in tables}
    caption = (
        "Norm of the cross-entropy's gradient by each layer's weights, from the first layer "
        "(top) to the head, by steps of training: mean over\nseeds of log10, one scale for all "
        "panels. First/last: the norm of the first layer over that of the last below the "
        "head, at the start, then at the end;\nloss: cross-entropy, likewise. White line: "
        "there ddnet turns back."
    )
    scale = _Scale(low, high, "viridis", "log10 of gradient norm", "white")
    return _panels(found, tables, titles, scale, caption, ink)


def cosine_maps(found: Gradients, ink: str) -> Figure:
    """Likewise of cosines between the gradients of the two losses.

    Of the networks trained on both losses; without any, of those that give a picture anyhow.
    """
    both = [arm for arm in found.arms if arm.deconv_weight]
    alone = [arm for arm in found.classifiers if arm.architecture == "ddnet"]
    tables = {arm: found.cosines(arm)[:-1] for arm in both or alone}
    titles = {arm: f"mean {table.nanmean():+.2f}" for arm, table in tables.items()}
    trained = "both losses" if both else "cross-entropy alone"
    caption = (
        "Cosine between the gradients of cross-entropy and reconstruction error by each "
        f"layer's weights, from the first layer (top) on, by steps of\ntraining on {trained}; "
        "mean over seeds. Blue: both want the same; red: one undoes what the other does. "
        "Dark line: ddnet turns."
    )
    scale = _Scale(-1.0, 1.0, "RdBu", "cosine", "#333333")
    return _panels(found, tables, titles, scale, caption, ink)


def _panels(
    found: Gradients,
    tables: Mapping[Arm, Tensor],
    titles: Mapping[Arm, str],
    scale: _Scale,
    caption: str,
    ink: str,
) -> Figure:
    """One heat map an arm, on one scale."""
    depths = sorted({arm.depth for arm in tables})
    columns = list(dict.fromkeys((arm.norm, arm.architecture) for arm in tables))
    heights = [max(_LEAST_HIGH, _CELL * (depth + 1)) for depth in depths]
    size = (max(8.6, 1.2 + 2.0 * len(columns)), 1.2 + sum(heights) + 0.5 * len(depths))
    figure = Figure(figsize=size, facecolor="none", layout="constrained")
    grid = figure.subplots(len(depths), len(columns), squeeze=False, height_ratios=heights)
    for arm, table in tables.items():
        row, column = depths.index(arm.depth), columns.index((arm.norm, arm.architecture))
        axes = grid[row, column]
        _heat(axes, arm, table, found.setting.steps, scale, ink)
        head = f"{_name(arm)}\n" if row == 0 else ""
        axes.set_title(f"{head}{titles[arm]}", loc="left", fontsize=7, color=ink, pad=3)
        if column == 0:
            axes.set_ylabel(f"{arm.depth} layers", fontsize=8, color=ink)
        below = [_failures(found, arm), "step" if row == len(depths) - 1 else ""]
        axes.set_xlabel("\n".join(filter(None, below)), fontsize=7, color=ink)
    colours = ScalarMappable(Normalize(scale.low, scale.high), scale.colours)
    bar = figure.colorbar(colours, ax=grid, shrink=0.6, aspect=30, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=ink, labelsize=7, length=2)
    bar.set_label(scale.label, color=ink, fontsize=7)
    setting = found.setting
    conditions = (
        f"{setting.data}, {setting.pictures} pictures; {found.optimiser}; "
        f"{setting.width} maps in the first stage; {found.seeds}."
    )
    text = f"{caption}\n{conditions}"
    figure.supxlabel(text, fontsize=7, color=ink, x=0.01, ha="left")
    return figure


def _heat(
    axes: Axes, arm: Arm, table: Tensor, steps: tuple[int, ...], scale: _Scale, ink: str
) -> None:
    """One arm's table; what is not known, as after a divergence, is left free."""
    axes.imshow(
        table.numpy(),
        cmap=scale.colours,
        vmin=scale.low,
        vmax=scale.high,
        aspect="auto",
        interpolation="nearest",
    )
    axes.set_xticks(range(len(steps)), [str(step) for step in steps])
    rows = [0, arm.depth - 1, *([arm.depth] if len(table) > arm.depth else [])]
    axes.set_yticks(rows, [str(row + 1) if row < arm.depth else "head" for row in rows])
    axes.tick_params(colors=ink, labelsize=6, length=0, pad=2)
    axes.set_facecolor("none")
    for spine in axes.spines.values():
        spine.set_visible(False)
    if arm.architecture == "ddnet":
        axes.axhline(arm.depth / 2 - 0.5, color=scale.line, linewidth=0.8)


def _title(found: Gradients, arm: Arm) -> str:
    start, end = (found.spread(arm, end=end).mean for end in (False, True))
    before, after = found.entropies(arm)
    losses = [sum(side) / len(side) for side in (before, after)]
    told = f"first/last {_rough(start)}, then {_rough(end)}"
    return f"{told}\nloss {losses[0]:.2f}, then {losses[1]:.2f}"


def _rough(ratio: float) -> str:
    """One digit below 1, whole numbers above: "3e-08", "0.2", "12"."""
    return f"{ratio:.1g}" if ratio < 1 else f"{ratio:.0f}"


def _failures(found: Gradients, arm: Arm) -> str:
    """How many runs diverged or are dead, where there are any."""
    runs = found.of(arm)
    gone = [run.diverged for run in runs if run.diverged is not None]
    told = [f"{len(gone)} diverged, the first at step {min(gone)}"] if gone else []
    if dead := found.spread(arm).dead:
        told.append(f"{dead} let no gradient through")
    return f"of {len(runs)}: {', '.join(told)}" if told else ""


def _name(arm: Arm) -> str:
    return f"{_NAMES[arm.architecture]}, {'BatchNorm' if arm.norm else 'no BatchNorm'}"
