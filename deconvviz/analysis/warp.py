"""Batches of pictures translated, scaled and rotated about their centre."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Border = Literal["reflect", "edge", "mean"]
"""Fill beyond the border: the mirror image, the outermost pixels, or zero, which is the mean colour
in a network's units."""

_PADDING = {"reflect": "reflection", "edge": "border", "mean": "zeros"}


def shifted(images: Tensor, pixels: float, border: Border = "reflect") -> Tensor:
    """Translate pictures (B, C, H, W) down by a number of pixels; up where it is negative."""
    if pixels == 0:
        return images
    return _sampled(images, ((1, 0), (0, 1)), -pixels, 1, border)


def scaled(images: Tensor, factor: float, border: Border = "reflect") -> Tensor:
    """Scale pictures (B, C, H, W) about their centre; below 1 they shrink, antialiased."""
    if factor == 1:
        return images
    return _sampled(images, ((1 / factor, 0), (0, 1 / factor)), 0, math.ceil(1 / factor), border)


def rotated(images: Tensor, degrees: float, border: Border = "reflect") -> Tensor:
    """Rotate pictures (B, C, H, W) about their centre, counter-clockwise."""
    if degrees % 360 == 0:
        return images
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return _sampled(images, ((cos, -sin), (sin, cos)), 0, 1, border)


def _sampled(
    images: Tensor, turn: Sequence[Sequence[float]], down: float, samples: int, border: Border
) -> Tensor:
    """Sample each pixel of the result from the pictures (bicubic).

    `turn` takes (x, y) in pixels from the centre of the result to the pictures, and `down` is added
    to y there; a pixel is the mean of `samples` places on each axis, for pictures that shrink.
    """
    batch, channels, height, width = images.shape
    (xx, xy), (yx, yy) = turn
    # in affine_grid's units each axis goes from -1 to 1, whatever its length
    rows = ((xx, xy * height / width, 0), (yx * width / height, yy, 2 * down / height))
    theta = torch.tensor(rows, dtype=images.dtype, device=images.device).expand(batch, 2, 3)
    size = [batch, channels, height * samples, width * samples]
    grid = functional.affine_grid(theta, size, align_corners=False)
    found = functional.grid_sample(
        images, grid, "bicubic", padding_mode=_PADDING[border], align_corners=False
    )
    return functional.avg_pool2d(found, samples) if samples > 1 else found
