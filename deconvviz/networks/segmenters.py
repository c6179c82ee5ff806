"""Networks that answer with a map as large as the picture: three designs of a segmenter.

All three have the same encoder: a strided convolution, then convolutions with pools between them.
They differ in the way back to the picture's size, and in nothing else.
"""

from itertools import pairwise
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from deconvviz.errors import SettingError
from deconvviz.networks.architecture import Architecture, Width
from deconvviz.schema import validated

Back = Literal["unpool", "transposed", "unet"]

EQUAL_WIDTHS: dict[Back, tuple[int, ...]] = {
    "unpool": (32, 64, 104, 160),
    "transposed": (32, 64, 96, 140),
    "unet": (32, 64, 88, 128),
}
"""Widths that give the three designs equally many parameters, within one percent."""


@validated
class Segmenter(Architecture):
    """Scores of each class for each pixel: (N, C, H, W) -> (N, classes, H, W).

    Convolutions of 3x3 with BatchNorm and ReLU, two at each of four resolutions: 1/2, by a stride,
    then 1/4, 1/8 and 1/16, by pools.
    """

    multiple: ClassVar[int] = 16

    back: Back = "unet"
    """Way back to the picture's size. unpool: each value goes back to where its maximum was, as in
    SegNet (Badrinarayanan et al. 2017, arXiv:1511.00561); transposed: a transposed convolution
    doubles the side, as in Noh et al. (2015, arXiv:1505.04366) but without their unpooling; unet:
    the same, and the encoder's maps of that size beside what comes up (Ronneberger et al. 2015,
    arXiv:1505.04597)."""
    widths: tuple[Width, ...] = ()
    """Widths of the four resolutions, the largest first; by default those of `EQUAL_WIDTHS`."""

    def __post_init__(self) -> None:
        if len(self.widths) not in (0, 4):
            raise SettingError(f"widths must be four numbers, got {len(self.widths)}")

    def network(self, channels: int, classes: int, size: int) -> nn.Module:  # noqa: ARG002
        """An untrained network for pictures whose sides are multiples of 16."""
        return SegmenterNet(self.back, channels, classes, self.widths or EQUAL_WIDTHS[self.back])


def convolutions(inputs: int, *widths: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolutions of these widths, each with BatchNorm and ReLU.

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


def doubling(inputs: int, width: int) -> nn.Sequential:
    """A transposed convolution that doubles the side, with BatchNorm and ReLU.

    Kernels of 4x4 with a stride of 2 give every pixel equally many contributions.
    """
    up = nn.ConvTranspose2d(inputs, width, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(up, nn.BatchNorm2d(width), nn.ReLU())


class SegmenterNet(nn.Module):
    """The network of `Segmenter`; `widths` are those of the four resolutions."""

    def __init__(self, back: Back, channels: int, classes: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.back: Back = back
        self.stem = convolutions(channels, widths[0], widths[0], stride=2)
        self.down = nn.ModuleList(convolutions(a, b, b) for a, b in pairwise(widths))
        upwards = list(pairwise(reversed(widths)))
        # Unpooling keeps the number of maps, so a convolution comes before it.
        widen = convolutions if back == "unpool" else doubling
        self.up = nn.ModuleList(widen(low, high) for low, high in upwards)
        beside = 2 if back == "unet" else 1
        self.decode = nn.ModuleList(convolutions(beside * high, high) for _, high in upwards)
        self.scores = nn.ConvTranspose2d(widths[0], classes, 4, stride=2, padding=1)

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, C, H, W), H and W multiples of 16 -> (N, classes, H, W)."""
        maps = self.stem(pictures)
        levels: list[tuple[Tensor, Tensor]] = []
        for stage in self.down:
            pooled, switches = functional.max_pool2d(maps, 2, return_indices=True)
            levels.append((maps, switches))
            maps = stage(pooled)
        for up, decode, (skip, switches) in zip(
            self.up, self.decode, reversed(levels), strict=True
        ):
            maps = up(maps)
            if self.back == "unpool":
                maps = functional.max_unpool2d(maps, switches, [2, 2])
            elif self.back == "unet":
                maps = torch.cat([maps, skip], 1)
            maps = decode(maps)
        scores: Tensor = self.scores(maps)
        return scores
