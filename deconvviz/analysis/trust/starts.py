"""Other starts at the same place: other units, and random values."""

import torch
from torch import Tensor

from deconvviz.deconv import Recording, Selection


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
