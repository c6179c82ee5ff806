"""Invariance to transformations, as curves and in words."""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from deconvviz.analysis.invariance import Invariance, Transformation
from deconvviz.plots.arrays import mosaic
from deconvviz.plots.figures import ACCENTS, COLOURS, NEUTRAL_INK, captioned, picture_on, quiet

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
    lowest, at = _worst(one)
    before = float(found.untouched.mean())
    how = f"falls from {before:.2f} to {lowest:.2f} at {at:g}"
    if lowest >= before:
        how = f"does not fall below {before:.2f}"
    return f"{text}, and p({_class(found)}) {how}"


LEGEND = (
    "Each row is one change of the pictures: moved down, enlarged, turned. *Distance* is how far a "
    "layer's activations have gone from those of the untouched picture; 1 is as far as another "
    "picture. *Invariant* is what stays at zero. *Probability* is that of the right class; it "
    "begins high, and stays high if the network does not mind."
)
_DOING = {"translation": "Moving", "scale": "Enlarging", "rotation": "Turning"}
_AT = {"translation": "by {:g} pixels", "scale": "{:g} times", "rotation": "by {:g} degrees"}


def headline(found: Invariance) -> str:
    """The transformations that change most and least: the class's probability, or the features."""
    p, last = found.untouched, found.layers[-1]
    before = float(p.mean()) if p is not None else 0.0
    ranked = sorted(
        found.transformations, key=lambda one: _worst(one)[0] * (1 if p is None else -1)
    )
    least, most = ranked[0], ranked[-1]
    ends = [(_DOING[one.kind], *_worst(one), _AT[one.kind]) for one in (most, least)]
    (a, at, x, how), (b, other, y, also) = ends
    if p is None:
        return (
            f"{a} the pictures changes {last} most ({at:.2f} of the distance between two pictures, "
            f"{how.format(x)}), {b.lower()} them least ({other:.2f}, {also.format(y)})."
        )
    if at >= before:
        return f"None of these changes lowers the probability of the class, {before:.0%}."
    cheap = f"costs least ({also.format(y)}: {other:.0%})" if other < before else "costs nothing"
    return (
        f"{a} the pictures costs most: {how.format(x)}, the probability of the class "
        f"falls from {before:.0%} to {at:.0%}. {b} them {cheap}."
    )


def _worst(one: Transformation) -> tuple[float, float]:
    """The lowest mean probability, or the largest mean distance of the last layer; its strength.

    Strengths that leave a picture as it is do not count, unless there are no others.
    """
    p, strengths = one.mean_probability, one.strengths
    values = one.mean_distance[-1] if p is None else -p
    turn = strengths % 360 if one.kind == "rotation" else strengths
    is_same = turn == (1 if one.kind == "scale" else 0)
    if not is_same.all():
        values = values.masked_fill(is_same, -math.inf)
    place = int(values.argmax())
    return abs(float(values[place])), float(strengths[place])


def story(found: Invariance, ink: str = NEUTRAL_INK) -> Figure:
    """For each transformation the first picture, and means over the pictures as curves."""
    count = len(found.transformations)
    sheet = Figure(figsize=(5.2, 0.4 + 2.1 * count), facecolor="none", layout="constrained")
    rows = sheet.subplots(2 * count, 1, height_ratios=[0.55, 1] * count)
    layers = {found.layers[0]: 0}
    maps = [name for name in found.layers if not found.classes or name != found.layers[-1]]
    layers[maps[-1]] = found.layers.index(maps[-1])
    for one, strip, axes in zip(found.transformations, rows[::2], rows[1::2], strict=True):
        picture_on(strip, mosaic(one.examples, len(one.examples), gap=6, side=96), "", ink)
        quiet(axes, ink)
        x = one.strengths.tolist()
        for colour, (name, place) in zip(COLOURS, layers.items(), strict=False):
            values = one.mean_distance[place].tolist()
            axes.plot(x, values, color=colour, linewidth=2, label=f"distance, {name}")
        if one.mean_probability is not None:
            p = one.mean_probability.tolist()
            axes.plot(x, p, "--", color=ink, linewidth=2, label="probability of the class")
        axes.set_ylim(bottom=0)
        axes.set_xlabel(_STRENGTHS[one.kind])
    handles, labels = rows[1].get_legend_handles_labels()
    sheet.legend(
        handles,
        labels,
        loc="outside upper left",
        frameon=False,
        labelcolor=ink,
        fontsize=9,
        ncols=1,
    )
    return sheet


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
