"""A deconvolution decoder beside the classifier: features back to the picture, as regulariser."""

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional

from deconvviz.errors import SettingError
from deconvviz.models import StagedCNN

__all__ = ["Decoder", "reconstruction_loss"]


class Decoder(nn.Sequential):
    """Transposed convolutions from the last stage's features, (N, C, h, w), to the input.

    Each step doubles the side with a 4x4 transposed convolution of stride 2 (the kernel is a
    multiple of the stride, so every pixel gets equally many contributions and no checkerboard is
    built in), BatchNorm and ReLU; the last one gives the picture in normalised units. It has no
    switches: what comes back must come from the features.

    Of a network whose features are pictures already, as of `ddnet`, it is empty: these are what
    comes back.

    Args:
        network: The classifier whose stages, each halving the side, are to be undone.
        channels: Channels of the picture.

    Raises:
        SettingError: The stages do not each halve the side.
    """

    def __init__(self, network: StagedCNN, channels: int = 3) -> None:
        if network.gives_pictures:
            super().__init__()
            return
        widths = [_width(s) for name, s in network.stages.named_children() if name != "stem"]
        steps = []
        for i, width in enumerate(reversed(widths), 1):
            target = widths[-1 - i] if i < len(widths) else channels
            steps.append((f"step{i}", _step(width, target, last=i == len(widths))))
        super().__init__(OrderedDict(steps))
        pools = [m for m in network.stages.modules() if isinstance(m, nn.MaxPool2d)]
        ups = [m for m in network.stages.modules() if isinstance(m, nn.ConvTranspose2d)]
        if ups or len(pools) != len(widths):
            raise SettingError(
                "a decoder undoes stages that each halve the picture's side; this network's do "
                "not, so train it without (--deconv-weight 0)"
            )


def _width(stage: nn.Module) -> int:
    return [m for m in stage.modules() if isinstance(m, nn.Conv2d)][-1].out_channels


def _step(width: int, target: int, *, last: bool) -> nn.Module:
    up = nn.ConvTranspose2d(width, target, 4, stride=2, padding=1, bias=last)
    return up if last else nn.Sequential(up, nn.BatchNorm2d(target), nn.ReLU())


def reconstruction_loss(reconstruction: Tensor, images: Tensor) -> Tensor:
    """Mean squared error per value, in units of the data's variance (the inputs are normalised)."""
    return functional.mse_loss(reconstruction.float(), images)
