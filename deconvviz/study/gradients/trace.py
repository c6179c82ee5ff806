"""One network in training, its gradients layer by layer, and the record that keeps them."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from deconvviz.errors import StudyError
from deconvviz.io.checkpoint import versions
from deconvviz.io.data import Dataset, normalise
from deconvviz.io.legacy import current_trace
from deconvviz.models import StagedCNN, ddnet, plain
from deconvviz.schema import Count, NonNegative, Positive, read, validated
from deconvviz.study.store import RecordFile
from deconvviz.training.device import device_name
from deconvviz.training.encoder import encode
from deconvviz.training.regulariser import Regulariser

FORMS = {6: ((1, 2, 4), 1), 12: ((1, 2, 4), 2), 20: ((1, 1, 2, 2, 4), 2)}
"""Depth -> the widths of `ddnet`'s stages, in multiples of the first, and convolutions in each."""

LEARNED = 0.01
"""Nats by which the cross-entropy must lie below chance for a network to have learned anything."""

PROBE = 256
"""Pictures on which gradients are measured, the same ones in every run and at every step."""

_MOMENTUM = 0.9


@validated
class Condition:
    """One condition of the comparison: a network, and its losses.

    Attributes:
        depth: Layers with weights between the picture and the head.
        norm: Whether BatchNorm follows each layer, except the one that gives `ddnet`'s picture.
        deconv_weight: Weight of the reconstruction error beside the cross-entropy.
    """

    architecture: Literal["plain", "ddnet"]
    depth: Literal[6, 12, 20]
    norm: bool
    deconv_weight: NonNegative = 0.0

    def __str__(self) -> str:
        weight = f", reconstruction weight {self.deconv_weight:g}" if self.deconv_weight else ""
        norm = "with" if self.norm else "without"
        return f"{self.architecture}, {self.depth} layers {norm} BatchNorm{weight}"


