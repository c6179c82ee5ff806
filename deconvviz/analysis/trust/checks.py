"""The controls: each changes one thing and measures how similar the projection stays."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise

import torch
from torch import Tensor

from deconvviz.analysis.trust.similarity import magnitudes, rank_correlation, structural_similarity
from deconvviz.analysis.trust.target import Target
from deconvviz.deconv import Deconvnet, Recording, Selection, randomization
from deconvviz.deconv.randomization import shuffle_weights, weights_below

SMALLEST = 64
"""Pixels of a window; fewer cannot show whether two pictures are similar."""

_FEWEST = 16  # pixels of a projection that are not zero
_FLAT = 1e-6  # range of a picture that is constant, in normalised units
_UNITS = 8  # projected in each shuffled network


@dataclass(frozen=True)
class Similarity:
    """Similarity of some pictures to the examined projection, by magnitudes.

    Attributes:
        rank: Spearman's rank correlation, mean over the pictures; NaN where nothing can be ranked.
        rank_spread: Standard deviation of `rank` over the pictures; 0 for one.
        ssim: Structural similarity, mean over the pictures; NaN in windows under three pixels.
        ssim_spread: Standard deviation of `ssim`.
    """

    rank: float
    rank_spread: float
    ssim: float
    ssim_spread: float
    count: int


@dataclass(frozen=True, eq=False)
class Control:
    """Outcome of one control.

    Attributes:
        example: (C, h, w) first of its pictures; None where there are none.
        networks: Similarity of the pictures of each shuffled network; empty for controls that
            shuffle none.
    """

    similarity: Similarity
    example: Tensor | None
    networks: tuple[Similarity, ...] = ()


@dataclass(frozen=True, eq=False)
class CascadeStep:
    """One step of the cascading randomisation.

    Attributes:
        modules: Modules whose kernels are shuffled in this step, highest first; those of earlier
            steps stay shuffled.
        control: Outcome of the step.
    """

    modules: tuple[str, ...]
    control: Control


def similarity(pictures: Tensor, original: Tensor) -> Similarity:
    """Compare pictures (N, C, h, w), but for empty ones, with the original (C, h, w)."""
    maps, other = magnitudes(pictures), magnitudes(original)
    maps = maps[maps.flatten(1).any(dim=1)]
    if not len(maps):
        return Similarity(math.nan, 0.0, math.nan, 0.0, 0)
    rank, ssim = rank_correlation(maps, other), structural_similarity(maps, other)
    return Similarity(*_mean_and_spread(rank), *_mean_and_spread(ssim), len(maps))


def _mean_and_spread(values: Tensor) -> tuple[float, float]:
    finite = values[values.isfinite()]
    if not len(finite):
        return math.nan, 0.0
    return float(finite.mean()), float(finite.std()) if len(finite) > 1 else 0.0


def cascade(
    target: Target, networks: int, inner: int, steps: int, generator: torch.Generator
) -> Iterator[CascadeStep]:
    """Cascading randomisation of the weights, from the units' own layer downwards.

    Adebayo et al. (2018, arXiv:1810.03292), section 3. Step by step the kernels of one more
    convolution (or several, in deep networks) are shuffled together with their normalisation, and
    the picture is recorded and projected again with new switches and masks. A method that shows
    what the network has learned gives other pictures as soon as the units' own kernels are
    shuffled; one that shows the picture itself does not change.

    Shuffling keeps all values, so activations keep about their size. In a shuffled layer all units
    are alike, so each is another draw: up to eight that are active at the place are projected for
    each network.

    The first and the last step, which decide the verdict, take `networks` shuffled networks, those
    between them at most `inner`. Layers above the units take no part in the projection, by
    construction, and are left out.
    """
    kernels = weights_below(target.recording.tape, target.layer)
    depths = sorted({kernel.depth for kernel in kernels})
    models = [target.net.model] * min(inner, networks)
    above: list[str] = []
    for first, last in _parts(len(depths), steps):
        part = [kernel for kernel in kernels if kernel.depth in depths[first:last]]
        names = [name for kernel in part for name in kernel.names]
        models = [shuffle_weights(model, names, generator) for model in models]
        above += names
        more = networks - len(models) if first == 0 or last == len(depths) else 0
        # made one at a time: fifteen copies of a large network need not fit the memory
        others = (shuffle_weights(target.net.model, above, generator) for _ in range(more))
        pictures = [
            _drawn(target, target.net.with_model(model), target.image, generator)
            for model in chain(models, others)
        ]
        yield CascadeStep(tuple(kernel.module for kernel in part), _shuffled(target, pictures))


def _parts(count: int, most: int) -> list[tuple[int, int]]:
    """At most `most` slices of `count`: the first alone, the others about equally long."""
    rest = min(most, count) - 1
    edges = [0, *(1 + place * (count - 1) // max(1, rest) for place in range(rest + 1))]
    return [(a, b) for a, b in pairwise(edges) if b > a]


def chance_level(target: Target, networks: int, generator: torch.Generator) -> Control:
    """Projections that share nothing with the examined one but the geometry of the window.

    They come from networks with all weights shuffled, on the picture with its pixels shuffled. They
    are still similar to some degree, because kernels overlap more in the middle of a window than
    at its edges.
    """
    kernels = weights_below(target.recording.tape, target.layer)
    names = [name for kernel in kernels for name in kernel.names]
    drawn = []
    for _ in range(networks):
        net = target.net.with_model(shuffle_weights(target.net.model, names, generator))
        image = target.with_patches(scrambled(target.patch, generator)[None])
        drawn.append(_drawn(target, net, image, generator))
    return _shuffled(target, drawn)


def scrambled(patch: Tensor, generator: torch.Generator) -> Tensor:
    """The pixels of a patch (C, h, w) in random order, each with its colour."""
    order = torch.randperm(patch[0].numel(), generator=generator).to(patch.device)
    return patch.flatten(1)[:, order].view_as(patch)


def _drawn(target: Target, net: Deconvnet, image: Tensor, generator: torch.Generator) -> Tensor:
    """Projections of some units of a shuffled network that are active at the place."""
    recording = net.record(image, [target.layer])
    sign = math.copysign(1, target.activation)
    starts = select_other_units(recording, target.selection, sign, _UNITS, generator, itself=True)
    return target.projected(net, recording, starts)


def other_units(target: Target, most: int, generator: torch.Generator) -> Control | None:
    """Other units of the same layer at the same place; in a linear layer, other classes.

    The random logit test of Sixt et al. (2020, arXiv:1912.09818), section 4, for any layer: if
    other units give the same picture, it says nothing of this unit.

    Returns:
        None where no other unit is active at the place.
    """
    sign = math.copysign(1, target.activation)
    starts = select_other_units(target.recording, target.selection, sign, most, generator)
    if not len(starts):
        return None
    return _control(target, target.projected(target.net, target.recording, starts))


def random_starts(target: Target, count: int, generator: torch.Generator) -> Control:
    """All units at the place start from random positive values; switches and masks as recorded.

    Mahendran & Vedaldi (2016), "Salient deconvolutional networks", section 3: what stays the same
    comes from the switches and masks that the image has set, not from the unit.
    """
    starts = select_random_starts(target.recording, target.selection, count, generator)
    projection = target.net.project(target.recording, starts, target.rule, start="one")
    return _control(target, target.cut(projection.full()))


def random_switches(target: Target, count: int, generator: torch.Generator) -> Control | None:
    """The unit's own start goes down through max poolings whose switches noise has set.

    The converse of random starts: what is lost came from the switches, which are all that a
    deconvnet keeps of the image. Masks, which the other rules use, stay as recorded.

    Returns:
        None where there is no max pooling below.
    """
    net = target.net
    recording = net.record(target.image.repeat(count, 1, 1, 1), [target.layer])
    other = randomization.random_switches(net.model, recording, target.layer, generator)
    if other is None:
        return None
    return _control(target, target.projected(net, other, one_per_image(target.selection, count)))


def edge_similarity(
    target: Target, count: int, generator: torch.Generator
) -> tuple[Control, Similarity]:
    """Whether the projection lies on the image's own edges.

    Adebayo et al. (2018), section 5, compare saliency with an edge detector; here it is the length
    of the Sobel gradient of the image in the window.

    Returns:
        The outcome for the edges; and the chance level, the same edges rolled by random shifts.
    """
    maps = target.edges[None]
    height, width = maps.shape[1:]
    shifts = torch.randint(1, max(2, height * width), (count,), generator=generator).tolist()
    shifted = [maps.roll((shift // width, shift % width), (1, 2)) for shift in shifts]
    return _control(target, maps[None]), similarity(torch.stack(shifted), target.pixels)


def _control(target: Target, pictures: Tensor) -> Control:
    """The outcome of a control that gave (N, C, h, w), N from 0."""
    example = pictures[0].clone() if len(pictures) else None
    return Control(similarity(pictures, target.pixels), example)


def _shuffled(target: Target, pictures: Sequence[Tensor]) -> Control:
    """The outcome of a control with shuffled networks, from the pictures of each."""
    networks = tuple(similarity(several, target.pixels) for several in pictures)
    return replace(_control(target, torch.cat(list(pictures))), networks=networks)


def unmeasurable(pixels: Tensor, patch: Tensor) -> str:
    """Why similarity shows nothing of a projection; empty if it does.

    Args:
        pixels: (C, h, w) projection in its window.
        patch: (C, h, w) picture in the window.
    """
    high, wide = pixels.shape[1:]
    if high * wide < SMALLEST:
        return f"a window of {high} × {wide} pixels is too small"
    if not bool((patch.amax((1, 2)) - patch.amin((1, 2)) > _FLAT).any()):
        return "the picture has a single colour here"
    drawn = int(magnitudes(pixels).count_nonzero())
    if drawn < _FEWEST:
        return f"the projection has {drawn} pixels that are not zero, which are too few"
    return ""


def select_other_units(
    recording: Recording,
    like: Selection,
    sign: float,
    most: int,
    generator: torch.Generator,
    *,
    itself: bool = False,
) -> Selection:
    """Random other units of the layer that are active at the same places.

    Where several units start together, each is replaced by another one.

    Each other unit starts from the magnitude of its own activation with the `sign` of the examined
    one, because what is subtracted looks unlike what is added. `itself` lets the examined units be
    among the at most `most` others.

    Returns:
        Selection with one group for each; empty where no other unit is active.
    """
    maps = recording[like.layer][0].double().cpu()
    order = torch.randperm(len(maps), generator=generator)
    steps = torch.arange(0 if itself else 1, len(maps))[:, None]
    channels = order[(order.argsort()[like.channel] + steps) % len(maps)]
    weight = torch.ones(len(like), dtype=torch.float64) if like.weight is None else like.weight
    totals = (maps[channels, like.y, like.x] * weight).sum(dim=1)
    active = totals.nonzero()[:most, 0]
    weights = totals[active].sign()[:, None] * sign * weight
    return _grouped(like, channels[active], like.y, like.x, weights)


def select_random_starts(
    recording: Recording, like: Selection, count: int, generator: torch.Generator
) -> Selection:
    """All units of the layer at the same places, with random weights between zero and one.

    Returns:
        Selection of `count` groups, for `project(..., start="one")`.
    """
    places = torch.unique(torch.stack([like.y, like.x]), dim=1)
    units = recording[like.layer].shape[1]
    channel = torch.arange(units).repeat_interleave(places.shape[1]).expand(count, -1)
    y, x = places.repeat(1, units)
    weights = torch.rand(channel.shape, generator=generator, dtype=torch.float64)
    return _grouped(like, channel, y, x, weights)


def one_per_image(like: Selection, images: int) -> Selection:
    """The same start in each of some images, one group per image."""
    weight = torch.ones(len(like), dtype=torch.float64) if like.weight is None else like.weight
    every = _grouped(like, like.channel.expand(images, -1), like.y, like.x, weight.repeat(images))
    assert every.group is not None
    return Selection(
        every.layer, every.group, every.channel, every.y, every.x, every.group, every.weight
    )


def _grouped(like: Selection, channel: Tensor, y: Tensor, x: Tensor, weight: Tensor) -> Selection:
    """One group for each row of (G, K) channels and weights, at the places (K,)."""
    groups, units = channel.shape
    return Selection(
        like.layer,
        image=torch.zeros(groups * units, dtype=torch.int64),
        channel=channel.flatten(),
        y=y.repeat(groups),
        x=x.repeat(groups),
        group=torch.arange(groups).repeat_interleave(units),
        weight=weight.flatten(),
    )
