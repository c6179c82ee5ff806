"""Invariance to transformations, as curves and in words."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from deconvviz.analysis.invariance import Invariance, Transformation
from deconvviz.plots.figures import ACCENTS, NEUTRAL_INK, captioned, mosaic, picture_on, quiet

_DRAWN = 40  # curves of single pictures in a plot, at most
_BORDERS = {
    "reflect": "the picture's mirror image",
    "edge": "its outermost pixels",
    "mean": "the mean colour of the training pictures",
}
_STRENGTHS = {"translation": "pixels down", "scale": "scale", "rotation": "degrees"}


def summary(found: Invariance) -> str:
    """For each transformation the mean distances over its strengths, and the lowest p."""
    parts = "; ".join(_of(found, one) for one in found.transformations)
    return (
        f"Over {found.data}, a transformed picture's features differ from the picture's own, "
        f"averaged over strengths, by this share of the distance between two pictures: {parts}."
    )


def _class(found: Invariance) -> str:
    """Description of the class whose `probability` is measured."""
    return "true class" if found.labelled else "class decided on the untransformed picture"


def _of(found: Invariance, one: Transformation) -> str:
    changes = one.distance.mean((1, 2)).tolist()
    layers = ", ".join(
        f"{layer} {change:.2f}" for layer, change in zip(found.layers, changes, strict=True)
    )
    low, high = float(one.strengths.min()), float(one.strengths.max())
    text = f"{one.kind} ({low:g} to {high:g}) {layers}"
    p = one.mean_probability
    if p is None or found.untouched is None:
        return text
    worst = int(p.argmin())
    return (
        f"{text}, and p({_class(found)}) falls from {found.untouched.mean():.2f} to "
        f"{p[worst]:.2f} at {float(one.strengths[worst]):g}"
    )


def figure(found: Invariance, ink: str = NEUTRAL_INK) -> Figure:
    """Three columns as in the paper: the pictures, the distances at each layer, and p."""
    plots = len(found.layers) + (found.untouched is not None)
    sheet = Figure(figsize=(9.2, 1.2 + 1.35 * plots), facecolor="none", layout="constrained")
    grid = sheet.add_gridspec(1 + plots, 3, height_ratios=(0.4, *[1] * plots))
    for column, one in enumerate(found.transformations):
        top = sheet.add_subplot(grid[0, column])
        picture_on(top, mosaic(one.examples, len(one.examples), gap=6, side=96), "", ink)
        top.set_title(one.kind, loc="left", fontsize=9, color=ink, pad=3)
        for row in range(plots):
            axes = sheet.add_subplot(grid[1 + row, column])
            _curves(axes, found, one, row, ink)
            if column == 0:
                axes.set_ylabel([*found.layers, "p"][row], fontsize=8)
        axes.set_xlabel(_STRENGTHS[one.kind], fontsize=8)
    count = found.transformations[0].distance.shape[1]
    text = (
        f"Thin: {min(count, _DRAWN)} of {found.data}; bold: the mean of all. Distance of features: "
        "1 (dashed) is the root mean square distance between two of the pictures.\n"
        f"Beyond the border: {_BORDERS[found.border]}."
        + (f" p: of the {_class(found)}; dashed: by chance." if found.classes else "")
    )
    return captioned(sheet, text, ink)


def _curves(axes: Axes, found: Invariance, one: Transformation, row: int, ink: str) -> None:
    """One row's curves; the last row is p."""
    quiet(axes, ink)
    is_distance = row < len(found.layers)
    values = one.distance[row] if is_distance else one.probability
    assert values is not None
    x = one.strengths.tolist()
    axes.plot(x, values[:_DRAWN].mT.tolist(), color=ink, alpha=0.25, linewidth=0.5)
    axes.plot(x, values.mean(0).tolist(), color=ACCENTS[not is_distance], linewidth=2)
    line = 1.0 if is_distance else 1 / len(found.classes)
    axes.axhline(line, color=ink, linewidth=0.8, linestyle="--")
    highest = [float(other.distance[row].max()) for other in found.transformations if is_distance]
    axes.set_ylim(0, 1.05 * max([1.0, *highest]))
    if one.kind == "rotation" and max(x) > 90:
        axes.xaxis.set_major_locator(MultipleLocator(90))
