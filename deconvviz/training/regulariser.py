"""A deconvolution decoder beside a classifier: its reconstruction error as a regulariser."""

import copy
import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from deconvviz.errors import SettingError
from deconvviz.models import StagedCNN
from deconvviz.schema import Count, NonNegative, UnitInterval, validated
from deconvviz.training.encoder import EncoderOutput, PoolSwitches, encode

_TINY = 1e-8  # a variance below it is that of a constant


@validated
class DecoderConfig:
    """A decoder and the targets of its reconstructions."""

    switches: bool = False
    """Unpool to the positions of the maxima; else the decoder sees features only."""
    tied: bool = False
    """Use the encoder's kernels, transposed, as a deconvnet does; only a scale and a shift per map
    are learnt."""
    kernel: Annotated[int, Field(ge=2, le=15)] = 4
    """Side of the decoder's own kernels. 4 at stride 2 gives every pixel equally many
    contributions, so no checkerboard; without a stride the next smaller odd number is used."""
    depth: Annotated[int, Field(ge=1, le=8)] = 1
    """Convolutions in each step of an untied decoder; all but the last are 3x3."""
    skip_last_stages: Count = 0
    """Number of last stages left to the classifier alone: the decoder starts from their input."""
    stages: tuple[NonNegative, ...] = ()
    """Error weights for the inputs of later stages, from the second stage (after a stem, the first)
    up; the picture's is 1. Each error is divided by its target's variance."""
    detach_targets: bool = True
    """Stop gradients at the targets of `decoder.stages`, so that no map becomes constant to be easy
    to reconstruct."""
    inpaint: bool = False
    """Reconstruct what cutout hides (Pathak et al. 2016, arXiv:1604.07379); BatchNorm's running
    statistics are then of pictures without cutout."""
    free_branch: bool = False
    """Add the reconstruction of a second encoder and decoder that see no classes, and reconstruct
    each input of their own stages by the same weights (Robert et al. 2018, arXiv:1807.11407)."""
    balance: bool = False
    """With a free branch: of the sum's error, the gradient goes only into the branch that alone
    reconstructs the picture worse, so that neither does all (Robert et al. 2018)."""
    other_targets: bool = False
    """Reconstruct another picture of the batch: a control that has the decoder, the pictures and
    the gradients, but nothing to learn about a picture from its features."""
    rampup: UnitInterval = 0.0
    """Fraction of all steps over which `deconv_weight` rises from 0."""
    rampdown: UnitInterval = 0.0
    """Fraction of all steps, at the end, over which `deconv_weight` falls to 0 by half a cosine."""

    def __post_init__(self) -> None:
        if self.balance and not self.free_branch:
            raise SettingError("decoder.balance needs decoder.free_branch=true, two to balance")

    def weight_scale(self, progress: float) -> float:
        """Factor on the error's weight at a fraction `progress` of all steps."""
        up = 1.0 if progress >= self.rampup else math.exp(-5 * (1 - progress / self.rampup) ** 2)
        left = 1 - progress
        down = 1.0 if left >= self.rampdown else (1 - math.cos(math.pi * left / self.rampdown)) / 2
        return up * down


class Decoder(nn.Module):
    """One step for each stage, from the last stage's features back to the picture.

    For a network whose features are pictures already, such as `ddnet`, it has no steps.

    Args:
        network: The classifier whose stages are undone.
        input_size: (C, H, W) of the pictures.
        config: The kind of decoder.

    Raises:
        SettingError: The config skips or weighs more stages than there are, or its kernel is too
            small.
    """

    def __init__(
        self,
        network: StagedCNN,
        input_size: tuple[int, int, int],
        config: DecoderConfig | None = None,
    ) -> None:
        super().__init__()
        config = config or DecoderConfig()
        self.switches = config.switches
        stages = [] if network.features_are_images else list(network.stages)
        skipped = config.skip_last_stages
        if skipped and skipped >= len(stages):
            raise SettingError(
                f"decoder.skip_last_stages must be < {len(stages)}, the stages of this network, "
                f"got {skipped}"
            )
        stages = stages[: len(stages) - skipped]
        inner = max(len(stages) - 1, 0)
        if len(config.stages) > inner:
            raise SettingError(
                f"decoder.stages must have at most {inner} weights for this network, "
                f"got {len(config.stages)}"
            )
        # on the meta device: of this only the shapes are used
        copies = [copy.deepcopy(stage).to("meta").eval() for stage in stages]
        shapes = encode(copies, torch.empty(1, *input_size, device="meta"), switches=True)
        self.steps = nn.ModuleList(
            _TiedStep(stages[i], shapes.maps[i].shape[1], last=i == 0)
            if config.tied
            else _LearnedStep(shapes, i, config)
            for i in range(len(stages) - 1, -1, -1)
        )

    def forward(self, encoded: EncoderOutput) -> list[Tensor]:
        """The reconstructed picture, then the reconstructed input of each later stage."""
        x = encoded.maps[len(self.steps)] if self.steps else encoded.features
        outputs: list[Tensor] = []
        for step, i in zip(self.steps, range(len(self.steps) - 1, -1, -1), strict=True):
            x = step(x, encoded.pools[i], encoded.maps[i].shape)
            outputs.insert(0, x)
        return outputs or [x]


