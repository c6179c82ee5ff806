"""Two convolutions with pools, and what leads back from their features to the picture."""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from deconvviz.networks.architecture import Architecture, named
from deconvviz.schema import validated

_WIDTHS = (32, 64)


@validated
class AutoEncoder(Architecture):
    """Convolutions 3-32-64 of 3x3 with ReLU and 2x2 pools, and a decoder or a classifier.

    (N, C, H, W) -> (N, C, H, W), or (N, classes). On the way back each step rectifies, unpools and
    convolves with transposed kernels, as a deconvnet does.
    """

    multiple: ClassVar[int] = 4

    decoder: Literal["tied", "untied", "classes"] = "untied"
    """tied: the encoder's own kernels, transposed, and biases of its own; untied: kernels of its
    own; classes: 512 hidden units and the logits, for an encoder that learns from labels."""
    switches: bool = False
    """Unpool to where the maxima were. Without them a tied decoder repeats each value in the 2x2
    pixels of its window, and an untied one doubles the side by 4x4 kernels with a stride of 2."""

    def network(self, channels: int, classes: int, size: int) -> nn.Module:
        """An untrained network; `size` matters to a classifier alone."""
        if self.decoder == "classes":
            head = named(
                flatten=nn.Flatten(),
                hidden=nn.Linear(_WIDTHS[1] * (size // 4) ** 2, 512),
                relu=nn.ReLU(),
                logits=nn.Linear(512, classes),
            )
            return named(encoder=Encoder(channels), head=head)
        if self.decoder == "tied":
            return TiedNet(channels, switches=self.switches)
        return UntiedNet(channels, switches=self.switches)


class Encoder(nn.Module):
    """(N, C, H, W) -> features (N, 64, H/4, W/4)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        first, second = _WIDTHS
        self.conv1 = nn.Conv2d(channels, first, 3, padding=1)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(first, second, 3, padding=1)
        self.relu2 = nn.ReLU()
        self.pool2 = nn.MaxPool2d(2)

    def forward(self, pictures: Tensor) -> Tensor:
        """Features of pictures."""
        maps = self.pool1(self.relu1(self.conv1(pictures)))
        features: Tensor = self.pool2(self.relu2(self.conv2(maps)))
        return features

    def with_switches(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features, and the switches of the first and the second pool."""
        maps = self.relu1(self.conv1(pictures))
        maps, first = functional.max_pool2d(maps, 2, return_indices=True)
        maps = self.relu2(self.conv2(maps))
        features, second = functional.max_pool2d(maps, 2, return_indices=True)
        return features, first, second


def unpooled(maps: Tensor, switches: Tensor | None) -> Tensor:
    """Maps of twice the side: values to where they were, or repeated without switches."""
    if switches is None:
        return functional.interpolate(maps, scale_factor=2.0)
    return functional.max_unpool2d(maps, switches, [2, 2])


class TiedNet(nn.Module):
    """An encoder whose kernels lead back too; only the two biases are the decoder's own."""

    def __init__(self, channels: int, *, switches: bool) -> None:
        super().__init__()
        self.encoder = Encoder(channels)
        self.bias1 = nn.Parameter(torch.zeros(channels))
        self.bias2 = nn.Parameter(torch.zeros(_WIDTHS[0]))
        self.switches = switches

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures from their features."""
        features, first, second = self.encoder.with_switches(pictures)
        if not self.switches:
            return transposed(self.encoder, features, None, None, self.bias1, self.bias2)
        return transposed(self.encoder, features, first, second, self.bias1, self.bias2)


def transposed(
    encoder: Encoder,
    features: Tensor,
    first: Tensor | None,
    second: Tensor | None,
    bias1: Tensor | None = None,
    bias2: Tensor | None = None,
) -> Tensor:
    """Features back to pixels by the encoder's own kernels, as a deconvnet without biases does.

    Args:
        encoder: Gives the kernels.
        features: (N, 64, H/4, W/4).
        first: Switches of the first pool; None repeats values.
        second: Switches of the second pool.
        bias1: Added to the picture.
        bias2: Added to the 32 maps, before they are rectified.

    Returns:
        (N, C, H, W).
    """
    maps = unpooled(features.relu(), second)
    maps = functional.conv_transpose2d(maps, encoder.conv2.weight, bias2, padding=1)
    maps = unpooled(maps, first).relu()
    return functional.conv_transpose2d(maps, encoder.conv1.weight, bias1, padding=1)


class UntiedNet(nn.Module):
    """An encoder, and a decoder with kernels of its own."""

    def __init__(self, channels: int, *, switches: bool) -> None:
        super().__init__()
        first, second = _WIDTHS
        kernel, stride = (3, 1) if switches else (4, 2)
        self.encoder = Encoder(channels)
        self.up2 = nn.ConvTranspose2d(second, first, kernel, stride, padding=1)
        self.up1 = nn.ConvTranspose2d(first, channels, kernel, stride, padding=1)
        self.switches = switches

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures from their features."""
        maps, first, second = self.encoder.with_switches(pictures)
        maps = self.up2(unpooled(maps, second) if self.switches else maps).relu()
        restored: Tensor = self.up1(unpooled(maps, first) if self.switches else maps)
        return restored
