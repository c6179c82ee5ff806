"""Networks that find objects: heat maps of their centres, from a decoder or without one."""

from typing import ClassVar, Literal

from torch import Tensor, nn

from deconvviz.networks.architecture import Architecture
from deconvviz.networks.segmenters import convolutions, doubling
from deconvviz.schema import validated

_WIDTHS = (24, 48, 96)
_PLAIN_WIDTH = 68  # gives the plain head as many parameters as the decoder, within one percent

REGRESSED = 3
"""Maps beside those of the classes: offset of the centre in y and x, log of the radius."""


@validated
class Detector(Architecture):
    """Heat maps of centres, as Zhou, Wang & Krähenbühl (2019), arXiv:1904.07850.

    (N, C, H, W) -> (N, classes + 3, H / stride, W / stride): a logit of each class; the offset of
    the centre from the middle of its cell in y and x, in cells; log of the radius in pixels. The
    encoder has 3x3 convolutions with BatchNorm and ReLU at 1/2, 1/4 and 1/8 of the side.
    """

    multiple: ClassVar[int] = 8

    head: Literal["decoder", "plain"] = "decoder"
    """decoder: two transposed convolutions lead back to 1/2 of the side; plain: two convolutions at
    1/8. Both have equally many parameters."""

    @property
    def stride(self) -> int:
        """Side of a cell of the output, in pixels."""
        return 2 if self.head == "decoder" else 8

    def network(self, channels: int, classes: int, size: int) -> nn.Module:  # noqa: ARG002
        """An untrained network for pictures whose sides are multiples of 8."""
        return DetectorNet(channels, classes, decoder=self.head == "decoder")


class DetectorNet(nn.Module):
    """The network of `Detector`."""

    def __init__(self, channels: int, classes: int, *, decoder: bool) -> None:
        super().__init__()
        first, second, third = _WIDTHS
        self.encoder = nn.Sequential(
            convolutions(channels, first, first, stride=2),
            nn.MaxPool2d(2),
            convolutions(first, second, second),
            nn.MaxPool2d(2),
            convolutions(second, third, third),
        )
        if decoder:
            self.head = nn.Sequential(
                doubling(third, second),
                convolutions(second, second),
                doubling(second, first),
                convolutions(first, first),
            )
        else:
            self.head = convolutions(third, _PLAIN_WIDTH, third)
        self.maps = nn.Conv2d(first if decoder else third, classes + REGRESSED, 1)
        # Centres are rare: the first probabilities are 1 in 10, as in Lin et al. (2017,
        # arXiv:1708.02002), so that the empty cells do not drown the others in the first steps.
        nn.init.zeros_(self.maps.bias)  # type: ignore[arg-type]  # it has one
        nn.init.constant_(self.maps.bias[:classes], -2.2)  # type: ignore[index]

    def forward(self, pictures: Tensor) -> Tensor:
        """Maps of the classes, offsets and radii; see `Detector`."""
        maps: Tensor = self.maps(self.head(self.encoder(pictures)))
        return maps
