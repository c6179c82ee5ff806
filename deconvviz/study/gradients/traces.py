"""One network in training, its gradients layer by layer, and the small file that keeps them."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from deconvviz.errors import StudyError
from deconvviz.io.checkpoint import versions
from deconvviz.io.data import Dataset, normalise
from deconvviz.io.files import write_atomically
from deconvviz.models import StagedCNN, ddnet, plain
from deconvviz.training.device import device_name
from deconvviz.training.encoder import encode, encoder_stages
from deconvviz.training.regulariser import Regulariser

__all__ = [
    "FORMS",
    "PROBE",
    "STARTS",
    "Arm",
    "Moment",
    "Setting",
    "Trace",
    "finite",
    "follow",
    "he_start",
    "layer_weights",
    "measure",
    "network",
]

FORMS = {6: ((1, 2, 4), 1), 12: ((1, 2, 4), 2), 20: ((1, 1, 2, 2, 4), 2)}
"""Depth -> the widths of `ddnet`'s stages, in multiples of the first, and convolutions in each."""

STARTS = ("pytorch", "he")
"""How weights begin."""

PROBE = 256
"""Pictures on which gradients are measured, the same ones in every run and at every step."""

_MOMENTUM = 0.9


@dataclass(frozen=True)
class Arm:
    """What is compared.

    Attributes:
        architecture: "plain" or "ddnet".
        depth: Layers with weights between the picture and the head, one of `FORMS`.
        norm: Whether BatchNorm follows each of them; the one that gives `ddnet`'s picture has none.
        deconv_weight: Of the reconstruction error beside the cross-entropy; 0 is this alone.
    """

    architecture: str
    depth: int
    norm: bool
    deconv_weight: float = 0.0

    def file_name(self, seed: int) -> str:
        """Of its run with this seed."""
        norm = "norm" if self.norm else "bare"
        return f"{self.architecture}-{self.depth}-{norm}-{self.deconv_weight:g}-{seed}.json"


@dataclass(frozen=True)
class Setting:
    """What all runs share.

    Attributes:
        data: Title of the pictures.
        fingerprint: Of pictures and labels.
        pictures: How many there are.
        mean: Of each channel, subtracted from pixels in [0, 1].
        std: Likewise, the divisor after it.
        width: Maps of the first stage.
        start: The initial weights: "pytorch" for its own, or "he".
        rate: Of SGD with momentum 0.9, the same at every step.
        batch_size: Pictures in a step, drawn anew from all.
        steps: Updates after which gradients are measured, rising; the last one ends the run.
    """

    data: str
    fingerprint: str
    pictures: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    width: int
    start: str
    rate: float
    batch_size: int
    steps: tuple[int, ...]


@dataclass(frozen=True)
class Moment:
    """A network's gradients at one step: of L layers, from the picture to the logits.

    Attributes:
        entropy: Cross-entropy, in nats.
        error: Of the picture that comes back, in normalised units; NaN where none does.
        gradients: (L) Frobenius norms of the cross-entropy's gradient by each layer's weights.
        weights: (L) likewise of the weights themselves.
        cosines: (L) between the gradients of cross-entropy and error; NaN where one has none.
    """

    entropy: float
    error: float
    gradients: tuple[float, ...]
    weights: tuple[float, ...]
    cosines: tuple[float, ...]