@validated
class Setting:
    """Settings that all runs share.

    Attributes:
        dataset: Title of the pictures.
        pictures: Number of pictures.
        mean: Mean of each channel, subtracted from pixels in [0, 1].
        std: Standard deviation of each channel, a divisor after the mean is subtracted.
        width: Maps of the first stage; the widest has four times as many.
        init: Initial weights: PyTorch's own, which lose five sixths of a rectified signal's power
            in each layer, or He's, which keep it.
        lr: Learning rate of SGD with momentum 0.9, constant.
        batch_size: Pictures in a step.
        steps: Updates after which gradients are measured, rising; the last one ends the run.
        classes: Number of classes; 10, those of CIFAR-10, in records that do not say.
        epochs: Passes over the pictures, each in an order of its own; 0, as in records that do not
            say: each batch is drawn anew from all.
        patience: Epochs after which a run that has learned nothing stops; 0: none does.
    """

    dataset: str
    fingerprint: str
    pictures: Count
    mean: tuple[float, ...]
    std: tuple[float, ...]
    width: Positive
    init: Literal["pytorch", "he"]
    lr: Annotated[float, Field(gt=0)]
    batch_size: Annotated[int, Field(ge=2)]
    steps: Annotated[tuple[Count, ...], Field(min_length=2)]
    classes: Positive = 10
    epochs: Count = 0
    patience: Count = 0

    @property
    def chance(self) -> float:
        """The cross-entropy of a network that knows nothing, in nats."""
        return math.log(self.classes)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in one pass over the pictures."""
        return max(1, self.pictures // self.batch_size)


@validated
class GradientStats:
    """A network's gradients at one step: of L layers, from the picture to the logits.

    Attributes:
        entropy: Cross-entropy, in nats.
        error: Reconstruction error, in normalised units; None without a reconstruction.
        gradients: (L) Frobenius norms of the cross-entropy's gradient by each layer's weights.
        weights: (L) Frobenius norms of the weights.
        cosines: (L) cosines between the gradients of cross-entropy and error; None where one has
            none.
    """

    entropy: float | None
    error: float | None
    gradients: tuple[float | None, ...]
    weights: tuple[float | None, ...]
    cosines: tuple[float | None, ...]


@validated
class Trace:
    """One training run: a condition, a seed, and measurements during training.

    Attributes:
        condition: Network and its losses.
        seed: Seed of the initial weights and of the batches.
        layers: Names of the L layers; the last one is the head.
        stats: Step -> gradient statistics; none from a divergence on.
        diverged: Number of updates after which the loss was NaN or infinite, or None.
        setting: Settings that all runs share.
        versions: Versions of Python and the libraries.
        losses: Mean cross-entropy of the batches of each whole epoch, in nats; none if batches were
            drawn anew.
        stopped: Number of updates after which it was stopped because it had learned nothing, or
            None.
    """

    condition: Condition
    seed: Count
    layers: tuple[str, ...]
    stats: Annotated[Mapping[int, GradientStats], Field(min_length=1)]
    diverged: int | None
    setting: Setting
    versions: Mapping[str, str]
    device: str
    losses: tuple[float | None, ...] = ()
    stopped: Count | None = None

    @property
    def learned(self) -> bool:
        """Whether its cross-entropy fell below chance, in the last epoch or when last measured."""
        last = self.losses[-1] if self.losses else self.stats[self.last].entropy
        return self.diverged is None and _below_chance(last, self.setting)

    @property
    def key(self) -> tuple[Setting, Condition, int]:
        """Setting, condition and seed."""
        return self.setting, self.condition, self.seed

    @property
    def last(self) -> int:
        """The last step at which gradients were measured."""
        return max(self.stats)

    def __str__(self) -> str:
        return f"{self.condition}, seed {self.seed}"

    def ratio(self, step: int) -> float:
        """The first layer's gradient norm over that of the last one below the head.

        0 where no gradient comes through at all, because some layer gives nothing but zeros.
        """
        norms = self.stats[step].gradients
        first, last = norms[0], norms[self.condition.depth - 1]
        return math.nan if first is None or last is None else first / last if first else 0.0

    def table(self, name: str) -> Tensor:
        """(L, S) float64: one field of the stats by layer and step, NaN after a divergence."""
        missing = (None,) * len(self.layers)
        columns = [
            getattr(self.stats[step], name) if step in self.stats else missing
            for step in self.setting.steps
        ]
        numbers = [[math.nan if value is None else value for value in row] for row in columns]
        return torch.tensor(numbers, dtype=torch.float64).T


def _below_chance(entropy: float | None, setting: Setting) -> bool:
    return entropy is not None and entropy < setting.chance - LEARNED


def trace_file(path: Path) -> RecordFile[Trace]:
    """Traces in a file NAME.jsonl."""
    return RecordFile(path, _decode)


def _decode(content: Any, source: str) -> Trace:
    if not isinstance(content, Mapping):
        raise StudyError(f"{source} is not a trace of gradients")
    return read(Trace, current_trace(content), source, StudyError)


def network(condition: Condition, channels: int, classes: int, size: int, width: int) -> StagedCNN:
    """An untrained network of a condition.

    `ddnet` goes down and comes back; the plain network has as many layers of each width, all of
    them on the way down, with as many pools, and its dense layer reads the last maps. `size`, the
    side of the pictures, must be halved by each pool; `width` is the maps of the first stage.
    """
    multiples, convolutions = FORMS[condition.depth]
    widths = tuple(width * multiple for multiple in multiples)
    if condition.architecture == "ddnet":
        return ddnet(channels, classes, size, widths, convolutions, condition.norm)
    made = plain(channels, classes, size, [(w,) * (2 * convolutions) for w in widths], ())
    return made if condition.norm else _without_norm(made)


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
def he_init(network: nn.Module) -> None:
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


def gradient_stats(
    entropy: Tensor, error: Tensor | None, weights: Sequence[Tensor]
) -> GradientStats:
    """Norms and cosines of the gradients of two losses by each layer's weights, to six digits.

    Args:
        entropy: Cross-entropy; norms are of its gradients.
        error: Reconstruction error, which need not depend on every layer, or None.
        weights: Weights of L layers.
    """
    first = torch.autograd.grad(entropy, weights, retain_graph=True)
    second: Sequence[Tensor | None] = [None] * len(weights)
    if error is not None:
        second = torch.autograd.grad(error, weights, retain_graph=True, allow_unused=True)
    return GradientStats(
        entropy=_kept(entropy),
        error=None if error is None else _kept(error),
        gradients=tuple(_kept(_norm(gradient)) for gradient in first),
        weights=tuple(_kept(_norm(weight)) for weight in weights),
        cosines=tuple(_cosine(a, b) for a, b in zip(first, second, strict=True)),
    )


def _kept(value: Tensor | float) -> float | None:
    """Six digits, so that files stay small; None for what JSON cannot hold."""
    number = float(value.detach() if isinstance(value, Tensor) else value)
    return float(f"{number:.6g}") if math.isfinite(number) else None


def _norm(tensor: Tensor) -> float:
    # in double precision, because the squares of what has nearly vanished underflow
    return float(tensor.detach().double().norm())


def _cosine(first: Tensor, second: Tensor | None) -> float | None:
    lengths = 0.0 if second is None else _norm(first) * _norm(second)
    if second is None or not 0 < lengths < math.inf:
        return None
    return _kept((first.double() * second.double()).sum() / lengths)


def follow(
    condition: Condition,
    seed: int,
    training: Dataset,
    setting: Setting,
    report: Callable[[float], None] = lambda _: None,
) -> Trace:
    """Train one network on the device of the pictures, and measure its gradients on the way.

    BatchNorm is in training mode throughout; pictures are not augmented. `report` is called after
    each update with the share of them that are done.
    """
    losses = _Losses(condition, seed, training, setting)
    weights = layer_weights(losses.network)
    batches = _batches(len(training), setting, seed)
    probe = torch.randperm(len(training), generator=torch.Generator().manual_seed(0))[:PROBE]
    optimiser = torch.optim.SGD(losses.parameters(), lr=setting.lr, momentum=_MOMENTUM)
    stats: dict[int, GradientStats] = {}
    epochs = _Epochs(setting)
    diverged, stopped, last = None, None, setting.steps[-1]
    for step in range(last + 1):
        entropy, error = losses(next(batches))
        loss = entropy if error is None else entropy + condition.deconv_weight * error
        if not loss.isfinite():
            diverged = step
            break
        if step in setting.steps:
            probed = losses(probe)  # the batch's own loss is still needed below
            stats[step] = gradient_stats(probed[0], probed[1], list(weights.values()))
        if step == last:
            break
        if epochs.hopeless:
            stopped = step
            break
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        epochs.add(entropy)
        report((step + 1) / last)
    return Trace(
        condition,
        seed,
        tuple(weights),
        stats,
        diverged,
        setting,
        versions(),
        device_name(training.images.device),
        tuple(epochs.means),
        stopped,
    )


def _batches(count: int, setting: Setting, seed: int) -> Iterator[Tensor]:
    """Rows of the pictures of each step, without end; the same for all networks of a seed."""
    generator, size = torch.Generator().manual_seed(seed), setting.batch_size
    while True:
        if not setting.epochs:
            yield torch.randint(count, (size,), generator=generator)
            continue
        order = torch.randperm(count, generator=generator)
        for step in range(setting.steps_per_epoch):
            yield order[step * size : (step + 1) * size]


class _Epochs:
    """The mean cross-entropy of each whole epoch."""

    def __init__(self, setting: Setting) -> None:
        self.setting, self.means = setting, list[float | None]()
        self._recent: list[float] = []

    def add(self, entropy: Tensor) -> None:
        """Count the cross-entropy of one update's batch."""
        if not self.setting.epochs:
            return
        self._recent.append(float(entropy.detach()))
        if len(self._recent) == self.setting.steps_per_epoch:
            self.means.append(_kept(math.fsum(self._recent) / len(self._recent)))
            self._recent = []

    @property
    def hopeless(self) -> bool:
        """Whether it has just finished the epoch by which it should have learned, and has not."""
        if self._recent or not 0 < self.setting.patience == len(self.means):
            return False
        return not _below_chance(self.means[-1], self.setting)


class _Losses(nn.Module):
    """A network with its pictures: its losses on some of them."""

    def __init__(
        self, condition: Condition, seed: int, training: Dataset, setting: Setting
    ) -> None:
        super().__init__()
        self.data, self.mean, self.std = training, setting.mean, setting.std
        channels, size = training.images.shape[1], training.images.shape[-1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = network(condition, channels, len(training.classes), size, setting.width)
            if setting.init == "he":
                he_init(self.network)
            self.regulariser: Regulariser | None = None
            if condition.deconv_weight or self.network.features_are_images:
                self.regulariser = Regulariser(self.network, (channels, size, size))
        self.to(training.images.device).to(memory_format=torch.channels_last)

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor | None]:
        """Cross-entropy and, where a picture comes back, its error."""
        rows = rows.to(self.data.images.device)
        images = normalise(self.data.images[rows], self.mean, self.std)
        encoding = encode(self.network.stages, images)
        logits = self.network.head(encoding.features)
        entropy = functional.cross_entropy(logits, self.data.labels[rows])
        if self.regulariser is None:
            return entropy, None
        error: Tensor = self.regulariser(encoding, encoding)
        return entropy, error
