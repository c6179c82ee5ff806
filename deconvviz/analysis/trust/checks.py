"""The controls: each changes one thing and asks how much of the picture is left."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from deconvviz.analysis.trust.metrics import magnitudes, rank_correlation, structural_similarity
from deconvviz.analysis.trust.starts import once_an_image, other_units, random_starts
from deconvviz.analysis.trust.subject import Subject
from deconvviz.deconv import Deconvnet
from deconvviz.deconv.randomization import random_switches, shuffle_weights, weights_below

__all__ = [
    "SMALLEST",
    "Control",
    "Likeness",
    "Stage",
    "cascade",
    "edge_likeness",
    "likeness",
    "random_seed",
    "random_switch",
    "random_units",
    "unrelated",
]

SMALLEST = 64
"""Pixels of a window; fewer cannot show whether two pictures are alike."""

_UNITS = 8  # other units of one drawn network


@dataclass(frozen=True)
class Likeness:
    """How alike some pictures are to the one that is examined, by their magnitudes.

    Attributes:
        rank: Spearman's rank correlation, the mean of all draws; NaN where nothing can be ranked.
        rank_spread: Its standard deviation over the draws; 0 for one.
        ssim: Structural similarity, likewise; NaN in windows under three pixels.
        ssim_spread: Its standard deviation.
        draws: How many pictures.
    """

    rank: float
    rank_spread: float
    ssim: float
    ssim_spread: float
    draws: int


@dataclass(frozen=True, eq=False)
class Control:
    """The outcome of one control.

    Attributes:
        likeness: To the projection that is examined.
        example: (C, h, w) the first of its pictures; none where nothing was drawn.
    """

    likeness: Likeness
    example: Tensor | None


@dataclass(frozen=True, eq=False)
class Stage:
    """One stage of the cascade.

    Attributes:
        modules: The modules whose kernels were shuffled at this stage, highest first; those of the
            stages before stay shuffled.
        control: What it gave.
    """

    modules: tuple[str, ...]
    control: Control


def likeness(pictures: Tensor, original: Tensor) -> Likeness:
    """Compare pictures (N, C, h, w) with the original (C, h, w); empty ones do not count."""
    maps, other = magnitudes(pictures), magnitudes(original)
    maps = maps[maps.flatten(1).any(dim=1)]
    if not len(maps):
        return Likeness(math.nan, 0.0, math.nan, 0.0, 0)
    rank, ssim = rank_correlation(maps, other), structural_similarity(maps, other)
    return Likeness(*_mean_and_spread(rank), *_mean_and_spread(ssim), len(maps))


def _mean_and_spread(values: Tensor) -> tuple[float, float]:
    finite = values[values.isfinite()]
    if not len(finite):
        return math.nan, 0.0
    return float(finite.mean()), float(finite.std()) if len(finite) > 1 else 0.0


def cascade(
    subject: Subject, networks: int, stages: int, generator: torch.Generator
) -> Iterator[Stage]:
    """Cascading randomisation of the weights, from the units' own layer downwards.

    Adebayo et al. (2018, arXiv:1810.03292), section 3. Stage by stage the kernels of one more
    convolution, or of several in deep networks, are put in random order together with what
    normalises them, and the picture is recorded and projected again with its new switches and
    masks. A method that shows what the network has learned gives other pictures as soon as the
    units' own kernels are gone. One that shows the picture itself goes on as before.

    Order is lost but no value, so that activations keep about their size. In a shuffled layer no
    unit has kept anything of its own, and each stands for another draw: up to eight that are active
    at the place are projected for each network.

    Layers above the units take no part in the projection, by construction, and are left out.
    """
    kernels = weights_below(subject.recording.tape, subject.layer)
    depths = sorted({kernel.depth for kernel in kernels})
    models = [subject.net.model] * networks
    for first, last in _parts(len(depths), stages):
        part = [kernel for kernel in kernels if kernel.depth in depths[first:last]]
        names = [name for kernel in part for name in kernel.names]
        models = [shuffle_weights(model, names, generator) for model in models]
        pictures = torch.cat(
            [_drawn(subject, subject.net.with_model(m), subject.image, generator) for m in models]
        )
        yield Stage(tuple(kernel.module for kernel in part), _control(subject, pictures))


def _parts(count: int, most: int) -> list[tuple[int, int]]:
    """The first alone, then about equally many each."""
    rest = min(most, count) - 1
    edges = [0, *(1 + place * (count - 1) // max(1, rest) for place in range(rest + 1))]
    return [(a, b) for a, b in pairwise(edges) if b > a]


def unrelated(subject: Subject, networks: int, generator: torch.Generator) -> Control:
    """The chance level of every likeness: projections that share nothing but the geometry.

    They are of networks whose weights are all shuffled, of the same picture with its pixels in
    random order. What is alike in them still comes of the window alone: kernels overlap more in its
    middle than at its edges.
    """
    kernels = weights_below(subject.recording.tape, subject.layer)
    names = [name for kernel in kernels for name in kernel.names]
    drawn = []
    for _ in range(networks):
        net = subject.net.with_model(shuffle_weights(subject.net.model, names, generator))
        image = subject.with_patches(_scrambled(subject.patch, generator)[None])
        drawn.append(_drawn(subject, net, image, generator))
    return _control(subject, torch.cat(drawn))


def _scrambled(patch: Tensor, generator: torch.Generator) -> Tensor:
    """The pixels of a patch (C, h, w) in random order, each with its colour."""
    order = torch.randperm(patch[0].numel(), generator=generator).to(patch.device)
    return patch.flatten(1)[:, order].view_as(patch)


def _drawn(subject: Subject, net: Deconvnet, image: Tensor, generator: torch.Generator) -> Tensor:
    """The projections of some active units at the place in a drawn network."""
    recording = net.record(image, [subject.layer])
    sign = math.copysign(1, subject.activation)
    starts = other_units(recording, subject.selection, sign, _UNITS, generator, itself=True)
    return subject.projected(net, recording, starts)


def random_units(subject: Subject, most: int, generator: torch.Generator) -> Control | None:
    """Other units of the same layer at the same place; of a linear layer, other classes.

    The random logit test of Sixt et al. (2020, arXiv:1912.09818), section 4, for any layer: if the
    pictures of other units look the same, this one says nothing of its unit. Everything else is as
    it was.

    Returns:
        None where no other unit is active at the place.
    """
    sign = math.copysign(1, subject.activation)
    starts = other_units(subject.recording, subject.selection, sign, most, generator)
    if not len(starts):
        return None
    return _control(subject, subject.projected(subject.net, subject.recording, starts))


def random_seed(subject: Subject, draws: int, generator: torch.Generator) -> Control:
    """All units at the place start from random positive values; switches and masks as recorded.

    Mahendran & Vedaldi (2016), "Salient deconvolutional networks", section 3: what stays the same
    comes from the switches and masks that the image has left on the way, and not from the unit.
    """
    starts = random_starts(subject.recording, subject.selection, draws, generator)
    projection = subject.net.project(subject.recording, starts, subject.rule, start="one")
    return _control(subject, subject.cut(projection.full()))


def random_switch(subject: Subject, draws: int, generator: torch.Generator) -> Control | None:
    """The unit's own start goes down through max poolings whose switches noise has set.

    The converse of the random seed: what is lost was put there by the switches, which are all that
    a deconvnet keeps of the image. Masks, which the other rules use, stay as recorded.

    Returns:
        None where there is no max pooling below.
    """
    net = subject.net
    recording = net.record(subject.image.repeat(draws, 1, 1, 1), [subject.layer])
    other = random_switches(net.model, recording, subject.layer, generator)
    if other is None:
        return None
    starts = once_an_image(subject.selection, draws)
    return _control(subject, subject.projected(net, other, starts))


def edge_likeness(
    subject: Subject, draws: int, generator: torch.Generator
) -> tuple[Control, Likeness]:
    """Whether the picture is where the image's own edges are, as an edge detector finds them.

    Adebayo et al. (2018), section 5, hold saliency to an edge detector; here it is the length of
    the Sobel gradient of the image in the window.

    Returns:
        The edges' likeness to the picture; and, as its chance level, that of the same edges shifted
        at random, with what leaves the window coming in on the other side: so they are as long and
        as smooth, in another place.
    """
    maps = subject.edges[None]
    height, width = maps.shape[1:]
    shifts = torch.randint(1, max(2, height * width), (draws,), generator=generator).tolist()
    shifted = [maps.roll((shift // width, shift % width), (1, 2)) for shift in shifts]
    return _control(subject, maps[None]), likeness(torch.stack(shifted), subject.pixels)


def _control(subject: Subject, pictures: Tensor) -> Control:
    """The outcome of a control that gave (N, C, h, w), perhaps of none."""
    example = pictures[0].clone() if len(pictures) else None
    return Control(likeness(pictures, subject.pixels), example)