@dataclass(frozen=True)
class Trace:
    """One training run: an arm and a seed, and what was measured on the way.

    Attributes:
        arm: What network, trained on what.
        seed: Of the initial weights and of the batches.
        layers: The names of the L layers; the last one is the head.
        moments: Step -> what was measured then; none from a divergence on.
        diverged: After how many updates the loss was no finite number for the first time, or None.
        setting: What it shares with the other runs.
        versions: Of Python and the libraries.
        device: What it ran on.
    """

    arm: Arm
    seed: int
    layers: tuple[str, ...]
    moments: Mapping[int, Moment]
    diverged: int | None
    setting: Setting
    versions: Mapping[str, str]
    device: str

    @property
    def last(self) -> int:
        """The last step at which there was something to measure."""
        return max(self.moments)

    def ratio(self, step: int) -> float:
        """The first layer's gradient norm over that of the last one below the head.

        0 where no gradient comes through at all, because some layer gives nothing but zeros.
        """
        norms = self.moments[step].gradients
        return norms[0] / norms[self.arm.depth - 1] if norms[0] else 0.0

    def table(self, name: str) -> Tensor:
        """(L, S) float64: one field of the moments by layer and step, NaN after a divergence."""
        missing = (math.nan,) * len(self.layers)
        columns = [
            getattr(self.moments[step], name) if step in self.moments else missing
            for step in self.setting.steps
        ]
        return torch.tensor(columns, dtype=torch.float64).T

    def write(self, folder: Path) -> None:
        """Write it into `folder`, at once or not at all; what was measured, to six digits."""
        plain = finite(asdict(self))
        plain["moments"] = _short(plain["moments"])
        text = json.dumps(plain, separators=(",", ":"))
        write_atomically(folder / self.arm.file_name(self.seed), text + "\n")

    @classmethod
    def read(cls, path: Path) -> "Trace":
        """Read one file.

        Raises:
            StudyError: It is no such file.
        """
        try:
            content = json.loads(path.read_text("utf-8"))
            content["arm"] = Arm(**content["arm"])
            lists = {k: tuple(v) for k, v in content["setting"].items() if isinstance(v, list)}
            content["setting"] = Setting(**{**content["setting"], **lists})
            content["layers"] = tuple(content["layers"])
            moments = content["moments"].items()
            content["moments"] = {int(step): _moment(fields) for step, fields in moments}
            return cls(**content)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            raise StudyError(
                f"{path} is no trace of gradients that can be read; remove it, and run again"
            ) from None


