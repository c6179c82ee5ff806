"""Networks that answer with a map as large as the picture: three designs of a segmenter.

All three have the same encoder: a strided convolution, then convolutions with pools between them.
They differ in the way back to the picture's size, and in nothing else:

- `unpool`: each value goes back to where its maximum was, as in SegNet (Badrinarayanan et al. 2017,
  arXiv:1511.00561);
- `transposed`: a transposed convolution doubles the side, as in Noh et al. (2015,
  arXiv:1505.04366) but without their unpooling;
- `unet`: the same, and the encoder's maps of that size beside what comes up (Ronneberger et al.
  2015, arXiv:1505.04597).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Back = Literal["unpool", "transposed", "unet"]

MULTIPLE = 16
"""The sides of the pictures are multiples of this: a stride of 2, and three pools."""

WIDTHS: dict[Back, tuple[int, ...]] = {
    "unpool": (32, 64, 104, 160),
    "transposed": (32, 64, 96, 140),
    "unet": (32, 64, 88, 128),
}
"""Channels of the four levels that give the three designs equal numbers of parameters."""


def convolutions(inputs: int, *widths: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolutions of these widths, each with BatchNorm and a rectifier.

    Args:
        inputs: Channels that come in.
        widths: Channels of each convolution.
        stride: Stride of the first.
    """
    layers: list[nn.Module] = []
    for number, (source, width) in enumerate(pairwise((inputs, *widths))):
        step = 1 if number else stride
        conv = nn.Conv2d(source, width, 3, step, padding=1, bias=False)
        layers += [conv, nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers)


class Unpool(nn.Module):
    """A convolution to the width of the level above, then back to where its maxima were."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.conv = convolutions(inputs, width)

    def forward(self, maps: Tensor, switches: Tensor) -> Tensor:
        """(N, inputs, H, W) and the switches of the pool -> (N, width, 2 H, 2 W)."""
        return functional.max_unpool2d(self.conv(maps), switches, 2)


class Double(nn.Sequential):
    """A transposed convolution that doubles the side, BatchNorm and a rectifier.

    Kernels of 4x4 with a stride of 2 give every pixel equally many contributions.
    """

    def __init__(self, inputs: int, width: int) -> None:
        up = nn.ConvTranspose2d(inputs, width, 4, stride=2, padding=1, bias=False)
        super().__init__(up, nn.BatchNorm2d(width), nn.ReLU())


class Segmenter(nn.Module):
    """(N, channels, H, W) -> one score of each class for each pixel, (N, classes, H, W).

    Args:
        back: How it leads back to the picture's size.
        channels: Input channels.
        classes: Classes of pixels.
        widths: Channels at 1/2, 1/4, 1/8 and 1/16 of the picture's side.
    """

    def __init__(
        self, back: Back, channels: int = 3, classes: int = 11, widths: Sequence[int] = ()
    ) -> None:
        super().__init__()
        levels = tuple(widths) or WIDTHS[back]
        self.back: Back = back
        self.stem = convolutions(channels, levels[0], levels[0], stride=2)
        self.down = nn.ModuleList(convolutions(a, b, b) for a, b in pairwise(levels))
        upwards = list(pairwise(reversed(levels)))
        kind = Unpool if back == "unpool" else Double
        self.up = nn.ModuleList(kind(low, high) for low, high in upwards)
        beside = 2 if back == "unet" else 1
        self.decode = nn.ModuleList(convolutions(beside * high, high) for _, high in upwards)
        self.scores = nn.ConvTranspose2d(levels[0], classes, 4, stride=2, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Scores of each pixel; see the class."""
        maps = self.stem(images)
        levels: list[tuple[Tensor, Tensor]] = []
        for stage in self.down:
            pooled, switches = functional.max_pool2d(maps, 2, return_indices=True)
            levels.append((maps, switches))
            maps = stage(pooled)
        for up, decode, (skip, switches) in zip(
            self.up, self.decode, reversed(levels), strict=True
        ):
            maps = up(maps, switches) if self.back == "unpool" else up(maps)
            maps = decode(torch.cat([maps, skip], 1) if self.back == "unet" else maps)
        scores: Tensor = self.scores(maps)
        return scores
