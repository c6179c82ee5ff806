"""One unit in one picture as a figure for a paper: picture, patch, three rules, caption."""

from matplotlib.figure import Figure

from deconvviz.analysis.unit import UnitInPicture
from deconvviz.plots.arrays import crop, framed
from deconvviz.plots.display import display, display_caption
from deconvviz.plots.figures import captioned, picture_on
from deconvviz.plots.files import Ending, figure_file
from deconvviz.plots.look import contrast

PAPER_INK = "#333333"
_SIDE = 600  # pixels of the picture, so that the frame's lines are thin


def summary(found: UnitInPicture) -> str:
    """The unit, its place and its activation."""
    unit, (top, left, bottom, right) = found.unit, found.box
    height, width = found.picture.shape[:2]
    return (
        f"Unit {unit.channel} of {unit.layer} in {found.network}, activation "
        f"{found.activation:.3g} in row {unit.y}, column {unit.x}; window: rows {max(top, 0)} to "
        f"{min(bottom, height) - 1}, columns {max(left, 0)} to {min(right, width) - 1} of "
        f"{found.picture_name}."
    )


def figure(found: UnitInPicture, ink: str = PAPER_INK) -> Figure:
    """The picture with the unit's window, the patch in it, and the projection by each rule."""
    drawn = Figure(figsize=(9.2, 2.5), facecolor="white", layout="constrained")
    cells = drawn.add_gridspec(1, 2 + len(found.projections))
    picture = framed(found.picture, [], found.box, _SIDE)
    picture_on(drawn.add_subplot(cells[0]), picture, found.picture_name, ink, smooth=True)
    shown = {"patch": crop(found.picture, found.box)}
    shown |= {
        rule: display(pixels, contrast=contrast([found.share]))
        for rule, pixels in found.projections.items()
    }
    for place, (name, pixels) in enumerate(shown.items(), 1):
        picture_on(drawn.add_subplot(cells[place]), pixels, name, ink, smooth=True)
    return captioned(drawn, f"{summary(found)}\n{display_caption()}", ink)


def about(found: UnitInPicture, software: str) -> dict[str, str]:
    """What its files are of, as texts."""
    unit = found.unit
    return {
        "Title": f"Unit {unit.channel} of {unit.layer} in {found.picture_name}",
        "Software": software,
        "network": found.network,
        "picture": found.picture_name,
        "layer": unit.layer,
        "unit": str(unit.channel),
        "position": f"y {unit.y}, x {unit.x}",
        "rule": ", ".join(found.projections),
        "start": found.start,
    }


def file(found: UnitInPicture, ending: Ending, software: str) -> bytes:
    """The figure as the content of a PNG, SVG or PDF file that says what it is of."""
    return figure_file(figure(found), ending, about(found, software))
