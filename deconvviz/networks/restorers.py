"""Networks that restore pictures: pixels in [0, 1] in and out."""

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from deconvviz.networks.architecture import Depth, PictureToPicture, Width, named
from deconvviz.schema import validated


@validated
class SuperResolver(PictureToPicture):
    """FSRCNN: features of the small picture, then one layer that enlarges.

    Dong, Loy & Tang (2016), arXiv:1608.00367: a 5x5 convolution, a 1x1 one that shrinks the
    features, 3x3 ones between, a 1x1 one that expands them, and a transposed 9x9 convolution;
    PReLU after all but the last. Unlike there, they make what bicubic interpolation lacks (as VDSR,
    Kim et al. 2016, arXiv:1511.04587), which trains much faster.
    (N, C, H, W) -> (N, C, scale H, scale W).
    """

    scale: Annotated[int, Field(ge=2, le=4)] = 2
    """Factor on height and width."""
    last: Literal["transposed", "resize", "shuffle"] = "transposed"
    """Last layer: a transposed convolution; each pixel repeated and a convolution (Odena et al.
    2016); a convolution to scale * scale maps and a pixel shuffle (Shi et al. 2016,
    arXiv:1609.05158). At scale 3 all have equally many weights."""
    features: Width = 56
    """Width of the first and the last convolution."""
    shrunk: Width = 12
    """Width between."""
    layers: Depth = 4
    """Number of 3x3 convolutions."""

    @property
    def enlarges(self) -> int:
        """The scale."""
        return self.scale

    @property
    def reach(self) -> int:
        """Two pixels of the first kernel, one of each between, three of the last."""
        return 2 + self.layers + 3

    def network(self, channels: int, classes: int, size: int) -> nn.Module:  # noqa: ARG002
        """An untrained network for pictures of any size."""
        wide, thin = self.features, self.shrunk
        parts = {"extract": _prelu_conv(channels, wide, 5), "shrink": _prelu_conv(wide, thin, 1)}
        for i in range(1, self.layers + 1):
            parts[f"map{i}"] = _prelu_conv(thin, thin, 3)
        parts["expand"] = _prelu_conv(thin, wide, 1)
        net = SuperResolverNet(named(**parts), enlarging(wide, channels, self), self.scale)
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(layer.weight, a=0.25)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # they all have one
        for parameter in net.enlarge.parameters():  # it begins as bicubic interpolation, nearly
            nn.init.normal_(parameter, std=1e-3)
        return net


class SuperResolverNet(nn.Module):
    """The network of `SuperResolver`: `enlarge` of `features`, and an interpolation beside them."""

    def __init__(self, features: nn.Module, enlarge: nn.Module, scale: int) -> None:
        super().__init__()
        self.features, self.enlarge = features, enlarge
        self.interpolate = nn.Upsample(scale_factor=scale, mode="bicubic")

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1] -> (N, C, scale H, scale W), not clipped."""
        restored: Tensor = self.enlarge(self.features(pictures)) + self.interpolate(pictures)
        return restored


def enlarging(inputs: int, outputs: int, options: SuperResolver) -> nn.Module:
    """A layer that multiplies height and width by the scale; see `SuperResolver.last`."""
    scale, kind = options.scale, options.last
    if kind == "resize":
        repeat = nn.Upsample(scale_factor=scale, mode="nearest")
        return named(repeat=repeat, conv=nn.Conv2d(inputs, outputs, 9, padding=4))
    if kind == "shuffle":
        kernel = 5 if scale == 2 else 3  # nearest to the weights of a transposed 9x9 kernel
        conv = nn.Conv2d(inputs, outputs * scale**2, kernel, padding=kernel // 2)
        return named(conv=conv, shuffle=nn.PixelShuffle(scale))
    odd = (9 - scale) % 2
    return nn.ConvTranspose2d(
        inputs, outputs, 9, scale, padding=(9 - scale + odd) // 2, output_padding=odd
    )


@validated
class HalfResolution(PictureToPicture):
    """Residual blocks at half the resolution that predict what is to be added to the picture.

    As FFDNet (Zhang, Zuo & Zhang 2018, arXiv:1710.04026): 2x2 pixels become channels, 3x3
    convolutions follow, and channels become pixels again. Unlike there, the network does not
    get the noise level; its output is added to the picture, as DnCNN (Zhang et al. 2017,
    arXiv:1608.03981) subtracts its own; and pairs of convolutions are residual blocks without
    BatchNorm, as in EDSR (Lim et al. 2017, arXiv:1707.02921). (N, C, H, W) -> (N, C, H, W).
    """

    multiple: ClassVar[int] = 2

    width: Width = 64
    """Width of all convolutions but the last."""
    blocks: Depth = 5
    """Number of blocks, of two convolutions each; there is one more before and one after them."""
    dilated: bool = False
    """Spread the kernels of the blocks by 1, 2, 4 and 8 pixels in turn."""
    alpha: bool = False
    """Take RGBA: the last channel is 1 where pixels are known and 0 where they are missing."""

    def spread(self, block: int) -> int:
        """Dilation of a block's kernels; blocks count from 0."""
        return 2 ** (block % 4) if self.dilated else 1

    @property
    def reach(self) -> int:
        """Two pixels for each one that the kernels see, and one of the 2x2 themselves."""
        return 2 * (2 + 2 * sum(map(self.spread, range(self.blocks)))) + 1

    def network(self, channels: int, classes: int, size: int) -> nn.Module:  # noqa: ARG002
        """An untrained network for pictures of any even size."""
        return HalfResolutionNet(channels, channels - self.alpha, self)


class HalfResolutionNet(nn.Module):
    """The network of `HalfResolution`; its body is a plain sequence."""

    def __init__(self, inputs: int, outputs: int, options: HalfResolution) -> None:
        super().__init__()
        width = options.width
        blocks: dict[str, nn.Module] = {
            f"block{i}": ResidualBlock(width, options.spread(i - 1))
            for i in range(1, options.blocks + 1)
        }
        self.body = named(
            unshuffle=nn.PixelUnshuffle(2),
            first=nn.Conv2d(4 * inputs, width, 3, padding=1),
            **blocks,
            last=nn.Conv2d(width, 4 * outputs, 3, padding=1),
            shuffle=nn.PixelShuffle(2),
        )
        self.outputs = outputs

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1], H and W even -> restored, not clipped."""
        restored: Tensor = pictures[:, : self.outputs] + self.body(pictures)
        return restored


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))), with 3x3 kernels."""

    def __init__(self, width: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, 1, dilation, dilation)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, 1, dilation, dilation)
        for conv in (self.conv1, self.conv2):
            nn.init.kaiming_normal_(conv.weight)
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]  # they have one
        with torch.no_grad():
            self.conv2.weight *= 0.1  # a block begins near the identity, however many there are

    def forward(self, features: Tensor) -> Tensor:
        """(N, width, H, W) -> the same shape."""
        added: Tensor = features + self.conv2(self.relu(self.conv1(features)))
        return added


def _prelu_conv(inputs: int, outputs: int, kernel: int) -> nn.Module:
    conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    return named(conv=conv, prelu=nn.PReLU(outputs))
