"""Preprocessing of pictures for a network: resize, centre crop and normalise, as in training."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from deconvviz.deconv import Box
from deconvviz.io.data import normalise
from deconvviz.io.images import to_tensor

Pixels = NDArray[np.uint8]

Size = int | Literal["trained"] | None

_MAX_ASPECT = 16  # of a picture that is resized


@dataclass(frozen=True)
class Preprocess:
    """Resize, centre crop and normalisation, as torchvision's Resize, CenterCrop and Normalize.

    Attributes:
        size: Side in pixels of the square pictures that the network was trained on.
        mean: Mean of each channel, for pixels in [0, 1].
        std: Standard deviation of each channel.
        resize: Length that the shorter side is resized to before the crop; 0 for `size`, so that
            the crop is the largest central square.
        interpolation: Antialiased interpolation of the resize.
        multiple: Height and width of a picture that keeps its size are cut to multiples of this.
    """

    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: int = 0
    interpolation: Image.Resampling = Image.Resampling.BICUBIC
    multiple: int = 1

    @property
    def channels(self) -> int:
        """Number of input channels: 1 is grey, 3 is RGB."""
        return len(self.mean)

    @property
    def input_size(self) -> tuple[int, int, int]:
        """(C, H, W) of the pictures that the network was trained on."""
        return (self.channels, self.size, self.size)

    def box(self, picture: Image.Image) -> Box:
        """The part of `picture` that the network sees, rounded to whole pixels."""
        if picture.size == (self.size, self.size):
            return 0, 0, self.size, self.size
        size = _with_shorter(picture.size, self.resize or self.size)
        left, top = _centred(size, self.size)
        wide, high = (before / now for before, now in zip(picture.size, size, strict=True))
        edges = (top * high, left * wide, (top + self.size) * high, (left + self.size) * wide)
        upper, first, lower, last = map(round, edges)
        return upper, first, lower, last

    def view(self, picture: Image.Image, size: Size = "trained") -> Image.Image:
        """The resized and cropped picture, as `tensor` normalises it; same arguments."""
        if size is None:
            width, height = (side - side % self.multiple for side in picture.size)
            if (width, height) == picture.size or not (width and height):
                return picture  # too small a one is the network's own to refuse
            return picture.crop((0, 0, width, height))
        side = self.size if size == "trained" else size
        if picture.size == (side, side):
            return picture
        resize = round((self.resize or self.size) * side / self.size)
        picture = _without_far_ends(picture)
        resized = picture.resize(_with_shorter(picture.size, resize), self.interpolation)
        left, top = _centred(resized.size, side)
        return resized.crop((left, top, left + side, top + side))

    def tensor(self, picture: Image.Image, size: Size = "trained") -> Tensor:
        """(C, H, W) float32, resized, cropped and normalised; see `Bundle.preprocess`."""
        view = self.view(picture, size)
        pixels = to_tensor(view.convert("L") if self.channels == 1 else view)
        if self.channels == 4:  # RGBA, as networks that fill in missing pixels take: none is
            pixels = torch.cat([pixels, torch.ones_like(pixels[:1])])
        return self.normalised(pixels[None, : self.channels])[0].contiguous()

    def normalised(self, images: Tensor) -> Tensor:
        """Normalise pictures (B, C, H, W), uint8 or in [0, 1]; see `normalise`."""
        return normalise(images, self.mean, self.std)

    def pixels(self, images: Tensor) -> Pixels:
        """The inverse of `normalised`, as uint8 pixels (B, H, W, 3).

        Any number of channels but three is shown as its mean, in grey.
        """
        mean, std = (images.new_tensor(v).view(1, -1, 1, 1) for v in (self.mean, self.std))
        shades = (images.detach() * std + mean).float().cpu()
        if shades.shape[1] != 3:
            shades = shades.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
        shown: Pixels = shades.mul(255).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
        return np.ascontiguousarray(shown)


def _with_shorter(size: tuple[int, int], shorter: int) -> tuple[int, int]:
    """Width and height in proportion, rounded down as torchvision does."""
    width, height = size
    if width <= height:
        return shorter, int(shorter * height / width)
    return int(shorter * width / height), shorter


def _without_far_ends(picture: Image.Image) -> Image.Image:
    """The middle of a long strip, where the crop is; resizing the whole may take gigabytes."""
    longest = _MAX_ASPECT * min(picture.size)
    if max(picture.size) <= longest:
        return picture
    width, height = (min(length, longest) for length in picture.size)
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    return picture.crop((left, top, left + width, top + height))


def _centred(size: tuple[int, int], side: int) -> tuple[int, int]:
    left, top = (round((length - side) / 2) for length in size)
    return left, top
