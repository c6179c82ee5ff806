"""What pictures suffer: the operations that restoration undoes."""

import numpy as np
import torch
from PIL import Image
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