class _LearnedStep(nn.Module):
    """A step with its own kernels: unpool, or upsample by a transposed convolution.

    BatchNorm and a rectifier follow, because a stage's input is rectified; not in the last step,
    which gives the picture in normalised units.
    """

    def __init__(self, shapes: EncoderOutput, stage: int, config: DecoderConfig) -> None:
        super().__init__()
        source, target = shapes.maps[stage + 1].shape, shapes.maps[stage].shape
        width, last = source[1], stage == 0
        before: list[nn.Module] = []
        for _ in range(config.depth - 1):
            conv = nn.Conv2d(width, width, 3, padding=1, bias=False)
            before += [conv, nn.BatchNorm2d(width), nn.ReLU()]
        self.before = nn.Sequential(*before)
        pools = shapes.pools[stage] if config.switches else []
        self.unpools = bool(pools)
        side = pools[0].input_shape[-1] if pools else source[-1]
        self.up = _resizing(width, target[1], side, target[-1], config.kernel, bias=last)
        norm = [] if last else [nn.BatchNorm2d(target[1]), nn.ReLU()]
        self.after = nn.Sequential(*norm)

    def forward(self, x: Tensor, pools: list[PoolSwitches], shape: torch.Size) -> Tensor:
        x = self.before(x)
        if self.unpools:
            for pool in reversed(pools):
                x = _unpool(x, pool)
        output: Tensor = self.after(_pad(self.up(x), shape))
        return output


