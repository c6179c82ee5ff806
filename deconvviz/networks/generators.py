"""Networks that generate pictures: a convolutional variational auto-encoder."""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from deconvviz.errors import UnknownModelError
from deconvviz.networks.architecture import Architecture, Width, named
from deconvviz.schema import validated

Up = Literal["transposed4", "transposed3", "resize"]


@validated
class Vae(Architecture):
    """Kingma & Welling (2014), arXiv:1312.6114, of convolutions and transposed convolutions.

    Down, 4x4 convolutions with a stride of 2 halve the side, twice or, where it can be divided by
    8, three times; a linear layer gives mean and log variance of the latent. Up, a linear layer
    makes maps, and steps double the side. (N, C, H, W) pixels in [0, 1] -> the same, from the
    latent's mean.
    """

    latent: Width = 32
    """Dimensions of the latent."""
    width: Annotated[int, Field(ge=1, le=256)] = 32
    """Width of the first convolution; each later one has twice as many, and back."""
    up: Up = "transposed4"
    """Steps up: transposed convolutions of 4x4 or of 3x3 with a stride of 2, or each pixel repeated
    and a 3x3 convolution. 3x3 kernels with a stride of 2 give pixels 1, 2 or 4 contributions, which
    draws a checkerboard (Odena et al. 2016)."""

    def network(self, channels: int, classes: int, size: int) -> nn.Module:  # noqa: ARG002
        """An untrained network for pictures of this size alone.

        Raises:
            UnknownModelError: The side is no multiple of 4.
        """
        if size % 4:
            raise UnknownModelError(f"`vae` needs pictures of a multiple of 4 pixels, got {size}")
        return VaeNet(self, channels, size)


def doubling_step(inputs: int, outputs: int, up: Up, *, last: bool) -> nn.Module:
    """A step that doubles the side; BatchNorm and ReLU follow, but not the last."""
    layers: dict[str, nn.Module] = {}
    if up == "resize":
        layers["repeat"] = nn.Upsample(scale_factor=2, mode="nearest")
        layers["conv"] = nn.Conv2d(inputs, outputs, 3, padding=1)
    elif up == "transposed3":
        layers["up"] = nn.ConvTranspose2d(inputs, outputs, 3, 2, padding=1, output_padding=1)
    else:
        layers["up"] = nn.ConvTranspose2d(inputs, outputs, 4, 2, padding=1)
    if not last:
        layers |= {"bn": nn.BatchNorm2d(outputs), "relu": nn.ReLU()}
    return named(**layers)


class VaeNet(nn.Module):
    """The network of `Vae`.

    Attributes:
        latent: Dimensions of the latent.
        maps: (channels, height, width) of the decoder's lowest maps.
        centre: (latent,) mean of the latents of training pictures, zero before it is fitted.
        spread: (latent, latent) lower Cholesky factor of their covariance, at first the identity.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, options: Vae, channels: int, size: int) -> None:
        super().__init__()
        levels = 2 if size % 8 else 3
        widths = [options.width * 2**i for i in range(levels)]
        side = size >> levels
        down: dict[str, nn.Module] = {}
        for i, (source, width) in enumerate(zip([channels, *widths], widths, strict=False), 1):
            down[f"conv{i}"] = nn.Conv2d(source, width, 4, 2, padding=1, bias=False)
            down |= {f"bn{i}": nn.BatchNorm2d(width), f"relu{i}": nn.ReLU()}
        units = widths[-1] * side**2
        self.latent, self.maps = options.latent, (widths[-1], side, side)
        self.down = named(**down, flatten=nn.Flatten())
        self.register_buffer("centre", torch.zeros(options.latent))
        self.register_buffer("spread", torch.eye(options.latent))
        self.statistics = nn.Linear(units, 2 * options.latent)
        self.widen = named(linear=nn.Linear(options.latent, units), relu=nn.ReLU())
        outputs = [channels, *widths[:-1]]
        steps = zip(reversed(widths), reversed(outputs), strict=True)
        self.up = named(
            **{
                f"step{i}": doubling_step(source, width, options.up, last=i == levels)
                for i, (source, width) in enumerate(steps, 1)
            }
        )

    def encode(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the latent, (N, latent) each."""
        mean, log_variance = self.statistics(self.down(pictures)).chunk(2, 1)
        return mean, log_variance

    def decode(self, latents: Tensor) -> Tensor:
        """(N, latent) -> pixels in [0, 1]."""
        return self.logits(latents).sigmoid()

    def logits(self, latents: Tensor) -> Tensor:
        """(N, latent) -> pixels before the sigmoid, for a loss."""
        return self.draw(self.widen(latents).view(-1, *self.maps))

    def draw(self, maps: Tensor) -> Tensor:
        """The decoder's lowest maps, (N, *maps) -> pixels before the sigmoid."""
        drawn: Tensor = self.up(maps)
        return drawn

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures from the means of their latents."""
        return self.decode(self.encode(pictures)[0])
