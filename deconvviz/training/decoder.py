"""A deconvolution decoder beside the classifier: features back to the picture, as regulariser."""

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional

from deconvviz.models import StagedCNN

__all__ = ["Decoder", "reconstruction_loss"]


class Decoder(nn.Sequential):
    """Transposed convolutions from the last stage's features, (N, C, h, w), to the input.

    Each step doubles the side with a 4x4 transposed convolution of stride 2 (the kernel is a
    multiple of the stride, so every pixel gets equally many contributions and no checkerboard is
    built in), BatchNorm and ReLU; the last one gives the picture in normalised units. It has no
    switches: what comes back must come from the features.

    Args:
        network: The classifier whose stages, each halving the side, are to be undone.
        channels: Channels of the picture.
    """

    def __init__(self, network: StagedCNN, channels: int = 3) -> None:
        widths = [_width(s) for name, s in network.stages.named_children() if name != "stem"]
        steps = []
        for i, width in enumerate(reversed(widths), 1):
            target = widths[-1 - i] if i < len(widths) else channels
            steps.append((f"step{i}", _step(width, target, last=i == len(widths))))
        super().__init__(OrderedDict(steps))


def _width(stage: nn.Module) -> int:
    return [m for m in stage.modules() if isinstance(m, nn.Conv2d)][-1].out_channels


def _step(width: int, target: int, *, last: bool) -> nn.Module:
    up = nn.ConvTranspose2d(width, target, 4, stride=2, padding=1, bias=last)
    return up if last else nn.Sequential(up, nn.BatchNorm2d(target), nn.ReLU())


def reconstruction_loss(reconstruction: Tensor, images: Tensor) -> Tensor:
    """Mean squared error per value, in units of the data's variance (the inputs are normalised)."""
    return functional.mse_loss(reconstruction.float(), images)
