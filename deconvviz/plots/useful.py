"""A unit's most useful pictures beside its strongest ones, as a figure and in words."""

from matplotlib.figure import Figure

from deconvviz.analysis.useful import Ranked, Useful
from deconvviz.io.preprocess import Pixels
from deconvviz.plots.arrays import mosaic
from deconvviz.plots.display import display, display_caption
from deconvviz.plots.figures import NEUTRAL_INK, captioned, picture_on

_COLUMNS = 9


def summary(found: Useful) -> str:
    """The class, and how many pictures the two rankings share."""
    name, count = found.classes[found.label], len(found.useful.pictures)
    if not count:
        return f"Unit {found.unit} of {found.layer} adds to {name} in none of {found.data}."
    return (
        f"Unit {found.unit} of {found.layer} adds {found.total[found.label]:+.3g} to the score of "
        f"{name} on average over {found.data}, at most {found.useful.value[0]:+.3g}. Of the "
        f"{count} pictures in which it adds most, {found.shared} are among the "
        f"{len(found.strongest.pictures)} in which it is strongest."
    )


def figure(found: Useful, ink: str = NEUTRAL_INK) -> Figure:
    """Two strips of pictures, each with the unit's projections below."""
    drawn = Figure(figsize=(9.2, 5.0), facecolor="none", layout="constrained")
    above, below = drawn.subplots(2, 1)
    name = found.classes[found.label]
    rows = ((above, found.useful, f"adds most to {name}"), (below, found.strongest, "strongest"))
    for axes, ranked, title in rows:
        text = f"unit {found.unit} of {found.layer}: {title}"
        if len(ranked.pictures):
            picture_on(axes, _strip(ranked), text, ink)
        else:
            axes.set_axis_off()
            axes.set_title(f"{text}: no picture", loc="left", fontsize=9, color=ink)
    return captioned(drawn, f"{found.network}, {found.data}. {display_caption()}", ink)


def _strip(ranked: Ranked) -> Pixels:
    tiles = [*ranked.images[:_COLUMNS], *display(ranked.projections[:_COLUMNS])]
    return mosaic(tiles, len(ranked.images[:_COLUMNS]), gap=6, side=128)
