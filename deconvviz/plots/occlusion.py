"""The five panels of occlusion, and its summary in words."""

import textwrap

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from torch import Tensor

from deconvviz.analysis.occlusion import Occlusion
from deconvviz.plots.arrays import mosaic
from deconvviz.plots.display import display, display_caption, spoken
from deconvviz.plots.figures import COLOURS, NEUTRAL_INK, captioned, legend, picture_on, quiet

_SHOWN = 3  # other pictures
_LETTERS = 11  # points in the story
# of the true class, then of others by falling frequency, then of all that remain
_COLOURS = (COLOURS[1], COLOURS[0], *COLOURS[2:])
_REST = "#9a9a9a"


def summary(found: Occlusion) -> str:
    """The occluder's effect on the class and on the map, and its place."""
    name, places = found.classes[found.truth], found.decision.numel()
    kept = found.decisions.get(name, 0.0)
    lowest = float(found.activation.min()) / max(found.whole_activation, 1e-12)
    text = (
        f"A square of {found.side} pixels at {places} places: p({name}) is "
        f"{found.whole_probability:.2f} without it, {found.probability.min():.2f} at the worst "
        f"place, and {name} stays the most probable class at {kept:.0%} of the places. Map "
        f"{found.channel} of {found.layer}, the strongest, falls to {lowest:.0%} of its sum."
    )
    if found.agreement is None:
        return text + " It, or its projection, is the same everywhere."
    text += (
        " Its loss by place correlates with the energy of its projection under the square: "
        f"{found.agreement:.2f}"
    )
    if found.chance_agreement is None:
        return text + " (no other pictures to compare with)."
    mean, deviation = found.chance_agreement
    return text + (
        f"; with its projections into {len(found.other_pictures)} other pictures, "
        f"{mean:.2f} ± {deviation:.2f}."
    )


LEGEND = (
    "A grey square is moved over the picture, and each time the network decides anew. The two maps "
    "have the picture's shape: the colour at a place belongs to the square whose middle lies "
    "there. *Probability* is the network's output for a class after softmax: all classes add up "
    "to 100%. It need not be how often such an answer is right."
)


def headline(found: Occlusion) -> str:
    """What the network says without the square, and with it at the worst place."""
    lowest = int(found.probability.argmin())
    before, true = _word(found, found.whole_decision), _word(found, found.truth)
    after = _word(found, int(found.decision.flatten()[lowest]))
    fall = f"{found.whole_probability:.0%} to {found.probability.min():.0%}"
    if after != before:
        return (
            f"The network says “{before}”, but “{after}” when the square covers the place "
            f"shown: the probability of {true} falls from {fall}."
        )
    some = f" at {found.changed.double().mean():.0%} of the places" if found.changed.any() else ""
    return (
        f"The network says “{before}”"
        + (f", and another class only{some}" if some else ", wherever the square lies")
        + f": at the worst place the probability of {true} falls from {fall}."
    )


def story(found: Occlusion, ink: str = NEUTRAL_INK) -> Figure:
    """The picture, covered at the worst place, and by the square's place decision and p."""
    sheet = Figure(figsize=(5.2, 5.6), facecolor="none", layout="constrained")
    ((whole, covered), (decided, sure)) = sheet.subplots(2, 2)
    lowest = int(found.probability.argmin())
    after = _word(found, int(found.decision.flatten()[lowest]))
    height, width = found.picture.shape[:2]
    for axes, pixels, title in (
        (whole, found.picture, f"says: {_word(found, found.whole_decision)}"),
        (covered, found.covered, f"says: {after}"),
    ):
        _titled(axes, title, ink, _LETTERS)
        axes.imshow(pixels, extent=(0, width, height, 0))
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    if found.changed.any():
        _titled(decided, "what it says, by place", ink, _LETTERS)
        _decisions(decided, found, ink)
        sheet.legend(
            handles=_patches(found),
            loc="outside lower center",
            ncols=2,
            frameon=False,
            labelcolor=ink,
            fontsize=_LETTERS,
        )
    else:
        decided.set_axis_off()
        text = f"It says\n{_word(found, found.whole_decision)}\nwherever the\nsquare lies."
        decided.text(0.5, 0.5, text, ha="center", va="center", color=ink, fontsize=_LETTERS + 1)
    sure_of = f"how sure of {_word(found, found.truth)}"
    _heat(sure, found, found.probability, sure_of, 1.0, ink, _LETTERS)
    return sheet


def _word(found: Occlusion, label: int) -> str:
    return spoken(found.classes[label])


