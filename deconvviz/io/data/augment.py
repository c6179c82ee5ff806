"""Augmentation of a batch of pictures on its own device.

Only RandAugment, which torchvision does one picture at a time, loops over the pictures.
"""

import math
from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from deconvviz.errors import DataError
from deconvviz.schema import validated

_TRIES = 10  # random crops drawn before one that fits is made to fit


@validated
class Augmentation:
    """Random shift, flip, crop, rotation, RandAugment and cutout of each picture, in this order."""

    crop_padding: Annotated[int, Field(ge=0, le=4096)] = 4
    """Maximum shift in pixels in each direction; the border is filled by reflection."""
    flip: bool = True
    """Mirror half of the pictures left to right."""
    cutout: Annotated[int, Field(ge=0, le=4096)] = 0
    """Side in pixels of a square at a random place, partly outside at the border, filled with the
    picture's mean (DeVries & Taylor 2017, arXiv:1708.04552); 0 disables."""
    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Maximum rotation in degrees in each direction."""
    randaugment: Annotated[int, Field(ge=0, le=30)] = 0
    """Magnitude of RandAugment, 1 to 30: two random operations such as shear and contrast (Cubuk et
    al. 2019, arXiv:1909.13719); 0 disables. On a CPU it takes 20 times as long as shift, flip and
    cutout together."""
    crop_scale: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Minimum fraction of the area that a random resized crop keeps (Szegedy et al. 2015,
    arXiv:1409.4842)."""
    crop_ratio: Annotated[float, Field(ge=1)] = 1.0
    """Maximum aspect ratio of a random resized crop; the minimum is its inverse. There are no such
    crops if `crop_scale` and `crop_ratio` are 1."""

    def __call__(
        self, images: Tensor, generator: torch.Generator, mirrored: Tensor | None = None
    ) -> Tensor:
        """Augment pictures: `transform`, then `cut_out`.

        Args:
            images: (B, C, H, W), uint8 or float.
            generator: Generator on any device; equal states give equal results on all devices.
            mirrored: (B,), which pictures to mirror; drawn if None. Without `flip`, none are.

        Returns:
            New pictures of the same shape, dtype and device.

        Raises:
            DataError: The pictures are too small for the reflection, or RandAugment does not take
                their type.
        """
        return self.cut_out(self.transform(images, generator, mirrored), generator)

    def transform(
        self, images: Tensor, generator: torch.Generator, mirrored: Tensor | None = None
    ) -> Tensor:
        """All but cutout; arguments as for a call."""
        # Disabled operations draw no random numbers, so that new ones do not change old recipes.
        images = self._shift_and_flip(images, generator, mirrored)
        if self.crop_scale < 1 or self.crop_ratio > 1:
            images = _resized(images, self._crops(images, generator))
        if self.rotation:
            images = rotate(images, self._angles(images, generator))
        return _randaugment(images, self.randaugment, generator) if self.randaugment else images

    def cut_out(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Cutout alone."""
        if not self.cutout:
            return images
        height, width = images.shape[-2:]
        (centre_y,) = _draw(height, 1, images, generator)
        (centre_x,) = _draw(width, 1, images, generator)
        hidden = self._near(centre_y, height)[:, :, None] & self._near(centre_x, width)[:, None, :]
        mean = images.mean(dim=(2, 3), keepdim=True, dtype=torch.float32)
        if not images.is_floating_point():
            mean = mean.round()
        return torch.where(hidden[:, None], mean.to(images.dtype), images)

    def _shift_and_flip(
        self, images: Tensor, generator: torch.Generator, mirrored: Tensor | None
    ) -> Tensor:
        batch, channels, height, width = images.shape
        if self.crop_padding >= min(height, width):
            raise DataError(
                f"crop_padding must be less than the side of the pictures, {height}x{width}, "
                f"got {self.crop_padding}"
            )
        down, right = _draw(2 * self.crop_padding + 1, 2, images, generator) - self.crop_padding
        rows = _reflect(torch.arange(height, device=images.device) + down, height)
        columns = _reflect(torch.arange(width, device=images.device) + right, width)
        if self.flip:
            if mirrored is None:
                (mirrored,) = _draw(2, 1, images, generator)
            columns = torch.where(mirrored.view(-1, 1).bool(), columns.flip(1), columns)
        source = (rows[:, :, None] * width + columns[:, None, :]).view(batch, 1, height * width)
        return images.flatten(2).gather(2, source.expand(-1, channels, -1)).view(images.shape)

    def _crops(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """(B, 4): height, width, centre's y and x of random crops, as shares of the picture.

        Area is uniform and the ratio log-uniform, as in torchvision's RandomResizedCrop; of a few
        draws the first that fits is taken, else one cut down to the picture.
        """
        batch = len(images)
        draws = torch.rand(4, _TRIES, batch, generator=generator, device=generator.device)
        area = self.crop_scale + (1 - self.crop_scale) * draws[0]
        root = (math.log(self.crop_ratio) * (2 * draws[1] - 1) / 2).exp()
        sides = torch.stack([area.sqrt() / root, area.sqrt() * root])  # (2, tries, B)
        fits = (sides <= 1).all(0)
        first = fits.int().argmax(0)  # the first draw where none fits
        chosen = sides[:, first, torch.arange(batch)].clamp(max=1)
        places = draws[2:, first, torch.arange(batch)]
        centres = chosen / 2 + places * (1 - chosen)
        return torch.cat([chosen, centres]).T.to(images.device)

    def _angles(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """(B,) degrees, uniform in ±`rotation`."""
        uniform = torch.rand(len(images), generator=generator, device=generator.device)
        return (2 * uniform - 1).mul(self.rotation).to(images.device)

    def _near(self, centre: Tensor, length: int) -> Tensor:
        start = centre - self.cutout // 2
        position = torch.arange(length, device=centre.device)
        return (position >= start) & (position < start + self.cutout)


def _randaugment(images: Tensor, magnitude: int, generator: torch.Generator) -> Tensor:
    """RandAugment of torchvision, each picture varied on its own.

    It draws from torch's global generator, whose state is restored afterwards.
    """
    if images.dtype != torch.uint8 or images.shape[1] not in (1, 3):
        raise DataError(
            f"RandAugment takes uint8 pictures of 1 or 3 channels, got {images.dtype} with "
            f"{images.shape[1]}; set randaugment to 0"
        )
    from torchvision.transforms.v2 import RandAugment

    vary = RandAugment(num_ops=2, magnitude=magnitude)
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    before = torch.default_generator.get_state()
    try:
        # Only the CPU's: torch.manual_seed would seed every other device too.
        torch.default_generator.manual_seed(seed)
        return torch.stack([vary(image) for image in images])
    finally:
        torch.default_generator.set_state(before)


def _resized(images: Tensor, crops: Tensor) -> Tensor:
    """Crops (B, 4), as `Augmentation._crops` draws them, enlarged to the pictures' size."""
    height, width, y, x = crops.to(images.device, _float_type(images)).T
    none = torch.zeros_like(x)
    theta = torch.stack([width, none, 2 * x - 1, none, height, 2 * y - 1], dim=1).view(-1, 2, 3)
    return _warped(images, theta, "border", align_corners=False)


def rotate(images: Tensor, degrees: Tensor) -> Tensor:
    """Rotate each picture about its centre, counter-clockwise, by its own angle.

    Args:
        images: (B, C, H, W), uint8 or float.
        degrees: (B,).

    Returns:
        New pictures of the same shape, interpolated bilinearly and filled by reflection, without
        repeating the border row. 0 degrees leave uint8 pictures bit-equal.
    """
    height, width = images.shape[-2:]
    angle = degrees.to(images.device, _float_type(images)).deg2rad()
    cos, sin, none = angle.cos(), angle.sin(), torch.zeros_like(angle)
    # In affine_grid's units each axis goes from -1 to 1, whatever its length.
    tall = max(height - 1, 1) / max(width - 1, 1)
    theta = torch.stack([cos, -sin * tall, none, sin / tall, cos, none], dim=1).view(-1, 2, 3)
    return _warped(images, theta, "reflection", align_corners=True)


def _warped(images: Tensor, theta: Tensor, border: str, *, align_corners: bool) -> Tensor:
    """Pictures under the affine maps (B, 2, 3) of `affine_grid`, interpolated bilinearly."""
    grid = functional.affine_grid(theta, list(images.shape), align_corners=align_corners)
    floats = images.to(_float_type(images))
    warped = functional.grid_sample(floats, grid, "bilinear", border, align_corners)
    return warped if images.is_floating_point() else warped.round().to(images.dtype)


def _float_type(images: Tensor) -> torch.dtype:
    return images.dtype if images.is_floating_point() else torch.float32


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
    """Normalise pictures: subtract the mean, divide by the standard deviation.

    Args:
        images: (B, C, H, W), uint8, or float in [0, 1].
        mean: (C,) of pixels in [0, 1].
        std: (C,) of pixels in [0, 1].
        memory_format: Memory format of the result.

    Returns:
        (B, C, H, W) in normalised units: float32 for uint8, else the input's dtype.
    """
    dtype = _float_type(images)
    scale = 1.0 if images.is_floating_point() else 255.0
    middle = torch.tensor(mean, dtype=dtype).mul(scale).to(images.device).view(1, -1, 1, 1)
    spread = torch.tensor(std, dtype=dtype).mul(scale).to(images.device).view(1, -1, 1, 1)
    floats = images.to(dtype, memory_format=memory_format, copy=True)
    return floats.sub_(middle).div_(spread)
