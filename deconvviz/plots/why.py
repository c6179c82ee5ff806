"""An answer explained: the units that make it, and the answer without them."""

from collections.abc import Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deconvviz.analysis.why import Why
from deconvviz.plots.display import display, display_caption, spoken
from deconvviz.plots.figures import COLOURS, NEUTRAL_INK, captioned, legend, picture_on, quiet

_SHOWN = 4  # units
_CLASSES = 5


def summary(found: Why) -> str:
    """The units, the answer with and without them, and how far the estimate can be followed."""
    names = [spoken(name) for name in found.classes]
    label, against = found.label, found.against
    units = ", ".join(f"{unit} ({found.contribution[unit]:+.2f})" for unit in found.named)
    text = (
        f"{found.network} scores {names[label]} {found.difference:+.2f} against {names[against]}. "
        f"In {found.layer} the units that contribute most to that are {units or 'none'}; all "
        f"units together {found.contribution.sum():+.2f}."
    )
    if found.off:
        units = f"{'unit' if len(found.off) == 1 else 'units'} {', '.join(map(str, found.off))}"
        text += f" Without {units} the answer {_change(found, names)}."
    if found.rank_correlation is None:
        return text
    return text + (
        " Contributions rank the active units as switching each off alone does: rank correlation "
        f"{found.rank_correlation:.2f} (1: the same order, 0: chance)."
    )


def _change(found: Why, names: Sequence[str]) -> str:
    """What becomes of the answer without the units that were switched off."""
    before, after = found.probability, found.probability_without
    was, now = int(before.argmax()), int(after.argmax())
    if was == now:
        return f"stays {names[now]}, {after[now]:.0%} after {before[was]:.0%}"
    return f"is {names[now]} ({after[now]:.0%}) instead of {names[was]} ({before[was]:.0%})"


def figure(found: Why, ink: str = NEUTRAL_INK) -> Figure:
    """The picture, the named units' projections, the probabilities, and a check of the estimate."""
    drawn = Figure(figsize=(9.2, 5.2), facecolor="none", layout="constrained")
    rows = drawn.add_gridspec(2, 1, height_ratios=(1.1, 1))
    cells = rows[0].subgridspec(1, 1 + _SHOWN)
    label, against = (spoken(found.classes[one]) for one in (found.label, found.against))
    question = f"Why {label} rather than {against}?"
    drawn.suptitle(question, x=0.01, ha="left", fontsize=10, color=ink, parse_math=False)
    picture_on(drawn.add_subplot(cells[0]), found.picture, "the picture", ink, smooth=True)
    for place, unit in enumerate(found.named[:_SHOWN]):
        (pixels,) = display(found.projections[place : place + 1])
        title = f"unit {unit}: {found.contribution[unit]:+.2f}"
        picture_on(drawn.add_subplot(cells[1 + place]), pixels, title, ink, smooth=True)
    below = rows[1].subgridspec(1, 2, width_ratios=(1.4, 1))
    _probabilities(drawn.add_subplot(below[0]), found, ink)
    _check(drawn.add_subplot(below[1]), found, ink)
    return captioned(drawn, f"{found.network}, {found.layer}. {display_caption()}", ink)


def _probabilities(axes: Axes, found: Why, ink: str) -> None:
    quiet(axes, ink)
    before, after = found.probability, found.probability_without
    likely = torch.maximum(before, after).argsort(descending=True).tolist()
    others = [one for one in likely if one not in (found.label, found.against)]
    shown = [found.label, found.against, *others][:_CLASSES]
    off = ", ".join(map(str, found.off)) or "no unit"
    for shift, values, name in ((-0.2, before, "all units"), (0.2, after, f"without {off}")):
        rows = [place + shift for place in range(len(shown))]
        colour = COLOURS[0 if shift < 0 else 1]
        axes.barh(rows, [float(values[one]) for one in shown], 0.38, color=colour, label=name)
    axes.set_yticks(
        range(len(shown)), [spoken(found.classes[one]) for one in shown], parse_math=False
    )
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_title("probability", loc="left", fontsize=9, color=ink)
    legend(axes, ink, fontsize=7, loc="lower right")


def _check(axes: Axes, found: Why, ink: str) -> None:
    quiet(axes, ink)
    active = found.activation > 0
    x, y = found.contribution[active], found.effect[active]
    if len(x):
        ends = [float(min(x.min(), y.min())), float(max(x.max(), y.max()))]
        axes.plot(ends, ends, color=ink, linewidth=0.6, zorder=0)
    axes.scatter(x, y, s=9, color=COLOURS[0])
    for unit in found.named[:_SHOWN]:
        place = (float(found.contribution[unit]), float(found.effect[unit]))
        axes.annotate(str(unit), place, fontsize=7, color=ink)
    number = "" if found.rank_correlation is None else f": rank {found.rank_correlation:.2f}"
    axes.set_title(f"each active unit{number}", loc="left", fontsize=9, color=ink)
    axes.set_xlabel("contribution", color=ink, fontsize=8)
    axes.set_ylabel("lost without it", color=ink, fontsize=8)
