"""Units projected back to pixels, cached for all sessions."""

import math
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deconvviz.analysis.contributions import ClassScores
from deconvviz.analysis.trust.similarity import rank_correlation
from deconvviz.deconv import Box, Projection, Recording, Selection
from deconvviz.deconv.projection import Start
from deconvviz.deconv.rules import Rule
from deconvviz.errors import UnsupportedOperationError
from deconvviz.io.images import safe_name
from deconvviz.io.saved import ProjectionRecord, SavedProjection
from deconvviz.plots.arrays import crop
from deconvviz.plots.display import display, number
from deconvviz.plots.look import FAINT, Look, contrast
from deconvviz.ui.memory import kept
from deconvviz.ui.networks import InputView, Network
from deconvviz.ui.workbench import UnitTile, address
from deconvviz.units import Unit

_MAX_ACTIVATIONS = 2**24  # in all layers together; above it each layer is recorded alone


@dataclass(frozen=True)
class Projector:
    """Settings that all projections on a page share."""

    network: Network
    view: InputView
    rule: Rule = "deconvnet"
    start: Start = "activation"

    @property
    def key(self) -> str:
        """Digest for caches."""
        return f"{self.network.key}:{self.view.key}:{self.rule}:{self.start}"


@dataclass(frozen=True)
class Reconstruction:
    """One unit's projection back to pixels.

    Attributes:
        value: Activation of the unit.
        share: Activation over the largest of its layer in this picture.
        box: Window of the unit, in pixels of the picture.
        pixels: (C, h, w) signed, in normalised input units.
        patch: uint8 (h, w, 3), the picture in that window.
    """

    unit: Unit
    value: float
    share: float
    box: Box
    pixels: Tensor
    patch: NDArray[np.uint8]

    @property
    def picture(self) -> NDArray[np.uint8]:
        """The projection as pixels, uint8 (h, w, 3), at its own contrast, less if it is faint."""
        return display(self.pixels, contrast=contrast([self.share]))


def _record(network: Network, view: InputView, layer: str) -> Recording:
    # At 1024 pixels, or in a deep network, the maps of all layers would take gigabytes.
    layers = network.layers if _is_small(network, view) else (layer,)
    return _recorded(network, view, layers, network.serial)


def _is_small(network: Network, view: InputView) -> bool:
    """Whether the maps of all layers may be kept together."""
    _, height, width = network.bundle.input_size
    layers = [network.net.layers[name] for name in network.layers]
    count = sum(one.channels * one.size[0] * one.size[1] for one in layers)
    return count * view.image.width * view.image.height <= _MAX_ACTIVATIONS * height * width


def _sides(maps: Tensor) -> tuple[int, int]:
    """Height and width of feature maps (channels, H, W)."""
    return maps.shape[1], maps.shape[2]


@kept("Running the network …")
def _recorded(
    network: Network,
    view: InputView,
    layers: tuple[str, ...],
    serial: int,  # noqa: ARG001  a network that was dropped and loaded again cannot use it
) -> Recording:
    return network.net.record(view.pixels, layers)


@kept("Projecting …")
def reconstruct(
    projector: Projector,
    layer: str,
    chosen: Unit | tuple[Unit, ...] | int | None = None,
    count: int = 1,
) -> list[Reconstruction]:
    """Project units of one layer, each alone: by falling activation, none of an inactive channel.

    `chosen` is a unit, or units in their order, or a channel at its maximum; None: the `count`
    channels with the highest maximum.
    """
    recording = _record(projector.network, projector.view, layer)
    _, channels, height, width = recording[layer].shape
    selection = recording.strongest(layer, channels)
    if chosen is None:
        selection = selection[:count]
    elif isinstance(chosen, tuple):
        selection = Selection(layer, 0, *zip(*((u.channel, u.y, u.x) for u in chosen), strict=True))
    elif isinstance(chosen, Unit) and chosen.y < height and chosen.x < width:
        selection = chosen.selection
    else:
        channel = chosen.channel if isinstance(chosen, Unit) else chosen
        selection = selection[selection.channel == channel]
    projection = _project(projector, recording, selection)
    values = recording.values(selection).tolist()
    largest = float(recording[layer].max())
    boxes: list[Box] = [
        (top, left, bottom, right) for top, left, bottom, right in projection.boxes.tolist()
    ]
    return [
        Reconstruction(
            unit,
            value,
            value / largest if largest > 0 else 0.0,
            box,
            pixels,
            crop(projector.view.array, box),
        )
        for unit, value, box, pixels in zip(
            Unit.rows(selection), values, boxes, projection.pixels, strict=True
        )
    ]


