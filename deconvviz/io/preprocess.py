"""How a picture becomes a network's input: resized, cut out and normalised as in its training."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from deconvviz.io.data import normalise
from deconvviz.io.images import to_tensor

__all__ = ["Box", "Pixels", "Preprocess", "Size"]

Box = tuple[int, int, int, int]
"""Top, left, bottom, right in pixels, the last two exclusive; it may leave the picture."""

Pixels = NDArray[np.uint8]

Size = int | Literal["trained"] | None

_LONGEST = 16  # times the shorter side


@dataclass(frozen=True)
class Preprocess:
    """What a network wants of a picture.

    The shorter side is resized to `shorter` pixels, the longer one in proportion, and the central
    square of `side` pixels is cut out; so does torchvision.

    Attributes:
        side: Of the square pictures that the network was trained on, in pixels.
        mean: Per channel, of pixels in [0, 1], subtracted.
        std: Per channel, the divisor after it.
        shorter: What the shorter side is resized to before the cut; 0 is `side`: the cut takes the
            largest central square.
        resample: How pixels are interpolated; antialiased.
    """

    side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    shorter: int = 0
    resample: Image.Resampling = Image.Resampling.BICUBIC

    @property
    def channels(self) -> int:
        """Of the input: 1 is grey, 3 red, green and blue."""
        return len(self.mean)

    @property
    def input_size(self) -> tuple[int, int, int]:
        """(C, H, W) of the pictures that the network was trained on."""
        return (self.channels, self.side, self.side)

    def box(self, picture: Image.Image) -> Box:
        """The part of `picture` that the network sees, to the nearest of its pixels."""
        if picture.size == (self.side, self.side):
            return 0, 0, self.side, self.side
        size = _with_shorter(picture.size, self.shorter or self.side)
        left, top = _centred(size, self.side)
        wide, high = (before / now for before, now in zip(picture.size, size, strict=True))
        edges = (top * high, left * wide, (top + self.side) * high, (left + self.side) * wide)
        upper, first, lower, last = map(round, edges)
        return upper, first, lower, last

    def view(self, picture: Image.Image, size: Size = "trained") -> Image.Image:
        """The pixels that `tensor` normalises, as a picture; its arguments are the same."""
        if size is None:
            return picture
        side = self.side if size == "trained" else size
        if picture.size == (side, side):
            return picture
        shorter = round((self.shorter or self.side) * side / self.side)
        picture = _without_far_ends(picture)
        resized = picture.resize(_with_shorter(picture.size, shorter), self.resample)
        left, top = _centred(resized.size, side)
        return resized.crop((left, top, left + side, top + side))

    def tensor(self, picture: Image.Image, size: Size = "trained") -> Tensor:
        """Make a picture what the network was trained on.

        Args:
            picture: Any size and mode.
            size: The side of the square that is cut out, by default that of the training pictures;
                a picture already of that size passes untouched. None keeps the whole picture at its
                own size, for the convolutional layers, which take any.

        Returns:
            (C, H, W) float32, normalised.
        """
        seen = self.view(picture, size)
        pixels = to_tensor(seen.convert("L") if self.channels == 1 else seen)
        return self.normalised(pixels[None, : self.channels])[0].contiguous()

    def normalised(self, images: Tensor) -> Tensor:
        """Pictures (B, C, H, W), uint8 or in [0, 1], in the network's units; see `normalise`."""
        return normalise(images, self.mean, self.std)

    def pixels(self, images: Tensor) -> NDArray[np.uint8]:
        """What `normalised` came from, as something to look at: uint8 (B, H, W, 3).

        Any number of channels but three is shown as its mean, in grey.
        """
        mean, std = (images.new_tensor(v).view(1, -1, 1, 1) for v in (self.mean, self.std))
        shades = (images.detach() * std + mean).float().cpu()
        if shades.shape[1] != 3:
            shades = shades.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
        shown: NDArray[np.uint8] = (
            shades.mul(255).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
        )
        return np.ascontiguousarray(shown)


def _with_shorter(size: tuple[int, int], shorter: int) -> tuple[int, int]:
    """Width and height in proportion, rounded down as torchvision does."""
    width, height = size
    if width <= height:
        return shorter, int(shorter * height / width)
    return int(shorter * width / height), shorter


def _without_far_ends(picture: Image.Image) -> Image.Image:
    """The middle of a strip, where the square lies: to resize all of it may take gigabytes."""
    longest = _LONGEST * min(picture.size)
    if max(picture.size) <= longest:
        return picture
    width, height = (min(length, longest) for length in picture.size)
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    return picture.crop((left, top, left + width, top + height))


def _centred(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Left and top of the central square of `side` pixels."""
    left, top = (round((length - side) / 2) for length in size)
    return left, top
