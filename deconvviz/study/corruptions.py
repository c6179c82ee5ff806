"""Corruptions of pictures at five severities, to see how much of its accuracy a network keeps.

In the spirit of Hendrycks & Dietterich (2019, arXiv:1903.12261). The levels are our own, chosen
for pictures of 32 pixels, so an accuracy compares only with others that were measured here.
"""

import io
import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from deconvviz.errors import DataError, SettingError

SEVERITIES = (1, 2, 3, 4, 5)
"""From hardly visible to hard for a person too."""

NOISE = (0.02, 0.04, 0.06, 0.09, 0.12)
"""Standard deviation of Gaussian noise, of pixels in [0, 1], at each severity."""

BLUR = (0.4, 0.6, 0.8, 1.0, 1.3)
"""Standard deviation of the Gaussian, in pixels."""

BRIGHTNESS = (0.1, 0.2, 0.3, 0.4, 0.5)
"""Values added to pixels in [0, 1]."""

JPEG = (80, 60, 40, 20, 10)
"""JPEG quality, chroma at half the resolution. What was JPEG before is rounded twice, and how
much that takes does not always grow with the second rounding: see accuracies on it with that in
mind."""

_BLOCK_NUMBERS = 2**22  # pixels times channels that are worked on at a time


def _noisy(images: Tensor, deviation: float, generator: torch.Generator) -> Tensor:
    """Add Gaussian noise to each channel of each pixel."""
    return _pixels(images + 255 * deviation * torch.randn(images.shape, generator=generator))


def _blurred(images: Tensor, deviation: float, _: torch.Generator) -> Tensor:
    """Convolve with a Gaussian, cut off at four deviations; the border row is mirrored about."""
    radius = math.ceil(4 * deviation)
    height, width = images.shape[-2:]
    if radius >= min(height, width):
        raise DataError(
            f"pictures of {height}x{width} are too small for a blur of {radius} pixels each way; "
            "use larger pictures"
        )
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = (-0.5 * (offsets / deviation).square()).exp()
    kernel = kernel / kernel.sum()
    planes = images.float().view(-1, 1, height, width)
    padded = functional.pad(planes, (radius,) * 4, mode="reflect")
    across = functional.conv2d(padded, kernel.view(1, 1, 1, -1))
    return _pixels(functional.conv2d(across, kernel.view(1, 1, -1, 1)).view(images.shape))


def _brighter(images: Tensor, shift: float, _: torch.Generator) -> Tensor:
    """Add the same to every channel of every pixel."""
    return _pixels(images + 255 * shift)


def _compressed(images: Tensor, quality: float, _: torch.Generator) -> Tensor:
    """Encode each picture as JPEG and decode it again; its blocks are of 8 or 16 pixels."""
    if images.shape[1] not in (1, 3):
        raise DataError(
            f"JPEG holds pictures of 1 or 3 channels, not {images.shape[1]}; leave this corruption "
            "out"
        )
    arrays = images.permute(0, 2, 3, 1).numpy()
    decoded = np.stack([_through_jpeg(array, int(quality)) for array in arrays])
    return torch.from_numpy(decoded.transpose(0, 3, 1, 2)).contiguous()


_Corruption = Callable[[Tensor, float, torch.Generator], Tensor]
CORRUPTIONS: dict[str, tuple[_Corruption, tuple[float, ...]]] = {
    "noise": (_noisy, NOISE),
    "blur": (_blurred, BLUR),
    "brightness": (_brighter, BRIGHTNESS),
    "jpeg": (_compressed, JPEG),
}
"""Every corruption by name, with its level at each severity."""


def corrupted(images: Tensor, name: str, severity: int, seed: int = 0) -> Tensor:
    """Corrupt pictures, whatever their number, in blocks that fit the memory.

    Args:
        images: (N, C, H, W) uint8.
        name: One of `CORRUPTIONS`.
        severity: 1 to 5.
        seed: Seed of random parts; every network is given the same pictures, and the noise of
            all severities differs in scale alone.

    Returns:
        New pictures of the same form, on the CPU.

    Raises:
        SettingError: There is no such corruption or severity.
        DataError: The corruption cannot be done to such pictures.
    """
    if name not in CORRUPTIONS:
        raise SettingError(f"no corruption `{name}`; there are {', '.join(CORRUPTIONS)}")
    if severity not in SEVERITIES:
        raise SettingError(f"no severity {severity}; there are {', '.join(map(str, SEVERITIES))}")
    corrupt, levels = CORRUPTIONS[name]
    level = levels[SEVERITIES.index(severity)]
    generator = torch.Generator().manual_seed(seed)
    rows = max(1, _BLOCK_NUMBERS // max(1, images[:1].numel()))
    result = torch.empty(images.shape, dtype=torch.uint8)
    for source, target in zip(torch.split(images, rows), torch.split(result, rows), strict=True):
        target.copy_(corrupt(source.cpu(), level, generator))
    return result


def _pixels(values: Tensor) -> Tensor:
    """Rounded, and clipped to the range of pixels."""
    return values.round().clamp(0, 255).to(torch.uint8)


def _through_jpeg(array: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """(H, W, C), encoded and decoded; torchvision's own codec is deprecated."""
    file = io.BytesIO()
    Image.fromarray(array.squeeze(2) if array.shape[2] == 1 else array).save(
        file, "JPEG", quality=quality, subsampling="4:2:0"
    )
    with Image.open(file, formats=["JPEG"]) as decoded:
        return np.asarray(decoded).reshape(array.shape)
