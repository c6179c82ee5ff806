"""A deconvolution decoder beside a classifier: features back to the picture, as regulariser."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from deconvviz.errors import SettingError
from deconvviz.models import StagedCNN
from deconvviz.training.encoding import Encoding, Pooled, chains, encode

__all__ = ["Decoder", "DecoderConfig", "Regulariser", "reconstruction_error"]

_TINY = 1e-8  # a variance below it is that of a constant


@dataclass(frozen=True)
class DecoderConfig:
    """What a decoder is, and what its reconstructions are compared with.

    Attributes:
        switches: Whether unpooling puts a value back where the maximum was. Without, what comes
            back must come from the features alone.
        tied: Whether the decoder has no kernels of its own, but the encoder's, transposed, as a
            deconvnet has; between stages it has a scale and a shift for each map.
        kernel: Side of the decoder's own kernels. 4, at a stride of 2, gives every pixel equally
            many contributions, so that no checkerboard is built in; where no side is doubled the
            next smaller odd number is taken.
        depth: Convolutions in each step of a decoder of its own; all but the last are 3x3.
        skip_last_stages: The last so many stages are left out: the decoder starts from what they are given,
            and the highest features are the classifier's alone.
        stages: Weights of the errors of what comes back to each stage's input, from the second
            stage (or, after a stem, the first) up, beside the picture's, which has 1; each error is
            divided by its target's variance. None: the picture alone counts.
        detach_targets: Whether these inputs, as targets, are held, so that no map can become easy to
            give back by becoming dull.
        inpaint: Whether what cutout hides is to come back too, from what is left to be seen (Pathak et
            al. 2016, arXiv:1604.07379); BatchNorm's running statistics are then of whole pictures.
        free_branch: A second encoder and decoder, that owe nothing to the classes, give a second
            picture, and the sum of both is compared (Robert et al. 2018, arXiv:1807.11407).
        rampup: The share of all steps over which the error's weight rises from 0.
        rampdown: The share of all steps, at the end, over which it falls to 0 in half a cosine.
    """

    switches: bool = False
    tied: bool = False
    kernel: int = 4
    depth: int = 1
    skip_last_stages: int = 0
    stages: tuple[float, ...] = ()
    detach_targets: bool = True
    inpaint: bool = False
    free_branch: bool = False
    rampup: float = 0.0
    rampdown: float = 0.0

    def __post_init__(self) -> None:
        if not (2 <= self.kernel <= 15 and 1 <= self.depth <= 8 and self.skip_last_stages >= 0):
            raise SettingError(
                f"no decoder of kernel {self.kernel}, depth {self.depth}, below {self.skip_last_stages}; a "
                "kernel is 2 to 15 pixels wide, a depth 1 to 8, below 0 or more"
            )
        numbers = (self.rampup, self.rampdown, *self.stages)
        if (
            not all(0 <= number < math.inf for number in numbers)
            or max(self.rampup, self.rampdown) > 1
        ):
            raise SettingError(
                f"rise {self.rampup}, fall {self.rampdown} and the stages' weights {self.stages} must be "
                "0 or more, rise and fall at most 1"
            )

    def share(self, progress: float) -> float:
        """The share of its weight that the error has when a share `progress` of steps is done."""
        up = 1.0 if progress >= self.rampup else math.exp(-5 * (1 - progress / self.rampup) ** 2)
        left = 1 - progress
        down = 1.0 if left >= self.rampdown else (1 - math.cos(math.pi * left / self.rampdown)) / 2
        return up * down


class Decoder(nn.Module):
    """Steps from the last stage's features back to the picture, one for each stage.

    Of a network whose features are pictures already, as of `ddnet`, it has no steps: these are what
    comes back.

    Args:
        network: The classifier whose stages are to be undone.
        size: (C, H, W) of the pictures.
        design: What decoder.

    Raises:
        SettingError: The design weighs stages there are not, or its kernel is too small.
    """

    def __init__(
        self, network: StagedCNN, size: tuple[int, int, int], design: DecoderConfig | None = None
    ) -> None:
        super().__init__()
        design = design or DecoderConfig()
        self.switches = design.switches
        stages = [] if network.gives_pictures else chains(network)
        if design.skip_last_stages and not design.skip_last_stages < len(stages):
            raise SettingError(
                f"a decoder from below the last {design.skip_last_stages} stages cannot be: this network has "
                f"{len(stages)} to undo"
            )
        stages = stages[: len(stages) - design.skip_last_stages]
        if len(design.stages) > max(len(stages) - 1, 0):
            raise SettingError(
                f"{len(design.stages)} weights of stages; what comes back to the picture passes "
                f"{max(len(stages) - 1, 0)} stages of this network"
            )
        shapes = _shapes(stages, size)
        self.steps = nn.ModuleList(
            _Tied(stages[i], shapes.maps[i].shape[1], last=i == 0)
            if design.tied
            else _Own(shapes, i, design)
            for i in range(len(stages) - 1, -1, -1)
        )

    def forward(self, encoding: Encoding) -> list[Tensor]:
        """What comes back: to the picture first, then to each later stage's input."""
        signal = encoding.maps[len(self.steps)] if self.steps else encoding.features
        back: list[Tensor] = []
        places = range(len(self.steps) - 1, -1, -1)
        for step, i in zip(self.steps, places, strict=True):
            signal = step(signal, encoding.pools[i], encoding.maps[i].shape)
            back.insert(0, signal)
        return back or [signal]


