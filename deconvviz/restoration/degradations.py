"""What pictures suffer: the operations that restoration undoes."""

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor


def to_image(pixels: Tensor) -> Image.Image:
    """(1 or 3, H, W) uint8 as a picture of mode L or RGB."""
    array = pixels.permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(array[:, :, 0] if len(pixels) == 1 else array)


def from_image(image: Image.Image) -> Tensor:
    """A picture of mode L or RGB as (1 or 3, H, W) uint8."""
    array = np.array(image).reshape(image.height, image.width, -1)
    return torch.from_numpy(array).permute(2, 0, 1).contiguous()


def resize(pixels: Tensor, height: int, width: int) -> Tensor:
    """Resize (C, H, W) uint8 by Pillow's bicubic filter, antialiased where it shrinks."""
    return from_image(to_image(pixels).resize((width, height), Image.Resampling.BICUBIC))


def cropped(pixels: Tensor, multiple: int) -> Tensor:
    """The upper left part of (C, H, W), height and width cut to a multiple."""
    height, width = (side - side % multiple for side in pixels.shape[-2:])
    return pixels[..., :height, :width]


def reduced(pixels: Tensor, scale: int) -> Tensor:
    """(C, H, W) uint8, sides multiples of `scale`, reduced by it, in 8 bits as a camera would."""
    return resize(pixels, pixels.shape[-2] // scale, pixels.shape[-1] // scale)


def add_noise(pixels: Tensor, sigma: Tensor, generator: torch.Generator) -> Tensor:
    """Gaussian noise on pixels in [0, 1], not clipped; `sigma` is in grey levels of 255."""
    return pixels + torch.randn(pixels.shape, generator=generator) * sigma / 255


def to_8_bit(pixels: Tensor) -> Tensor:
    """Pixels in [0, 1], clipped and rounded as a file holds them."""
    return (pixels.clamp(0, 1) * 255).round() / 255


def blurred(pixels: Tensor, sigma: float) -> Tensor:
    """(C, H, W) blurred by a Gaussian, float32 in the same range, mirrored at the borders."""
    soft = ndimage.gaussian_filter(pixels.float().numpy(), (0, sigma, sigma), mode="reflect")
    return torch.from_numpy(soft)


def draw_masks(
    count: int, height: int, width: int, percent: tuple[int, int], generator: torch.Generator
) -> Tensor:
    """Masks (count, 1, height, width) of known pixels, 1, and missing ones, 0.

    A third misses single pixels, a share of them drawn between the limits; a third up to eight
    lines, 1 to 5 pixels thick, as scratches; a third up to four boxes of up to a third of a side.
    """

    def rand(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator)

    low, high = percent
    share = (low + (high - low) * rand(1, 1, 1)) / 100
    pixels = rand(1, height, width) < share
    sides = torch.tensor([float(height), float(width)])
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    # lines: the distance of each pixel from a line through a point, at an angle
    y, x = (rand(2, 8) * sides[:, None]).view(count, 2, 8, 1, 1).unbind(1)
    angle = (rand(8) * torch.pi).view(count, 8, 1, 1)
    far = ((rows - y) * angle.cos() - (columns - x) * angle.sin()).abs()
    lines = _any(far < (0.5 + 2 * rand(8)).view(count, 8, 1, 1), rand(1))
    y, x = (rand(2, 4) * sides[:, None]).view(count, 2, 4, 1, 1).unbind(1)
    high_, wide = (rand(2, 4) * sides[:, None] / 3 + 1).view(count, 2, 4, 1, 1).unbind(1)
    boxes = _any((rows >= y) & (rows < y + high_) & (columns >= x) & (columns < x + wide), rand(1))
    kind = (rand(1, 1, 1) * 3).long()
    missing = torch.where(kind == 0, pixels, torch.where(kind == 1, lines, boxes))
    return 1 - missing.float()


def _any(parts: Tensor, share: Tensor) -> Tensor:
    """The union of the first parts (N, K, H, W), as many as a share (N, 1) says; one at least."""
    total = parts.shape[1]
    wanted = torch.arange(total) < 1 + (share * (total - 1)).round()
    return (parts & wanted[:, :, None, None]).any(1, keepdim=True)
