"""Find: the units of a layer with some trait, of some class, or like an example."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from deconvviz.analysis.compare import Side, correlations
from deconvviz.analysis.inputs import chosen_layers, class_number, projected_layers, title_of
from deconvviz.analysis.registry import Analysis
from deconvviz.analysis.result import Result
from deconvviz.analysis.traits import Traits, at_peaks, traits
from deconvviz.analysis.trust.verdicts import own_shares
from deconvviz.atlas import Atlas, Units, build_atlas
from deconvviz.deconv import Box, Deconvnet
from deconvviz.errors import DataError, SelectionError, SettingError
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset
from deconvviz.io.images import open_picture
from deconvviz.io.preprocess import Pixels
from deconvviz.progress import Progress
from deconvviz.schema import Count, Positive, validated

Sort = Literal[
    "strength", "selectivity", "clearness", "tint", "coherence", "trust", "likeness", "crop"
]
Colour = Literal["", "red", "yellow", "green", "cyan", "blue", "magenta"]

COLOURS: tuple[Colour, ...] = ("red", "yellow", "green", "cyan", "blue", "magenta")
"""Names of hues, 60 degrees each, from red around 0."""
TINTED = 0.15
"""A projection with less `tint` has no one colour."""
DIRECTED = 0.2
"""A projection with less `coherence` has no one direction."""
_NEAR = 22.5  # degrees from the orientation that is asked for


@validated
class FindOptions:
    """Options of the search for units."""

    layer: str = ""
    """Layer; by default the last rectified one."""
    sort: Sort | None = None
    """Order, largest first: strength (largest activation over the data), selectivity (for one
    class), clearness (power of the projection that is not fine), tint (of one colour), coherence
    (lines of one direction), trust (change when the unit's own kernels are shuffled, over
    --networks shuffled networks), likeness to --like, crop (share of its largest activation in
    --box of --picture). By default likeness or crop where one is given, else strength."""
    label: str | int | None = None
    """Only units whose mean activation is highest for this class, by name or number."""
    colour: Colour = ""
    """Only units whose projection has this colour."""
    orientation: Annotated[float, Field(ge=0, le=180)] | None = None
    """Only units whose projection has lines of this direction, within 22.5 degrees: 0 horizontal,
    90 vertical, counterclockwise."""
    like: Count | None = None
    """Number of a unit of the layer that others are compared with."""
    picture: Path | None = None
    """Picture file for the order by crop."""
    box: tuple[Count, ...] = ()
    """Part of the picture as the network sees it: top, left, bottom, right, in pixels; by default
    all of it."""
    units: Positive = 20
    """How many units are given."""
    networks: Positive = 25
    """Number of shuffled networks for the order by trust. With 25, Spearman's rank correlation of
    the orders of two seeds was 0.68 to 0.95 in three layers; with 5, 0.38 to 0.88."""


@dataclass(frozen=True)
class FoundUnit:
    """One unit.

    Attributes:
        unit: Its number.
        value: What the units are sorted by.
        strength: Largest activation over the data.
        selectivity: Class selectivity, 0 to 1.
        label: Class with the highest mean activation.
        clearness: See `Traits`; like all below.
        colour: Name of the hue; empty below a tint of 0.15.
        tint: How much of this one colour.
        orientation: Direction in degrees; None below a coherence of 0.2.
        coherence: How much of this one direction.
    """

    unit: int
    value: float
    strength: float
    selectivity: float
    label: str
    clearness: float
    colour: str
    tint: float
    orientation: float | None
    coherence: float


@dataclass(frozen=True, eq=False)
class Found(Result):
    """Units of a layer that fit, the first ones of an order.

    Attributes:
        units: At most as many as asked for.
        fitting: How many fit in all.
        total: Units of the layer.
        pictures: uint8 (units, H, W, 3) the picture of each one's strongest activation.
        boxes: Its window there.
        projections: (units, C, h, w) in the window.
    """

    network: str
    layer: str
    sort: Sort
    wanted: tuple[str, ...]
    units: tuple[FoundUnit, ...]
    fitting: int
    total: int
    data: str
    pictures: Pixels
    boxes: tuple[Box, ...]
    projections: Tensor
    name = "find"
    omitted = ("pictures", "projections")


def find(
    bundle: Bundle,
    dataset: Dataset,
    options: FindOptions | None = None,
    *,
    net: Deconvnet | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Found:
    """Search a layer for units, over a data set.

    Traits are those of the projection of each unit's strongest activation. Two units are alike if
    their activations correlate over all pictures and places. Units that are never active do not
    fit.

    Arguments are as in `Inputs`.

    Raises:
        DataError: There are no pictures, fewer than two to compare units on, or they have other
            channels.
        PictureError: The picture cannot be read.
        SelectionError: There is no such unit, or number of a class.
        SettingError: There is no such class, an order lacks its example, or the box is empty.
        UnknownLayerError: The network has no such layer.
    """
    chosen = options or FindOptions()
    net = net or Deconvnet(bundle.model, bundle.input_size)
    (layer,) = chosen_layers(
        net, (chosen.layer,) if chosen.layer else (), projected_layers(net)[-1:]
    )
    sort = _sort(chosen)
    atlas = build_atlas(bundle, dataset, net=net, k=1, layers=[layer], progress=progress)
    units = atlas[layer]
    measured = traits(net, bundle, dataset, layer, units)
    side = Side(bundle, net, layer)
    order = _order(sort, side, dataset, units, measured, chosen, seed, progress)
    fits = fitting(units, measured, atlas.header.classes, chosen)
    fits &= order.isfinite()
    ranked = order.masked_fill(~fits, -torch.inf).argsort(descending=True, stable=True)
    shown = ranked[: min(chosen.units, int(fits.sum()))]
    pictures, boxes, projections = _drawn(side, dataset, units, shown)
    return Found(
        network=bundle.name,
        layer=layer,
        sort=sort,
        wanted=_wanted(chosen, atlas),
        units=tuple(
            _row(unit, float(order[unit]), units, measured, atlas.header.classes)
            for unit in shown.tolist()
        ),
        fitting=int(fits.sum()),
        total=len(units),
        data=title_of(dataset),
        pictures=pictures,
        boxes=boxes,
        projections=projections,
    )


def _order(
    sort: Sort,
    side: Side,
    dataset: Dataset,
    units: Units,
    measured: Traits,
    chosen: FindOptions,
    seed: int,
    progress: Progress | None,
) -> Tensor:
    """(C,) what the units are sorted by, largest first."""
    if sort == "likeness" and chosen.like is not None:
        return likeness(side, dataset, chosen.like, progress)
    if sort == "crop" and chosen.picture is not None:
        image = side.bundle.preprocess(open_picture(chosen.picture).image)
        return in_crop(side, image, chosen.box, units)
    if sort == "trust":
        return trust(side, dataset, seed, progress, chosen.networks)
    return by_trait(units, measured)[sort]


def _drawn(
    side: Side, dataset: Dataset, units: Units, shown: Tensor
) -> tuple[Pixels, tuple[Box, ...], Tensor]:
    """Of the units shown, the pictures of their strongest activations, and windows projected."""
    bundle, net, layer = side.bundle, side.net, side.layer
    images = bundle.preprocessing.normalised(dataset.images[units.picture[shown, 0]])
    boxes, windows = [], [images[:0]]
    for _, _, projection in at_peaks(net, bundle, dataset, layer, units, shown):
        boxes += [(top, left, low, right) for top, left, low, right in projection.boxes.tolist()]
        windows.append(projection.pixels)
    return bundle.preprocessing.pixels(images), tuple(boxes), torch.cat(windows[1:] or windows)


def by_trait(units: Units, measured: Traits) -> Mapping[Sort, Tensor]:
    """Order -> (C,) values, largest first, for the orders that need no example."""
    nothing = torch.zeros(len(units), dtype=torch.float64)
    return {
        "strength": units.value[:, 0].double(),
        "selectivity": nothing if units.selectivity is None else units.selectivity,
        "clearness": measured.clearness,
        "tint": measured.tint,
        "coherence": measured.coherence,
    }


def likeness(side: Side, dataset: Dataset, unit: int, progress: Progress | None = None) -> Tensor:
    """(C,) correlation of each unit's activations with those of one of them; NaN for itself.

    Raises:
        DataError: There are fewer than two pictures.
        SelectionError: There is no such unit.
    """
    if len(dataset) < 2:
        raise DataError(f"{dataset.title}: need at least 2 pictures, got {len(dataset)}")
    count = side.net.layers[side.layer].channels
    if unit >= count:
        raise SelectionError(f"`{side.layer}` has no unit {unit}; it has 0 to {count - 1}")
    found, _ = correlations(side, side, dataset, progress=progress)
    row = found[unit].clone()
    row[unit] = float("nan")
    return row


def in_crop(side: Side, image: Tensor, box: Sequence[int], units: Units) -> Tensor:
    """(C,) the largest activation in a part of a picture over the largest over the data.

    Positions count whose receptive field has its centre in the box; where there is none, the one
    nearest to its middle.

    Args:
        side: The network and the layer.
        image: (C, H, W) normalised.
        box: Top, left, bottom, right, in pixels; empty: the whole picture.
        units: Of the layer; NaN for one that is never active there.

    Raises:
        SettingError: The box is not inside the picture.
    """
    height, width = image.shape[1:]
    top, left, bottom, right = _checked(box, (height, width))
    maps = side.net.record(image[None], [side.layer])[side.layer][0]
    layer, size = side.net.layers[side.layer], (maps.shape[1], maps.shape[2])
    rows = [layer.centre((y, 0), size, (height, width))[0] for y in range(size[0])]
    columns = [layer.centre((0, x), size, (height, width))[1] for x in range(size[1])]
    ys = [y for y, at in enumerate(rows) if top <= at + 0.5 < bottom]
    xs = [x for x, at in enumerate(columns) if left <= at + 0.5 < right]
    middle = (top + bottom - 1) / 2, (left + right - 1) / 2
    y, x = layer.nearest(middle, size, (height, width))
    inside = maps[:, ys or [y]][:, :, xs or [x]]
    largest = units.value[:, 0].double()
    return inside.amax((1, 2)).double() / largest.masked_fill(largest <= 0, float("nan"))


def trust(
    side: Side,
    dataset: Dataset,
    seed: int = 0,
    progress: Progress | None = None,
    networks: int = FindOptions().networks,
) -> Tensor:
    """(C,) how much of each unit's projection changes when its own kernels are shuffled.

    1 is as much as by chance, 0 not at all; see the analysis `verdicts`. NaN for a unit whose
    projection is zero. The shuffles are drawn at random: `benchmarks/trust_order.py` measures how
    far the order of the units depends on them.
    """
    found = own_shares(
        side.bundle, dataset, side.layer, networks, net=side.net, seed=seed, progress=progress
    )
    values = torch.full((side.net.layers[side.layer].channels,), float("nan"), dtype=torch.float64)
    values[found.channels] = 1 - found.after().double()
    return values


def fitting(units: Units, measured: Traits, classes: Sequence[str], chosen: FindOptions) -> Tensor:
    """(C,) bool: which units have the class, the colour and the orientation that are asked for."""
    fits = ~units.dead.cpu()
    if chosen.label is not None and units.preferred is not None:
        fits &= units.preferred.cpu() == class_number(classes, chosen.label)
    if chosen.colour:
        names = torch.tensor([COLOURS.index(chosen.colour)])
        fits &= (_hue_number(measured.hue) == names) & (measured.tint >= TINTED)
    if chosen.orientation is not None:
        away = (measured.orientation - chosen.orientation + 90) % 180 - 90
        fits &= (away.abs() <= _NEAR) & (measured.coherence >= DIRECTED)
    return fits


def _hue_number(hue: Tensor) -> Tensor:
    return ((hue.nan_to_num(0) + 30) // 60 % len(COLOURS)).long()


def _sort(chosen: FindOptions) -> Sort:
    given: Sort = "strength"
    if chosen.picture is not None:
        given = "crop"
    if chosen.like is not None:
        given = "likeness"
    sort = chosen.sort or given
    if sort == "likeness" and chosen.like is None:
        raise SettingError("the order by likeness needs an example; name a unit with --like")
    if sort == "crop" and chosen.picture is None:
        raise SettingError("the order by crop needs an example; name a file with --picture")
    return sort


def _checked(box: Sequence[int], size: tuple[int, int]) -> Box:
    """A box inside a picture of this height and width."""
    if not box:
        return 0, 0, *size
    inside = len(box) == 4 and 0 <= box[0] < box[2] <= size[0] and 0 <= box[1] < box[3] <= size[1]
    if not inside:
        raise SettingError(
            f"{','.join(map(str, box))} is no box inside {size[0]} rows and {size[1]} columns; "
            "give top,left,bottom,right"
        )
    top, left, bottom, right = box
    return top, left, bottom, right


def _wanted(chosen: FindOptions, atlas: Atlas) -> tuple[str, ...]:
    """What was asked for, in words."""
    found = []
    if chosen.label is not None:
        classes = atlas.header.classes
        found.append(f"most active for {classes[class_number(classes, chosen.label)]}")
    if chosen.colour:
        found.append(chosen.colour)
    if chosen.orientation is not None:
        found.append(f"lines at {chosen.orientation:g}°")
    if chosen.like is not None:
        found.append(f"like unit {chosen.like}")
    if chosen.picture is not None:
        found.append(f"active in {chosen.picture.name}")
    return tuple(found)


def _row(
    unit: int, value: float, units: Units, measured: Traits, classes: Sequence[str]
) -> FoundUnit:
    tint, coherence = float(measured.tint[unit]), float(measured.coherence[unit])
    preferred = units.preferred
    return FoundUnit(
        unit=unit,
        value=value,
        strength=float(units.value[unit, 0]),
        selectivity=0.0 if units.selectivity is None else float(units.selectivity[unit]),
        label="" if preferred is None else classes[int(preferred[unit])],
        clearness=float(measured.clearness[unit]),
        colour=COLOURS[int(_hue_number(measured.hue)[unit])] if tint >= TINTED else "",
        tint=tint,
        orientation=float(measured.orientation[unit]) if coherence >= DIRECTED else None,
        coherence=coherence,
    )


ANALYSIS = Analysis(
    title="Find units",
    question="Which units of a layer are selective, clear, of a colour, of a direction, to be "
    "trusted, like another one, or active in a part of a picture?",
    source="this project",
    needs=("network", "dataset"),
    function=find,
    on_page=False,
)
