"""Traits of a layer's units, measured on the projection of each one's strongest activation."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from deconvviz.deconv import Deconvnet, Projection, Selection
from deconvviz.deconv.rules import Rule
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset

_AT_ONCE = 16  # projections of full size in memory
_CUTOFF = 0.25  # cycles per pixel: half of what a row of pixels can show


class Strongest(Protocol):
    """Strongest activations of C units over a data set: an `Accumulator`, or an atlas's `Units`."""

    @property
    def picture(self) -> Tensor:
        """(C, k) numbers of the pictures; -1 where there is none."""

    @property
    def y(self) -> Tensor:
        """(C, k) rows in the feature map."""

    @property
    def x(self) -> Tensor:
        """(C, k) columns in the feature map."""


@dataclass(frozen=True, eq=False)
class Traits:
    """Traits of the C units of a layer; NaN for one that is never active, or projects to zero.

    Attributes:
        clearness: (C,) share of the projection's power at up to 0.25 cycles per pixel.
        hue: (C,) colour of the projection, in degrees: 0 red, 120 green, 240 blue.
        tint: (C,) how much it is of this one colour, from 0 to 1; low for grey, and for colours
            that stand against each other.
        orientation: (C,) direction of its lines, in degrees from horizontal, counterclockwise, from
            0 to 180.
        coherence: (C,) how much they have this one direction, from 0 to 1.
    """

    clearness: Tensor
    hue: Tensor
    tint: Tensor
    orientation: Tensor
    coherence: Tensor


def at_peaks(
    net: Deconvnet,
    bundle: Bundle,
    dataset: Dataset,
    layer: str,
    top: Strongest,
    units: Tensor,
    rule: Rule = "deconvnet",
) -> Iterator[tuple[Tensor, Tensor, Projection]]:
    """Project units from their strongest activations, some at a time.

    Args:
        net: The network.
        bundle: The same, with its preprocessing.
        dataset: The pictures that `top` counts.
        layer: The layer.
        top: Its strongest activations.
        units: (U,) int64 numbers of units, active ones.
        rule: Rule at activations.

    Yields:
        Numbers of units, their (G, C, H, W) normalised pictures, and the projections.
    """
    for some in torch.split(units, _AT_ONCE):
        picture, y, x = (column[some, 0].cpu() for column in (top.picture, top.y, top.x))
        images = bundle.preprocessing.normalised(dataset.images[picture])
        recording = net.record(images, [layer])
        selection = Selection(layer, torch.arange(len(some)), some, y, x)
        yield some, images, net.project(recording, selection, rule)


def traits(net: Deconvnet, bundle: Bundle, dataset: Dataset, layer: str, top: Strongest) -> Traits:
    """The traits of all units of a layer; arguments as for `at_peaks`."""
    active = torch.nonzero(top.picture[:, 0] >= 0).flatten().cpu()
    found = torch.full((5, len(top.picture)), float("nan"), dtype=torch.float64)
    for some, _, projection in at_peaks(net, bundle, dataset, layer, top, active):
        full = projection.full().double().cpu()
        columns = (1 - high_frequency_share(full), *tint(full), *orientation(full))
        found[:, some] = torch.stack(columns)
    return Traits(*found)


def high_frequency_share(projections: Tensor) -> Tensor:
    """(G,) fraction of the power of (G, C, H, W) pictures above 0.25 cycles per pixel.

    In any direction, each channel's mean removed; NaN for a constant.
    """
    centred = projections - projections.mean((2, 3), keepdim=True)
    power = torch.fft.fft2(centred).abs().square().sum(1)
    height, width = projections.shape[2:]
    y, x = (torch.fft.fftfreq(n, dtype=power.dtype) for n in (height, width))
    fine = (y[:, None].square() + x.square()).sqrt() > _CUTOFF
    share: Tensor = (power * fine).sum((1, 2)) / power.sum((1, 2))
    return share


def colour_share(projections: Tensor) -> Tensor:
    """(G,) fraction of the power of (G, C, H, W) projections that is not common to the channels."""
    own = projections - projections.mean(1, keepdim=True)
    return own.square().sum((1, 2, 3)) / projections.square().sum((1, 2, 3))


def tint(projections: Tensor) -> tuple[Tensor, Tensor]:
    """Hue in degrees, and strength from 0 to 1, of (G, 3, H, W) projections; (G,) each.

    The length of the sum of all pixels' differences from their grey, over the sum of the lengths of
    these and of the greys: 1 for one colour without any grey. A grey picture, and one of other than
    three channels, has strength 0; a zero projection NaN, and so its hue.
    """
    if projections.shape[1] != 3:
        size = projections.abs().sum((1, 2, 3))
        return torch.zeros_like(size) / size, torch.zeros_like(size) / size
    red, green, blue = projections.movedim(1, 0)
    # the plane across the grey axis: red along the first direction, green 120 degrees further
    across = red - (green + blue) / 2
    up = (green - blue) * 3**0.5 / 2
    size = torch.hypot(across, up).sum((1, 2)) + projections.mean(1).abs().sum((1, 2))
    across, up = across.sum((1, 2)), up.sum((1, 2))
    strength = torch.hypot(across, up) / size
    return torch.rad2deg(torch.atan2(up, across)) % 360 + 0 * strength, strength


def orientation(projections: Tensor) -> tuple[Tensor, Tensor]:
    """Direction of lines in degrees, and coherence, of (G, C, H, W) projections; (G,) each.

    From the structure tensor of the mean of the channels, summed over the picture. The direction is
    counterclockwise from horizontal, 0 to 180; NaN without any gradient.
    """
    grey = projections.mean(1)
    down, across = torch.gradient(grey, dim=(1, 2))
    xx, yy = across.square().sum((1, 2)), down.square().sum((1, 2))
    xy = -(across * down).sum((1, 2))  # rows count downwards, angles go up
    gradient = torch.rad2deg(torch.atan2(2 * xy, xx - yy)) / 2
    strength = ((xx - yy).square() + 4 * xy.square()).sqrt() / (xx + yy)
    return (gradient + 90) % 180 + strength * 0, strength
