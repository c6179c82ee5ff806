"""An examination as one panel that a person can read."""

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deconvviz.analysis.trust.checks import Likeness
from deconvviz.analysis.trust.words import numbers, sentence
from deconvviz.plots.display import display, display_caption
from deconvviz.plots.figures import ACCENTS, Pixels, stretched

if TYPE_CHECKING:
    from deconvviz.analysis.trust.examination import Trust

__all__ = ["panel"]

_WIDE, _HIGH = 11.0, 5.7  # inches
_LETTERS = 7  # points
_LINE = 195  # letters of that size in a line


def panel(trust: "Trust", ink: str) -> Figure:
    """The pictures of all controls beside the one examined; the cascade; insertion and deletion."""
    figure = Figure(figsize=(_WIDE, _HIGH), facecolor="none")
    cells = list(_cells(trust))
    grid = figure.add_gridspec(
        1, len(cells), left=0.01, right=0.99, top=0.79, bottom=0.59, wspace=0.08
    )
    for place, (title, pixels, told) in enumerate(cells):
        _picture(figure.add_subplot(grid[place]), title, pixels, told, ink)
    plots = figure.add_gridspec(1, 2, left=0.05, right=0.99, top=0.43, bottom=0.19, wspace=0.13)
    _cascade(_plot(figure.add_subplot(plots[0]), ink), trust, ink)
    _curves(_plot(figure.add_subplot(plots[1]), ink), trust, ink)
    heading = textwrap.fill(
        f"{trust.unit[0].upper()}{trust.unit[1:]}, {trust.rule}. {sentence(trust)}", 145
    )
    figure.text(0.01, 0.99, heading, va="top", color=ink, fontsize=9, parse_math=False)
    figure.text(
        0.01,
        0.01,
        textwrap.fill(_caption(), _LINE),
        va="bottom",
        color=ink,
        fontsize=_LETTERS,
        parse_math=False,
    )
    return figure


def _cells(trust: "Trust") -> Iterator[tuple[str, Pixels | None, str]]:
    """Title, picture and numbers of each picture, from left to right."""
    yield "what it sees", stretched(trust.patch[None].float().numpy())[0], ""
    yield "its projection", display(trust.pixels), "examined"
    controls = {
        "another unit": trust.units,
        "random start": trust.seed,
        "random switches": trust.switches,
        "own kernels\nshuffled": trust.stages[0].control if trust.stages else None,
        "all kernels\nshuffled": trust.stages[-1].control if trust.stages else None,
        "unrelated\n(chance)": trust.chance,
    }
    for title, control in controls.items():
        if control is None or control.example is None:
            yield title, None, "there is none"
            continue
        yield (
            title,
            display(control.example),
            _told(control.likeness, f"keeps {trust.kept(control.likeness):.0%}"),
        )
    edges = trust.edges.example
    assert edges is not None
    by_chance = f"by chance {trust.edges_chance.rank:.2f}"
    yield (
        "the image's\nedges (Sobel)",
        stretched(edges[None].float().numpy())[0],
        _told(trust.edges.likeness, by_chance),
    )


def _told(likeness: Likeness, more: str) -> str:
    return "\n".join([*numbers(likeness).replace("correlation ", "").split(", "), more])


def _picture(axes: Axes, title: str, pixels: Pixels | None, told: str, ink: str) -> None:
    axes.set_axis_off()
    axes.set_box_aspect(1)
    axes.set_anchor("S")
    if pixels is not None:
        axes.imshow(pixels, interpolation="nearest")
    axes.set_title(title, loc="left", fontsize=_LETTERS + 1, color=ink, pad=3)
    corner = axes.transAxes
    axes.text(0, -0.04, told, color=ink, fontsize=_LETTERS, va="top", transform=corner)


def _cascade(axes: Axes, trust: "Trust", ink: str) -> None:
    """What is left of the picture as one kernel after another is shuffled."""
    places = range(len(trust.stages) + 1)
    chance = trust.chance.likeness
    found = [stage.control.likeness for stage in trust.stages]
    lines = (
        ("rank correlation", [x.rank for x in found], [x.rank_spread for x in found], chance.rank),
        ("SSIM", [x.ssim for x in found], [x.ssim_spread for x in found], chance.ssim),
    )
    for colour, (name, values, spreads, level) in zip(ACCENTS, lines, strict=True):
        axes.errorbar(
            places,
            [1, *values],
            [0, *spreads],
            color=colour,
            marker="o",
            markersize=3.5,
            linewidth=1.4,
            elinewidth=0.8,
            label=name,
        )
        axes.axhline(level, color=colour, linewidth=1, linestyle=":", label=f"{name} by chance")
    names = ["nothing", *("+ " + ", ".join(stage.modules[:1]) for stage in trust.stages)]
    axes.set_xticks(places, names, rotation=25, ha="right", rotation_mode="anchor")
    axes.set_title(
        "Cascading randomisation: kernels shuffled, from the unit's own down",
        loc="left",
        fontsize=_LETTERS + 1,
        color=ink,
    )
    _legend(axes, ink)


def _curves(axes: Axes, trust: "Trust", ink: str) -> None:
    """Insertion and deletion against random orders."""
    both = {"inserted": trust.curves.insertion, "deleted": trust.curves.deletion}
    for colour, (name, curve) in zip(ACCENTS, both.items(), strict=True):
        label = f"{name}: area {curve.area:.2f}"
        axes.plot(curve.share, curve.value, color=colour, linewidth=1.4, label=label)
        mean, spread = curve.random.mean(dim=0), curve.random.std(dim=0)
        low, high = mean - spread, mean + spread
        chance = f"{name} in random orders: {curve.chance:.2f} ± {curve.spread:.2f}"
        axes.fill_between(curve.share, low, high, color=colour, alpha=0.22, lw=0, label=chance)
    axes.set_xlabel("share of the window's pixels, those of the largest projection × image first")
    axes.set_title(
        "The unit's activation, relative, as pixels are inserted or deleted",
        loc="left",
        fontsize=_LETTERS + 1,
        color=ink,
    )
    _legend(axes, ink)


def _plot(axes: Axes, ink: str) -> Axes:
    """Two quiet spines and no ground."""
    axes.set_facecolor("none")
    for side, spine in axes.spines.items():
        spine.set_color(ink)
        spine.set_visible(side in ("left", "bottom"))
    axes.tick_params(colors=ink, labelsize=_LETTERS)
    axes.xaxis.label.set(color=ink, fontsize=_LETTERS + 1)
    return axes


def _legend(axes: Axes, ink: str) -> None:
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, -0.05), high + 0.3 * (high - low))  # room for the legend
    axes.legend(loc="upper left", frameon=False, labelcolor=ink, fontsize=_LETTERS, ncols=2)


def _caption() -> str:
    return (
        "Each control changes one thing and shows its first example; below it, how alike its "
        "pictures are to the one examined, by magnitudes, the mean of all. Unrelated pictures, of "
        "shuffled networks that look at shuffled pixels, are the chance level: a control keeps 0 % "
        "there and 100 % where nothing changes. Inserted into, or deleted to, the training "
        "pictures' mean colour. "
        f"A deconvnet is a projection, not an attribution. {display_caption()}"
    )