class _Own(nn.Module):
    """A step with kernels of its own: unpool, or enlarge while convolving.

    Not the last: BatchNorm and a rectifier follow, since it gives a stage's maps, which are
    rectified; the last gives the picture in normalised units.
    """

    def __init__(self, shapes: Encoding, stage: int, design: DecoderConfig) -> None:
        super().__init__()
        above, below = shapes.maps[stage + 1].shape, shapes.maps[stage].shape
        width, target, last = above[1], below[1], stage == 0
        before: list[nn.Module] = []
        for _ in range(design.depth - 1):
            conv = nn.Conv2d(width, width, 3, padding=1, bias=False)
            before += [conv, nn.BatchNorm2d(width), nn.ReLU()]
        self.before = nn.Sequential(*before)
        pools = shapes.pools[stage] if design.switches else []
        self.unpools = bool(pools)
        there = pools[0].size[-1] if pools else above[-1]
        self.up = _resizing(width, target, there, below[-1], design.kernel, bias=last)
        self.after = nn.Sequential() if last else nn.Sequential(nn.BatchNorm2d(target), nn.ReLU())

    def forward(self, signal: Tensor, pools: list[Pooled], size: torch.Size) -> Tensor:
        signal = self.before(signal)
        if self.unpools:
            for pool in reversed(pools):
                signal = _unpool(signal, pool)
        back: Tensor = self.after(_filled(self.up(signal), size))
        return back


