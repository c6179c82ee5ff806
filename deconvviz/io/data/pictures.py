"""Decoding of a data set's pictures to one size and number of channels."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from deconvviz.errors import DataError, PictureError
from deconvviz.io.images import open_picture

_MODES = {1: "L", 3: "RGB"}


def check_channels(channels: int) -> None:
    """Check that pictures can be decoded to this number of channels."""
    if channels not in _MODES:
        raise DataError(f"channels must be 1 (grey) or 3 (RGB), got {channels}")


def decode(path: Path, size: int | None, channels: int) -> NDArray[np.uint8]:
    """Decode a picture as `open_picture` does: upright, transparency on white, 8 bits per channel.

    Args:
        path: File of the picture.
        size: Side of the square: the shorter side is resized to it (antialiased bicubic), then the
            centre is cropped. None keeps the picture's size.
        channels: 1 (ITU-R 601 luma) or 3 (RGB, a grey picture in three equal channels).

    Returns:
        (channels, H, W) uint8.

    Raises:
        DataError: `open_picture` does not take the file.
    """
    check_channels(channels)
    try:
        image = open_picture(path).image
    except PictureError as error:
        raise DataError(f"in {path.parent}, {error}") from error
    if size is not None and image.size != (size, size):
        image = ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)
    image = image.convert(_MODES[channels])
    pixels = np.asarray(image).reshape(image.height, image.width, channels)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def to_channels(images: Tensor, channels: int) -> Tensor:
    """(N, 1 or 3, H, W) uint8 as 1 channel (luma) or 3 (grey repeated)."""
    if images.shape[1] == channels:
        return images
    return grey(images) if channels == 1 else images.repeat(1, channels, 1, 1)


def grey(images: Tensor) -> Tensor:
    """(N, 3, H, W) uint8 RGB -> (N, 1, H, W) luma, as Pillow computes it."""
    count, _, height, width = images.shape
    tall = images.permute(0, 2, 3, 1).reshape(count * height, width, 3)
    luma = np.array(Image.fromarray(tall.cpu().numpy()).convert("L"))
    return torch.from_numpy(luma).view(count, 1, height, width).to(images.device)
