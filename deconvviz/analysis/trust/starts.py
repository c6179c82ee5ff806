"""Other starts than the examined one, at the same place: other units, and random values."""

import torch
from torch import Tensor

from deconvviz.deconv import Recording, Selection

__all__ = ["once_an_image", "other_units", "random_starts"]


def other_units(
    recording: Recording,
    like: Selection,
    sign: float,
    most: int,
    generator: torch.Generator,
    *,
    itself: bool = False,
) -> Selection:
    """Other units of the layer at the same places, at random among those that are active there.

    Of several units that start together each gives way to another.

    Args:
        recording: Of one image, where the others' activations are read.
        like: The units that are examined.
        sign: Of their activation. The others start with it too, each from the size of its own
            activation, because what is subtracted looks unlike what is added.
        most: So many of them; fewer where fewer are active.
        generator: Draws them.
        itself: Whether the very units may be among them.

    Returns:
        Selection of one group for each; of none where there is no other.
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


def random_starts(
    recording: Recording, like: Selection, draws: int, generator: torch.Generator
) -> Selection:
    """All units of the layer at the same places, with random values between zero and one.

    Returns:
        Selection of one group for each draw, for `project(..., start="one")`.
    """
    places = torch.unique(torch.stack([like.y, like.x]), dim=1)
    count = recording[like.layer].shape[1]
    channel = torch.arange(count).repeat_interleave(places.shape[1]).expand(draws, -1)
    y, x = places.repeat(1, count)
    weights = torch.rand(channel.shape, generator=generator, dtype=torch.float64)
    return _grouped(like, channel, y, x, weights)


def once_an_image(like: Selection, images: int) -> Selection:
    """The same start in each of some images: one group an image."""
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