def _resizing(
    width: int, target: int, there: int, wanted: int, kernel: int, *, bias: bool
) -> nn.Module:
    """A convolution that takes maps of side `there` to about `wanted`, by a whole factor."""
    odd = kernel - (kernel % 2 == 0)
    if wanted < there:
        return nn.Conv2d(width, target, odd, there // wanted, padding=odd // 2, bias=bias)
    stride = wanted // there
    side = kernel if stride > 1 else odd
    more = (stride - side) % 2
    padding = (side - stride + more) // 2
    if padding < 0:
        raise SettingError(
            f"a decoder's kernel of {kernel} pixels leaves holes where a side grows {stride} "
            f"times; ask for {stride} or more"
        )
    return nn.ConvTranspose2d(width, target, side, stride, padding, more, bias=bias)


class _Tied(nn.Module):
    """A step with the encoder's kernels: a stage undone layer by layer, as in a deconvnet.

    Rectifiers rectify what comes down, convolutions are transposed, BatchNorm is passed by; the
    scale and the shift that it would have had are learnt at the end, by a BatchNorm of its own.
    """

    def __init__(self, stage: nn.Module, target: int, *, last: bool) -> None:
        super().__init__()
        self._stage = (stage,)  # in a tuple, since its parameters are the network's, not this one's
        self.norm = nn.BatchNorm2d(target)
        self.last = last

    def forward(self, signal: Tensor, pools: list[Pooled], size: torch.Size) -> Tensor:
        left = list(pools)
        for layer in reversed(list(self._stage[0].children())):
            if isinstance(layer, nn.ReLU):
                signal = signal.relu()
            elif isinstance(layer, nn.MaxPool2d | nn.AvgPool2d):
                signal = _unpool(signal, left.pop()) if left else _spread(signal, layer)
            elif isinstance(layer, nn.Conv2d):
                signal = functional.conv_transpose2d(
                    signal,
                    layer.weight,
                    None,
                    layer.stride,
                    layer.padding,  # type: ignore[arg-type]  # of two numbers
                )
            elif isinstance(layer, nn.ConvTranspose2d):
                signal = functional.conv2d(
                    signal,
                    layer.weight,
                    None,
                    layer.stride,
                    layer.padding,
                )
        signal = _filled(signal, size)
        signal = self.norm(signal)
        return signal if self.last else signal.relu()


def _unpool(signal: Tensor, pool: Pooled) -> Tensor:
    """Each value back at its switch; the values of overlapping windows add up there."""
    empty = signal.new_zeros(pool.size).flatten(2)
    return empty.scatter_add(2, pool.switches.flatten(2), signal.flatten(2)).view(pool.size)


def _spread(signal: Tensor, pool: nn.MaxPool2d | nn.AvgPool2d) -> Tensor:
    """Every value at all the places it may have come from, or is the mean of."""
    side = int(pool.stride)  # type: ignore[arg-type]  # one number in all our networks
    return functional.interpolate(signal, scale_factor=side)


def _filled(signal: Tensor, size: torch.Size) -> Tensor:
    """Maps with zeros below and to the right, where a pool left out the last of an odd number."""
    rows, columns = size[-2] - signal.shape[-2], size[-1] - signal.shape[-1]
    return functional.pad(signal, (0, columns, 0, rows)) if rows or columns else signal


def _shapes(stages: Sequence[nn.Module], size: tuple[int, int, int]) -> Encoding:
    """An encoding of no picture, that has nothing but its shapes."""
    there = [copy.deepcopy(stage).to("meta").eval() for stage in stages]
    return encode(there, torch.empty(1, *size, device="meta"), switches=True)


class Regulariser(nn.Module):
    """A decoder, or two, and the error of what comes back.

    Args:
        network: The classifier beside which it stands.
        size: (C, H, W) of the pictures.
        design: What it is.

    Raises:
        SettingError: See `Decoder`.
    """

    def __init__(
        self, network: StagedCNN, size: tuple[int, int, int], design: DecoderConfig | None = None
    ) -> None:
        super().__init__()
        self.design = design or DecoderConfig()
        self.decoder = Decoder(network, size, self.design)
        self.free = (
            _Free(network, size, self.design)
            if self.design.free_branch and not network.gives_pictures
            else None
        )

    def back(self, encoding: Encoding) -> list[Tensor]:
        """What comes back, from both branches where there are two: see `Decoder.forward`."""
        back: list[Tensor] = self.decoder(encoding)
        if self.free is not None:
            back[0] = back[0] + self.free(encoding.maps[0])
        return back

    def forward(self, encoding: Encoding, targets: Encoding) -> Tensor:
        """The error, a number: of the picture, and of each stage by its weight.

        Args:
            encoding: Of the pictures, or of noisy ones.
            targets: Of the pictures as they are; the same, where there is no noise.
        """
        back = self.back(encoding)
        error = reconstruction_error(back[0], targets.maps[0])
        for weight, one, target in zip(
            self.design.stages, back[1:], targets.maps[1:], strict=False
        ):
            wanted = target.detach() if self.design.detach_targets else target
            distance = reconstruction_error(one, wanted)
            error = error + weight * distance / wanted.float().var().clamp_min(_TINY)
        return error


class _Free(nn.Module):
    """An encoder and a decoder like the network's, that owe nothing to the classes."""

    def __init__(
        self, network: StagedCNN, size: tuple[int, int, int], design: DecoderConfig
    ) -> None:
        super().__init__()
        twin = copy.deepcopy(network)
        for module in twin.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                module.reset_parameters()
        self.encoder = twin.stages
        self.decoder = Decoder(twin, size, design)

    def forward(self, images: Tensor) -> Tensor:
        """The picture that it gives of pictures."""
        stages = list(self.encoder.children())
        back: list[Tensor] = self.decoder(encode(stages, images, switches=self.decoder.switches))
        return back[0]


def reconstruction_error(back: Tensor, target: Tensor) -> Tensor:
    """Mean squared error per value; normalised pictures have a variance of 1, so of theirs."""
    return functional.mse_loss(back.float(), target.float())
