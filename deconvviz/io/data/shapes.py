"""Drawn shapes: a data set without files, which a small network learns in seconds."""

import math

import torch
from torch import Tensor

from deconvviz.errors import DataError
from deconvviz.io.data.dataset import Dataset, LoadOptions

CLASSES = ("circle", "cross", "ring", "square", "stripes", "triangle")
"""Classes in the order of the labels."""

_COUNTS = {"train": 4000, "test": 1000}
_BLOCK_PIXELS = 2**20


def load_shapes(options: LoadOptions) -> Dataset:
    """Draw the training or the test split; each is the same in every call."""
    seed = list(_COUNTS).index(options.split)
    count, channels = _COUNTS[options.split], options.channels_or(3)
    return draw_shapes(count, options.size or 32, channels, seed)


def draw_shapes(count: int, size: int = 32, channels: int = 3, seed: int = 0) -> Dataset:
    """Draw shapes of random colour, place, size and angle, over a noisy wave.

    Args:
        count: Number of pictures; the classes alternate.
        size: Side in pixels, at least 8.
        channels: Number of channels; each has its own colours.
        seed: Random seed; gives the same pictures on every machine.

    Returns:
        Dataset of (count, channels, size, size).
    """
    if count < 1 or size < 8 or channels < 1:
        raise DataError(
            f"cannot draw {count} shapes of {size} pixels and {channels} channels; "
            "ask for at least 1 picture of at least 8 pixels and 1 channel"
        )
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % len(CLASSES)
    blocks = torch.split(labels, max(1, _BLOCK_PIXELS // size**2))
    images = torch.cat([_draw_block(block, size, channels, generator) for block in blocks])
    return Dataset(images, labels, CLASSES, "shapes")


def _draw_block(labels: Tensor, size: int, channels: int, generator: torch.Generator) -> Tensor:
    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(len(labels), *shape, 1, 1, generator=generator) * (high - low) + low

    axis = (torch.arange(size) + 0.5) / size * 2 - 1
    radius, angle = uniform(0.35, 0.65), uniform(-0.4, 0.4)
    x = axis[None, None, :] - uniform(-0.3, 0.3)
    y = axis[None, :, None] - uniform(-0.3, 0.3)
    across = (x * angle.cos() + y * angle.sin()) / radius
    down = (y * angle.cos() - x * angle.sin()) / radius
    # Inside is positive; one pixel of transition at the border keeps the edges smooth.
    within = (inside(labels, across, down) * radius * size / 2 + 0.5).clamp(0, 1)[:, None]

    ground = uniform(0.15, 0.85, channels)
    # At least 0.3 away from the ground in every channel, upwards or downwards.
    figure = (ground + 0.3 + uniform(0.0, 0.4, channels)) % 1.0
    wave = (x * uniform(2, 9) + y * uniform(2, 9) + uniform(0, math.tau)).sin()[:, None]
    grain = torch.randn(len(labels), channels, size, size, generator=generator)
    colour = torch.lerp((ground + 0.08 * wave), figure.expand(-1, -1, size, size), within)
    return ((colour + 0.04 * grain).clamp(0, 1) * 255).round().to(torch.uint8)


def inside(labels: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """How deep points are in the shape of their label; negative outside.

    Args:
        labels: (B,) indices into `CLASSES`.
        x: (B, H, W) in units of the radius, from the centre.
        y: (B, H, W).

    Returns:
        (B, H, W) in units of the radius.
    """
    distance = (x.square() + y.square()).sqrt()
    box = 0.85 - torch.maximum(x.abs(), y.abs())
    arms = torch.maximum(
        torch.minimum(0.3 - x.abs(), 1 - y.abs()), torch.minimum(0.3 - y.abs(), 1 - x.abs())
    )
    bars = torch.minimum(0.95 - torch.maximum(x.abs(), y.abs()), (y * 7.5).cos() / 7.5)
    slope = math.sqrt(3) / 2
    sides = torch.minimum(0.5 - y, y / 2 + 0.5 - x.abs() * slope)
    shapes = torch.stack([1 - distance, arms, 0.22 - (distance - 0.75).abs(), box, bars, sides])
    return shapes[labels, torch.arange(len(labels))]
