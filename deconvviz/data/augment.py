"""Variations of a batch of pictures, computed on its own device without a loop over pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from deconvviz.errors import DataError

__all__ = ["Augmentation", "normalise"]


@dataclass(frozen=True)
class Augmentation:
    """Random crop, mirror image and cutout, each picture its own.

    Attributes:
        crop: pixels by which a picture may shift, each way; what comes into view is its reflection,
            the border row not repeated. 0 switches it off.
        flip: whether half of the pictures are mirrored left to right.
        cutout: side in pixels of a square hidden at a random place, partly outside at the border
            (DeVries & Taylor 2017, arXiv:1708.04552); it shows the picture's own mean, which needs
            no statistics of the data set. 0 switches it off.
    """

    crop: int = 4
    flip: bool = True
    cutout: int = 0

    def __call__(
        self, images: Tensor, generator: torch.Generator, mirrored: Tensor | None = None
    ) -> Tensor:
        """Vary pictures.

        Args:
            images: (B, C, H, W), uint8 or float.
            generator: on any device; the same state gives the same variations on every device.
            mirrored: (B,), which pictures to mirror; drawn where not given. Without `flip`, none.

        Returns:
            New pictures of the same shape, dtype and device.

        Raises:
            DataError: the pictures are too small for the reflection.
        """
        images = self._shift_and_flip(images, generator, mirrored)
        return self._cut_out(images, generator) if self.cutout else images

    def _shift_and_flip(
        self, images: Tensor, generator: torch.Generator, mirrored: Tensor | None
    ) -> Tensor:
        batch, channels, height, width = images.shape
        if self.crop >= min(height, width):
            raise DataError(
                f"a crop of {self.crop} cannot reflect pictures of {height}x{width}; "
                "use a smaller crop or larger pictures"
            )
        down, right = _draw(2 * self.crop + 1, 2, images, generator) - self.crop
        rows = _reflect(torch.arange(height, device=images.device) + down, height)
        columns = _reflect(torch.arange(width, device=images.device) + right, width)
        if self.flip:
            if mirrored is None:
                (mirrored,) = _draw(2, 1, images, generator)
            columns = torch.where(mirrored.view(-1, 1).bool(), columns.flip(1), columns)
        source = (rows[:, :, None] * width + columns[:, None, :]).view(batch, 1, height * width)
        return images.flatten(2).gather(2, source.expand(-1, channels, -1)).view(images.shape)

    def _cut_out(self, images: Tensor, generator: torch.Generator) -> Tensor:
        height, width = images.shape[-2:]
        (centre_y,) = _draw(height, 1, images, generator)
        (centre_x,) = _draw(width, 1, images, generator)
        hidden = self._near(centre_y, height)[:, :, None] & self._near(centre_x, width)[:, None, :]
        mean = images.mean(dim=(2, 3), keepdim=True, dtype=torch.float32)
        if not images.is_floating_point():
            mean = mean.round()
        return torch.where(hidden[:, None], mean.to(images.dtype), images)

    def _near(self, centre: Tensor, length: int) -> Tensor:
        start = centre - self.cutout // 2
        position = torch.arange(length, device=centre.device)
        return (position >= start) & (position < start + self.cutout)


def _draw(high: int, rows: int, images: Tensor, generator: torch.Generator) -> Tensor:
    """(rows, B, 1) whole numbers below `high`, drawn where the generator lives."""
    shape = (rows, len(images), 1)
    numbers = torch.randint(high, shape, generator=generator, device=generator.device)
    return numbers.to(images.device)


def _reflect(position: Tensor, length: int) -> Tensor:
    """Positions up to `length - 1` outside, mirrored back at the first and the last pixel."""
    return (length - 1) - ((length - 1) - position.abs()).abs()


def normalise(
    images: Tensor,
    mean: Sequence[float],
    std: Sequence[float],
    memory_format: torch.memory_format = torch.channels_last,
) -> Tensor:
    """Turn pictures into a network's input: subtract the mean, divide by the standard deviation.

    Args:
        images: (B, C, H, W), uint8, or float in [0, 1].
        mean: of each channel, of pixels in [0, 1].
        std: likewise.
        memory_format: how the result lies in memory.

    Returns:
        (B, C, H, W) in normalised units: float32 for uint8, else the dtype that came in.
    """
    dtype = images.dtype if images.is_floating_point() else torch.float32
    scale = 1.0 if images.is_floating_point() else 255.0
    middle = torch.tensor(mean, dtype=dtype).mul(scale).to(images.device).view(1, -1, 1, 1)
    spread = torch.tensor(std, dtype=dtype).mul(scale).to(images.device).view(1, -1, 1, 1)
    floats = images.to(dtype, memory_format=memory_format, copy=True)
    return floats.sub_(middle).div_(spread)