def figure(found: Occlusion, ink: str = NEUTRAL_INK) -> Figure:
    """The five panels of the paper's Fig. 7, in two rows: a page need not shrink them."""
    sheet = Figure(figsize=(8.6, 4.9), facecolor="none", layout="constrained")
    cells = sheet.add_gridspec(2, 4)
    first = sheet.add_subplot(cells[0, 0])
    _titled(first, "a  covered where d is lowest", ink)
    height, width = found.picture.shape[:2]
    first.imshow(found.covered, extent=(0, width, height, 0))
    _frame(first, found, ink)
    title = f"b  sum of map {found.channel}, {found.layer}"
    place = sheet.add_subplot(cells[0, 1])
    _heat(place, found, found.activation, title, found.whole_activation, ink)
    _projections(sheet.add_subplot(cells[0, 2:]), found, ink)
    title = f"d  p({found.classes[found.truth]})"
    _heat(sheet.add_subplot(cells[1, 0]), found, found.probability, title, 1.0, ink)
    _classes(sheet.add_subplot(cells[1, 1]), found, ink)
    others = f"others from {found.data}. " if found.data else ""
    text = (
        f"A square of {found.side} pixels moved by {found.stride}. b, d, e: by the place of its "
        f"centre; frame: the picture. c: {others}{display_caption()}"
    )
    return captioned(sheet, textwrap.fill(text, 140), ink)


def _titled(axes: Axes, title: str, ink: str, letters: float = 8) -> None:
    quiet(axes, ink)
    axes.set_title(title, loc="left", fontsize=letters, color=ink, parse_math=False)


def _heat(
    axes: Axes,
    found: Occlusion,
    values: Tensor,
    title: str,
    most: float,
    ink: str,
    letters: float = 8,
) -> None:
    """A number by the occluder's place, from zero to at least `most`, the value without it."""
    _titled(axes, title, ink, letters)
    low, high = min(0.0, float(values.min())), max(most, float(values.max())) or 1.0
    image = axes.imshow(values.numpy(), extent=_extent(found), vmin=low, vmax=high)
    _frame(axes, found, ink)
    beside = axes.inset_axes((1.03, 0, 0.05, 1))
    axes.figure.colorbar(image, cax=beside).outline.set_visible(False)
    beside.tick_params(colors=ink, labelsize=letters - 1, length=2)


def _classes(axes: Axes, found: Occlusion, ink: str) -> None:
    _titled(axes, "e  most probable class", ink)
    _decisions(axes, found, ink)
    place = {"loc": "upper left", "bbox_to_anchor": (1, 1.03)}
    legend(axes, ink, fontsize=7, handles=_patches(found), handlelength=1, **place)


def _colours(found: Occlusion) -> dict[str, str]:
    """Colour by class, of the true one and of the most frequent others."""
    others = [name for name in found.decisions if name != found.classes[found.truth]]
    named = [found.classes[found.truth], *others[: len(_COLOURS) - 1]]
    return dict(zip(named, _COLOURS, strict=False))


def _decisions(axes: Axes, found: Occlusion, ink: str) -> None:
    """The most probable class by the occluder's place."""
    colours = _colours(found)
    shades = np.array([to_rgb(colours.get(name, _REST)) for name in found.classes])
    axes.imshow(shades[found.decision.numpy()], extent=_extent(found))
    _frame(axes, found, ink)


def _patches(found: Occlusion) -> list[Patch]:
    """The legend of the classes, with the share of places of each."""
    colours, shares = _colours(found), found.decisions
    patches = [
        Patch(color=colour, label=f"{name.replace('_', ' ')} {shares.get(name, 0):.0%}")
        for name, colour in colours.items()
    ]
    if rest := sum(share for name, share in shares.items() if name not in colours):
        patches.append(Patch(color=_REST, label=f"others {rest:.0%}"))
    return patches


def _projections(axes: Axes, found: Occlusion, ink: str) -> None:
    """The map projected into this picture and into others, each below its picture."""
    others = len(found.other_pictures[:_SHOWN])
    where = ": here, and where it is strongest" if others else ""
    _titled(axes, f"c  the map projected{where}", ink)
    signed = torch.cat([found.projection[None], found.other_projections[:_SHOWN]])
    tiles = [found.picture, *found.other_pictures[:_SHOWN], *display(signed)]
    picture_on(axes, mosaic(tiles, 1 + others, gap=8, side=128), "", ink)


def _extent(found: Occlusion) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of the maps, in pixels: a cell around each centre."""
    edges = found.side / 2 - found.stride / 2, found.side / 2 + found.stride / 2
    left, right = float(found.lefts[0]) + edges[0], float(found.lefts[-1]) + edges[1]
    top, bottom = float(found.tops[0]) + edges[0], float(found.tops[-1]) + edges[1]
    return left, right, bottom, top


def _frame(axes: Axes, found: Occlusion, ink: str) -> None:
    """Outline the picture in a map, which extends at most half an occluder further."""
    height, width = found.picture.shape[:2]
    axes.add_patch(Rectangle((0, 0), width, height, fill=False, edgecolor=ink, linewidth=0.8))
    left, right, bottom, top = _extent(found)
    axes.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