def finite(value: Any) -> Any:
    """Plain values with null for each number that JSON cannot hold."""
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _short(value: Any) -> Any:
    """Plain values with six digits of each number that has a fraction, so that files stay small."""
    if isinstance(value, dict):
        return {key: _short(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_short(one) for one in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _moment(fields: Mapping[str, Any]) -> Moment:
    def number(value: float | None) -> float:
        return math.nan if value is None else float(value)

    def row(name: str) -> tuple[float, ...]:
        return tuple(number(value) for value in fields[name])

    return Moment(
        entropy=number(fields["entropy"]),
        error=number(fields["error"]),
        gradients=row("gradients"),
        weights=row("weights"),
        cosines=row("cosines"),
    )


def network(arm: Arm, channels: int, classes: int, size: int, width: int) -> StagedCNN:
    """An untrained network of an arm.

    `ddnet` goes down and comes back; the plain network has as many layers of each width, all of
    them on the way down, with as many pools, and its dense layer reads the last maps.

    Args:
        arm: Its architecture, depth and norm.
        channels: Of the pictures.
        classes: How many logits.
        size: The pictures' side, which each of the pools must be able to halve.
        width: Maps of the first stage.
    """
    multiples, convolutions = FORMS[arm.depth]
    widths = tuple(width * multiple for multiple in multiples)
    if arm.architecture == "ddnet":
        return ddnet(channels, classes, size, widths, convolutions, arm.norm)
    made = plain(channels, classes, size, [(w,) * (2 * convolutions) for w in widths], ())
    return made if arm.norm else _without_norm(made)


def _without_norm(made: StagedCNN) -> StagedCNN:
    """The same network without BatchNorm; its convolutions have biases instead."""
    stages: list[nn.Module] = []
    for stage in made.stages:
        bare = nn.Sequential()
        for name, layer in stage.named_children():
            if isinstance(layer, nn.Conv2d):
                layer = nn.Conv2d(layer.in_channels, layer.out_channels, 3, padding=1)
            if not isinstance(layer, nn.BatchNorm2d):
                bare.add_module(name, layer)
        stages.append(bare)
    return StagedCNN(stages, made.head)


@torch.no_grad()
def he_start(network: nn.Module) -> None:
    """Draw kernels so that rectified signals keep their size from layer to layer.

    He et al. (2015), arXiv:1502.01852: variance 2 over the number of values that one output sums;
    for a transposed convolution of stride s that is one in s^2 of each kernel's. PyTorch's own
    variance for a convolution is a sixth of that. Biases begin at zero.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            kernel, stride = module.weight[0, 0].numel(), math.prod(module.stride)
            up = isinstance(module, nn.ConvTranspose2d)
            summed = module.in_channels * kernel / (stride if up else 1)
            module.weight.normal_(0, math.sqrt(2 / summed))
            if module.bias is not None:
                module.bias.zero_()


def layer_weights(network: nn.Module) -> dict[str, Tensor]:
    """The name of each layer and its weights, without biases and BatchNorm, in order."""
    kinds = nn.Conv2d, nn.ConvTranspose2d, nn.Linear
    return {name: m.weight for name, m in network.named_modules() if isinstance(m, kinds)}


def measure(entropy: Tensor, error: Tensor | None, weights: Sequence[Tensor]) -> Moment:
    """The gradients of two losses by each layer's weights, told by norms and cosines.

    Args:
        entropy: The first loss; norms are of its gradients.
        error: The second, which need not depend on every layer, or None.
        weights: Of L layers.
    """
    first = torch.autograd.grad(entropy, weights, retain_graph=True)
    second: Sequence[Tensor | None] = [None] * len(weights)
    if error is not None:
        second = torch.autograd.grad(error, weights, retain_graph=True, allow_unused=True)
    return Moment(
        entropy=float(entropy.detach()),
        error=math.nan if error is None else float(error.detach()),
        gradients=tuple(_norm(gradient) for gradient in first),
        weights=tuple(_norm(weight) for weight in weights),
        cosines=tuple(_cosine(a, b) for a, b in zip(first, second, strict=True)),
    )


def _norm(tensor: Tensor) -> float:
    # in double precision, because the squares of what has nearly vanished underflow
    return float(tensor.detach().double().norm())


def _cosine(first: Tensor, second: Tensor | None) -> float:
    lengths = 0.0 if second is None else _norm(first) * _norm(second)
    if second is None or not 0 < lengths < math.inf:
        return math.nan
    return float((first.double() * second.double()).sum()) / lengths


def follow(
    arm: Arm,
    seed: int,
    training: Dataset,
    setting: Setting,
    tell: Callable[[int], None] | None = None,
) -> Trace:
    """Train one network, and measure its gradients on the way.

    BatchNorm is in training mode throughout; pictures are not augmented.

    Args:
        arm: What network, trained on what.
        seed: Of initial weights and batches.
        training: uint8 pictures, on the device that is to train.
        setting: How.
        tell: Called with the number of updates that are done, after each.
    """
    losses = _Losses(arm, seed, training, setting)
    weights = layer_weights(losses.network)
    generator = torch.Generator().manual_seed(seed)
    probe = torch.randperm(len(training), generator=torch.Generator().manual_seed(0))[:PROBE]
    optimiser = torch.optim.SGD(losses.parameters(), lr=setting.rate, momentum=_MOMENTUM)
    moments: dict[int, Moment] = {}
    diverged = None
    for step in range(setting.steps[-1] + 1):
        batch = torch.randint(len(training), (setting.batch_size,), generator=generator)
        entropy, error = losses(batch)
        loss = entropy if error is None else entropy + arm.deconv_weight * error
        if not loss.isfinite():
            diverged = step
            break
        if step in setting.steps:
            moments[step] = losses.measured(probe, list(weights.values()))
        if step == setting.steps[-1]:
            break
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        if tell:
            tell(step + 1)
    device = device_name(training.images.device)
    return Trace(arm, seed, tuple(weights), moments, diverged, setting, versions(), device)


class _Losses(nn.Module):
    """A network with its pictures: what it loses on some of them."""

    def __init__(self, arm: Arm, seed: int, training: Dataset, setting: Setting) -> None:
        super().__init__()
        self.data, self.mean, self.std = training, setting.mean, setting.std
        channels, size = training.images.shape[1], training.images.shape[-1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = network(arm, channels, len(training.classes), size, setting.width)
            if setting.start == "he":
                he_start(self.network)
            self.regulariser: Regulariser | None = None
            if arm.deconv_weight or self.network.features_are_images:
                self.regulariser = Regulariser(self.network, (channels, size, size))
        self.to(training.images.device).to(memory_format=torch.channels_last)

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor | None]:
        """Cross-entropy and, where a picture comes back, its error."""
        rows = rows.to(self.data.images.device)
        images = normalise(self.data.images[rows], self.mean, self.std)
        encoding = encode(encoder_stages(self.network), images)
        logits = self.network.head(encoding.features)
        entropy = functional.cross_entropy(logits, self.data.labels[rows])
        if self.regulariser is None:
            return entropy, None
        error: Tensor = self.regulariser(encoding, encoding)
        return entropy, error

    def measured(self, rows: Tensor, weights: Sequence[Tensor]) -> Moment:
        """The gradients of both on some of the pictures."""
        entropy, error = self(rows)
        return measure(entropy, error, weights)
