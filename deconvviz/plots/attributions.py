"""Attributions of one unit side by side, and in words."""

import textwrap

from matplotlib.figure import Figure

from deconvviz.analysis.trust.attributions import Attribution, Attributions
from deconvviz.analysis.trust.examination import SPREADS
from deconvviz.plots.arrays import stretched
from deconvviz.plots.display import display
from deconvviz.plots.figures import ACCENTS, NEUTRAL_INK, legend, quiet
from deconvviz.plots.trust import LETTERS, picture_row, unit_title

LEGEND = (
    "The *projection* shows what the unit saw. The other methods ask from which pixels its "
    "activation comes: *integrated gradients* and *guided Grad-CAM* by derivatives, *occlusion* by "
    "covering. *Insertion* puts pixels back, the most important first: the larger the area, the "
    "sooner the activation is back. *Deletion* takes them away: the smaller, the sooner it is gone."
)


def headline(found: Attributions) -> str:
    """The method whose pixels restore the activation soonest, if sooner than random ones."""
    best = max(found.methods, key=lambda one: one.curves.insertion.area)
    curve = best.curves.insertion
    if curve.area <= curve.chance + SPREADS * curve.spread:
        return "No method finds pixels that matter more to this unit than random ones do."
    return (
        f"The pixels that matter most to this unit are those that {best.method} marks: put "
        f"back first, they bring its activation back soonest (area {curve.area:.2f}; random pixels "
        f"{curve.chance:.2f})."
    )


def summary(found: Attributions) -> str:
    """The methods with the best insertion and deletion, against random orders."""
    best = max(found.methods, key=lambda one: one.curves.insertion.area)
    lowest = min(found.methods, key=lambda one: one.curves.deletion.area)
    random = found.methods[0].curves.insertion
    text = (
        f"The pixels of {best.method} restore the activation soonest (area of insertion "
        f"{best.curves.insertion.area:.2f}), and without those of {lowest.method} it falls "
        f"soonest (area of deletion {lowest.curves.deletion.area:.2f}); random orders have "
        f"{random.chance:.2f} ± {random.spread:.2f}."
    )
    return " ".join([text, *_missing(found)])


def _missing(found: Attributions) -> list[str]:
    return [f"No {name}: {why}." for name, why in found.missing.items()]


def figure(found: Attributions, ink: str = NEUTRAL_INK) -> Figure:
    """The methods' pictures on one scale; below, their areas of insertion and deletion."""
    panel = Figure(figsize=(8.2, 4.5), facecolor="none")
    notes = ["the projection", *map(_note, found.methods[1:])]
    cells = [
        ("what it sees", stretched(found.patch[None].float().numpy())[0], ""),
        *(
            (one.method, display(one.pixels), note)
            for one, note in zip(found.methods, notes, strict=True)
        ),
    ]
    place = {"left": 0.01, "right": 0.99, "top": 0.89, "bottom": 0.54, "wspace": 0.06}
    list(picture_row(panel.add_gridspec(1, len(cells), **place), cells, ink))
    _areas(panel, found, ink)
    title = unit_title(found.units, found.map_size)
    panel.text(0.01, 0.99, title, va="top", color=ink, fontsize=9, parse_math=False)
    text = textwrap.fill(" ".join([_CAPTION, *_missing(found)]), 128)
    panel.text(0.01, 0.01, text, va="bottom", color=ink, fontsize=LETTERS, parse_math=False)
    return panel


def _note(one: Attribution) -> str:
    found = one.similarity
    return f"rank {found.rank:.2f}\nSSIM {found.ssim:.2f}".replace("nan", "none")


def _areas(panel: Figure, found: Attributions, ink: str) -> None:
    axes = panel.add_axes((0.22, 0.22, 0.75, 0.19))
    quiet(axes, ink)
    axes.spines["left"].set_visible(False)
    random = found.methods[0].curves.insertion
    low, high = random.chance - 2 * random.spread, random.chance + 2 * random.spread
    axes.axvspan(low, high, color=ink, alpha=0.25, lw=0, label="random orders")
    rows = range(len(found.methods))
    for colour, name in zip(ACCENTS, ("insertion", "deletion"), strict=True):
        areas = [getattr(one.curves, name).area for one in found.methods]
        axes.scatter(areas, rows, s=26, color=colour, label=name, zorder=3)
    axes.set_yticks(rows, [one.method for one in found.methods])
    axes.set_ylim(len(found.methods) - 0.5, -0.5)
    axes.tick_params(labelsize=LETTERS, length=0)
    axes.set_xlabel("area under the curve, relative activation", fontsize=LETTERS)
    legend(axes, ink, fontsize=LETTERS, ncols=3, loc="lower right", bbox_to_anchor=(1, 0.97))


_CAPTION = (
    "Each method has units of its own: its pixels are shown signed and symmetric about grey "
    "(zero), at full contrast at percentile 99.5 of its own non-zero magnitudes, so that all share "
    "the scale from -1 to 1. Rank and SSIM: similarity to the projection, by magnitudes. A "
    "projection shows what a unit saw; the others say where its activation comes from. Blank "
    "pixels are the training pictures' mean colour."
)