def _resizing(
    width: int, target: int, side: int, target_side: int, kernel: int, *, bias: bool
) -> nn.Module:
    """A convolution that takes maps of one side to about another, by a whole factor."""
    odd = kernel - (kernel % 2 == 0)
    if target_side < side:
        return nn.Conv2d(width, target, odd, side // target_side, padding=odd // 2, bias=bias)
    stride = target_side // side
    size = kernel if stride > 1 else odd
    output_padding = (stride - size) % 2
    padding = (size - stride + output_padding) // 2
    if padding < 0:
        raise SettingError(
            f"decoder.kernel must be >= {stride} for this network, whose stage reduces the side "
            f"{stride} times, got {kernel}"
        )
    return nn.ConvTranspose2d(width, target, size, stride, padding, output_padding, bias=bias)


class _TiedStep(nn.Module):
    """A step with the encoder's kernels: a stage undone layer by layer, as in a deconvnet.

    Rectifiers rectify, convolutions are transposed, BatchNorm is skipped; one BatchNorm at the end
    learns the scale and the shift.
    """

    def __init__(self, stage: nn.Module, target: int, *, last: bool) -> None:
        super().__init__()
        self._stage = (stage,)  # in a tuple: its parameters are the network's, not this module's
        self.norm = nn.BatchNorm2d(target)
        self.last = last

    def forward(self, x: Tensor, pools: list[PoolSwitches], shape: torch.Size) -> Tensor:
        remaining = list(pools)
        for layer in reversed(list(self._stage[0].children())):
            if isinstance(layer, nn.ReLU):
                x = x.relu()
            elif isinstance(layer, nn.MaxPool2d | nn.AvgPool2d) and remaining:
                x = _unpool(x, remaining.pop())
            elif isinstance(layer, nn.MaxPool2d | nn.AvgPool2d):
                # each value at every position of its window
                stride = int(layer.stride)  # type: ignore[arg-type]  # one number in our networks
                x = functional.interpolate(x, scale_factor=stride)
            elif isinstance(layer, nn.Conv2d):
                padding: tuple[int, ...] = layer.padding  # type: ignore[assignment]  # no text
                x = functional.conv_transpose2d(x, layer.weight, None, layer.stride, padding)
            elif isinstance(layer, nn.ConvTranspose2d):
                x = functional.conv2d(x, layer.weight, None, layer.stride, layer.padding)
        x = self.norm(_pad(x, shape))
        return x if self.last else x.relu()


def _unpool(x: Tensor, pool: PoolSwitches) -> Tensor:
    """Each value at its switch; where windows overlap, values add up."""
    zeros = x.new_zeros(pool.input_shape).flatten(2)
    return zeros.scatter_add(2, pool.indices.flatten(2), x.flatten(2)).view(pool.input_shape)


def _pad(x: Tensor, shape: torch.Size) -> Tensor:
    """Zeros below and to the right, where a pool dropped the last of an odd number."""
    rows, columns = shape[-2] - x.shape[-2], shape[-1] - x.shape[-1]
    return functional.pad(x, (0, columns, 0, rows)) if rows or columns else x


class Regulariser(nn.Module):
    """A decoder, optionally with a free branch, and its reconstruction error.

    Args:
        network: The classifier beside it.
        input_size: (C, H, W) of the pictures.
        config: The kind of decoder.

    Raises:
        SettingError: See `Decoder`.
    """

    def __init__(
        self,
        network: StagedCNN,
        input_size: tuple[int, int, int],
        config: DecoderConfig | None = None,
    ) -> None:
        super().__init__()
        self.config = config or DecoderConfig()
        self.decoder = Decoder(network, input_size, self.config)
        self.free = (
            _FreeBranch(network, input_size, self.config)
            if self.config.free_branch and not network.features_are_images
            else None
        )

    def reconstruct(self, encoded: EncoderOutput) -> list[Tensor]:
        """The reconstructions of both branches; see `Decoder.forward`."""
        outputs: list[Tensor] = self.decoder(encoded)
        if self.free is not None:
            outputs[0] = outputs[0] + self.free.decoder(self.free.encode(encoded.maps[0]))[0]
        return outputs

    def forward(self, encoded: EncoderOutput, targets: EncoderOutput) -> Tensor:
        """The error, a scalar: the picture's, and each stage's by its weight.

        Args:
            encoded: Maps of the input.
            targets: Maps of the clean pictures; the same without noise and cutout.
        """
        goals = [self._target(maps) for maps in targets.maps]
        outputs: list[Tensor] = self.decoder(encoded)
        picture, error = outputs[0], self._stages_error(outputs, goals)
        if self.free is not None:
            own = self.free.encode(encoded.maps[0])
            free = self.free.decoder(own)
            picture = (
                _balanced(picture, free[0], goals[0])
                if self.config.balance
                else (picture + free[0])
            )
            error = error + self._stages_error(free, [self._target(maps) for maps in own.maps])
        return reconstruction_error(picture, goals[0]) + error

    def _target(self, maps: Tensor) -> Tensor:
        return maps.roll(1, 0) if self.config.other_targets else maps

    def _stages_error(self, outputs: list[Tensor], goals: list[Tensor]) -> Tensor:
        """The weighted error of each later stage's input, relative to its variance."""
        error = outputs[0].new_zeros((), dtype=torch.float32)
        for weight, output, target in zip(self.config.stages, outputs[1:], goals[1:], strict=False):
            goal = target.detach() if self.config.detach_targets else target
            distance = reconstruction_error(output, goal)
            error = error + weight * distance / goal.float().var().clamp_min(_TINY)
        return error


class _FreeBranch(nn.Module):
    """An encoder and a decoder like the network's, without a classifier."""

    def __init__(
        self, network: StagedCNN, input_size: tuple[int, int, int], config: DecoderConfig
    ) -> None:
        super().__init__()
        twin = copy.deepcopy(network)
        for module in twin.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                module.reset_parameters()
        self.encoder = twin.stages
        self.decoder = Decoder(twin, input_size, config)

    def encode(self, images: Tensor) -> EncoderOutput:
        """The maps of its own stages."""
        return encode(self.encoder, images, switches=self.decoder.switches)


def _balanced(first: Tensor, second: Tensor, target: Tensor) -> Tensor:
    """The sum of two reconstructions; gradients reach the one that alone is worse, per picture."""
    with torch.no_grad():
        errors = [
            (one.float() - target.float()).square().flatten(1).mean(1) for one in (first, second)
        ]
        first_worse = (errors[0] > errors[1])[:, None, None, None]
    return torch.where(first_worse, first + second.detach(), first.detach() + second)


def reconstruction_error(output: Tensor, target: Tensor) -> Tensor:
    """Mean squared error per value, relative to the variance of normalised pictures, which is 1."""
    return functional.mse_loss(output.float(), target.float())