@kept()
def units_at(
    network: Network, view: InputView, layer: str, place: tuple[float, float], count: int
) -> tuple[Unit, ...]:
    """The units with the highest activations at a place of the picture.

    That is where the centre of the receptive field is nearest; none that is not active.

    Args:
        network: The network.
        view: The picture.
        layer: The layer.
        place: Shares of the picture's width and height.
        count: At most so many.
    """
    maps = _record(network, view, layer)[layer][0]
    width, height = view.image.size
    point = place[1] * height - 0.5, place[0] * width - 0.5
    y, x = network.net.layers[layer].nearest(point, _sides(maps), (height, width))
    values, channels = maps[:, y, x].topk(min(count, len(maps)))
    return tuple(Unit(layer, channel, y, x) for channel in channels[values > 0].tolist())


@dataclass(frozen=True)
class Raising:
    """Units that raise a class score most, or a difference of two.

    Attributes:
        units: Each where it does so most.
        contributions: Activation times gradient, over all positions of the unit's feature map.
        effects: What the score loses when the unit alone is switched off.
        agreement: Rank correlation of the two; None for fewer than three units.
    """

    units: tuple[Unit, ...]
    contributions: tuple[float, ...]
    effects: tuple[float, ...]
    agreement: float | None


@kept("Following the answer back …")
def units_for(
    network: Network, view: InputView, layer: str, label: int, against: int | None, count: int
) -> Raising:
    """The `count` units of a layer that raise a class score most; see `ClassScores`.

    `against` is the number of the class whose score is subtracted.

    Raises:
        SelectionError: The score does not depend on the layer, or no layer gives the scores.
    """
    scores = ClassScores(network.net, view.pixels)
    maps = scores.contributions(view.pixels, layer, label, against)[0]
    totals, channels = maps.sum((1, 2)).topk(min(count, len(maps)))
    totals, channels = totals[totals > 0], channels[totals > 0]
    places = maps[channels].flatten(1).argmax(1)
    width = maps.shape[2]
    effects = torch.zeros(0)
    if len(channels):
        effects = scores.effects(view.pixels, layer, label, against, channels.tolist())
    agreement = float(rank_correlation(totals[None], effects)) if len(channels) > 2 else math.nan
    return Raising(
        tuple(
            Unit(layer, channel, place // width, place % width)
            for channel, place in zip(channels.tolist(), places.tolist(), strict=True)
        ),
        tuple(totals.tolist()),
        tuple(effects.tolist()),
        None if math.isnan(agreement) else agreement,
    )


@kept()
def probabilities_without(
    network: Network, view: InputView, off: tuple[tuple[str, tuple[int, ...]], ...]
) -> tuple[float, ...]:
    """The classes' probabilities with some units of some layers at zero.

    Raises:
        SelectionError: The scores do not depend on a layer, or no layer gives the scores.
    """
    scores = ClassScores(network.net, view.pixels).without(view.pixels, dict(off))[0]
    return tuple(scores.softmax(0).tolist())


def _project(projector: Projector, recording: Recording, selection: Selection) -> Projection:
    net, rule, start = projector.network.net, projector.rule, projector.start
    return net.project(recording, selection, rule=rule, start=start)


@kept()
def tiles(
    projector: Projector,
    layer: str,
    units: tuple[Unit, ...] | None,
    count: int,
    look: Look,
    values: tuple[float, ...] = (),
) -> list[UnitTile]:
    """Units as tiles: those named, or the `count` strongest; `values` replace their activations."""
    found = reconstruct(projector, layer, units, count) if units is None or units else []
    if not found:
        return []
    pixels = [one.pixels for one in found]
    shown = look.projections(pixels, [one.share for one in found])
    patches = look.patches([one.patch for one in found], pixels)
    captions = [f"{number(value, '+.3g')}" for value in values] or [
        f"{number(one.value)}" for one in found
    ]
    return [
        UnitTile(
            one.unit.channel,
            one.box,
            centre(projector, one.unit),
            address(picture),
            "" if look.patch == "whole" else address(patch),
            caption + ", faint" * (one.share < FAINT),
            f"Unit {one.unit.channel}: activation {number(one.value)}",
            f"Unit {one.unit.channel}: its reconstruction",
        )
        for one, patch, picture, caption in zip(found, patches, shown, captions, strict=True)
    ]


def centre(projector: Projector, unit: Unit) -> tuple[float, float]:
    """Row and column of the middle of a unit's receptive field in the picture."""
    network, (width, height) = projector.network, projector.view.image.size
    sides = _sides(_record(network, projector.view, unit.layer)[unit.layer][0])
    return network.net.layers[unit.layer].centre((unit.y, unit.x), sides, (height, width))


@kept()
def picture_address(
    network: Network,  # noqa: ARG001  views of two networks have one key
    view: InputView,
) -> str:
    """Address of a network's input picture, at its own size."""
    return address(view.array, max(view.image.size))


@kept("Projecting each layer …")
def layer_pictures(projector: Projector, layers: tuple[str, ...]) -> dict[str, str]:
    """Layer -> address of the projection of its strongest unit.

    Empty if no unit is active, if it cannot be projected, and for all layers if they are too large
    to be recorded together.
    """
    pictures = dict.fromkeys(layers, "")
    if not _is_small(projector.network, projector.view):
        return pictures
    for layer in layers:
        with suppress(UnsupportedOperationError):
            for one in reconstruct(projector, layer):
                pictures[layer] = address(one.picture, 128)
    return pictures


@kept("Projecting the whole picture …")
def whole_picture(
    projector: Projector, layer: str, channel: int, share: float
) -> tuple[Tensor, int]:
    """The active ones among the highest `share` of a feature map's positions, projected together.

    Returns:
        (C, H, W) of the whole picture, zero if no position is active; and how many positions.
    """
    recording = _record(projector.network, projector.view, layer)
    selection = _highest(recording, layer, channel, share)
    if not len(selection):
        return torch.zeros(projector.view.pixels.shape[1:]), 0
    return _project(projector, recording, selection).full()[0], len(selection)


def _highest(recording: Recording, layer: str, channel: int, share: float) -> Selection:
    """The active ones among the highest `share` of a feature map's positions, as one group."""
    feature_map = recording[layer][0, channel]
    values, places = feature_map.flatten().topk(max(1, round(share * feature_map.numel())))
    places, width = places[values > 0], feature_map.shape[1]
    y, x = places // width, places % width  # `unravel_index` imports sympy first
    return Selection(layer, 0, channel, y, x, group=torch.zeros_like(y))


def record(
    projector: Projector, one: Reconstruction, share: float | None = None
) -> ProjectionRecord:
    """All that is needed to compute a projection again, and the versions that computed it.

    With a `share`, it is of the whole picture: see `whole_picture`.
    """
    network, view, unit = projector.network, projector.view, one.unit
    picture, (width, height) = view.picture, view.image.size
    positions: tuple[tuple[int, int, int], ...] = ((unit.channel, unit.y, unit.x),)
    box, value = one.box, one.value
    if share is not None:
        recording = _record(network, view, unit.layer)
        found = _highest(recording, unit.layer, unit.channel, share)
        columns = (found.channel.tolist(), found.y.tolist(), found.x.tolist())
        positions, box = tuple(zip(*columns, strict=True)), (0, 0, height, width)
        value = float(recording.values(found).max()) if len(found) else 0.0
    return ProjectionRecord.of(
        network.bundle,
        picture,
        None if view.size == "trained" else view.size,
        layer=unit.layer,
        unit=unit.channel,
        positions=positions,
        count=len(positions),
        together=share is not None,
        share=share,
        activation=value,
        box=box,
        rule=projector.rule,
        start=projector.start,
    )


def settings(projector: Projector, one: Reconstruction) -> dict[str, str]:
    """What a picture of a projection is of, for the texts of a PNG file."""
    return record(projector, one).about


def file_name(projector: Projector, one: Reconstruction) -> str:
    """A name for the files of a projection, without a suffix: picture, layer, unit, place, rule."""
    unit, picture = one.unit, safe_name(projector.view.picture.name).partition(".")[0]
    return f"{picture}-{unit.layer}-unit{unit.channel}-y{unit.y}-x{unit.x}-{projector.rule}"


def to_safetensors(projector: Projector, one: Reconstruction, pixels: Tensor) -> bytes:
    """A projection as a file that `deconvviz render` makes again; see `SavedProjection`."""
    return SavedProjection(record(projector, one), pixels, projector.view.array).to_bytes()


def whole_to_safetensors(projector: Projector, one: Reconstruction, share: float) -> bytes:
    """The same of the whole picture through the unit's feature map; see `whole_picture`."""
    pixels, _ = whole_picture(projector, one.unit.layer, one.unit.channel, share)
    made = record(projector, one, share)
    return SavedProjection(made, pixels, projector.view.array).to_bytes()
