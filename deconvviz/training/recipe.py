"""How to train: every option of a run, in one place."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any, TypeVar

from deconvviz.errors import SettingError
from deconvviz.io.data import Augmentation
from deconvviz.io.legacy import current_options
from deconvviz.training.adversary import Adversary
from deconvviz.training.losses import LOSSES
from deconvviz.training.regulariser import DecoderConfig

__all__ = [
    "OPTIMISERS",
    "PRECISIONS",
    "SCHEDULES",
    "Recipe",
    "changed",
    "completed",
    "differences",
    "to_dict",
]

PRECISIONS = ("auto", "bf16", "float32")
OPTIMISERS = ("sgd", "muon", "adam", "adamw")
SCHEDULES = ("one-cycle", "cosine", "step", "constant")

_NOT_NEGATIVE = (
    "seed",
    "steps_per_epoch",
    "unlabelled_batch",
    "lr",
    "muon_lr",
    "weight_decay",
    "mixup",
    "noise",
    "deconv_weight",
    "decoder_lr_scale",
    "consistency_weight",
    "max_kernel_rms",
)
_SHARES = (
    "warmup",
    "momentum",
    "label_smoothing",
    "distillation_weight",
    "consistency_rampup",
    "ema_decay",
)

Config = TypeVar("Config")


@dataclass(frozen=True)
class Recipe:
    """How to train; every figure of a run's card follows from it, the data and the device.

    Attributes:
        model: A name of `models.MODELS`.
        epochs: Passes over the training pictures; or, with `steps_per_epoch`, so many times these.
        steps_per_epoch: Of one epoch; the pictures then come round again and again, as often as it takes. 0
            is one pass.
        seed: Of the initial weights, the order of the pictures and their augmentation.
        batch_size: Labelled pictures in one step; the last, smaller batch of a pass is left out.
        unlabelled_batch: Pictures without labels in one step, beside these.
        optimiser: "sgd" with Nesterov's momentum; "muon", which is `Muon` for the kernels whose
            scale BatchNorm undoes, and SGD for the rest; "adam" or "adamw".
        lr: Of SGD, Adam or AdamW.
        muon_lr: Of Muon.
        schedule: How all rates go from their peak, after `warmup`: "one-cycle", linearly to 0;
            "cosine", in half a cosine to 0; "step", to a tenth at half of the way and again at
            three quarters; "constant".
        warmup: The share of steps over which they rise to it from 0.
        momentum: Of SGD and Muon.
        weight_decay: On kernels and matrices, but those that Muon turns; BatchNorm's scales and the
            last biases have none.
        bn_bias_lr_scale: BatchNorm's shifts learn this many times faster with SGD, with a weight decay as
            many times smaller, which saves epochs (Jordan 2024, arXiv:2404.00498).
        loss: "cross-entropy", "focal" or "mse", see `losses`.
        label_smoothing: The share of the target spread over all classes.
        augmentation: Crop, flip, cutout and the like. A picture that is mirrored in one pass is not
            in the next (Jordan 2024): both sides are seen equally often.
        mixup: Pictures and targets are blended in pairs, by a share from Beta(`mixup`, `mixup`)
            (Zhang et al. 2018, arXiv:1710.09412); 0 leaves them alone.
        teachers: Trained networks, names or paths as `deconvviz.load` takes them, whose mean
            class probabilities of each picture, as it is seen, are part of its target; see
            `Ensemble`.
        distillation_weight: How large a part; the rest is the label.
        noise: Deviation of Gaussian noise on the pictures that are learnt from, in normalised
            units. A decoder is to give them back without it, and BatchNorm's running statistics
            are of the pictures without it.
        adversary: Attack on each labelled picture before the network learns from it. Both the
            network and a decoder are given the attacked picture.
        deconv_weight: Of the reconstruction error of a deconvolution decoder beside the
            classification loss; 0 trains the classifier alone.
        decoder: What decoder, and what its reconstructions are compared with.
        decoder_lr_scale: The decoder learns this many times faster than the classifier.
        consistency_weight: Of the squared difference between the class probabilities and those that
            a teacher gives another view of the same pictures, summed over classes. The teacher is
            the running mean of the network (Tarvainen & Valpola 2017, arXiv:1703.01780).
        consistency_rampup: The share of steps over which that weight rises from 0.
        ema_decay: The share of the teacher, or of the mean of `ema`, that stays, each
            step, once it has settled.
        ema: What is measured and stored is the running mean of the network, not its last
            step (Izmailov et al. 2018, arXiv:1803.05407, for one that is not running).
        max_kernel_rms: The root mean square to which longer kernels of the classifier's convolutions
            are shortened after each step; 0 lets them grow. Zeiler & Fergus (2014) took 0.1.
        snapshots: The epochs whose convolutional stages are kept; 0 is the initial weights.
        precision: "bf16", "float32", or "auto" for the one that is faster on the device.
        fp16: Store the checkpoint and the snapshots in float16.
    """

    model: str = "vgg"
    epochs: int = 15
    steps_per_epoch: int = 0
    seed: int = 0
    batch_size: int = 128
    unlabelled_batch: int = 0
    optimiser: str = "sgd"
    lr: float = 0.125
    muon_lr: float = 0.025
    schedule: str = "one-cycle"
    warmup: float = 0.2
    momentum: float = 0.9
    weight_decay: float = 1.3e-3
    bn_bias_lr_scale: float = 16.0
    loss: str = "cross-entropy"
    label_smoothing: float = 0.1
    augmentation: Augmentation = field(default_factory=lambda: Augmentation(cutout=8))
    mixup: float = 0.0
    teachers: tuple[str, ...] = ()
    distillation_weight: float = 0.75
    noise: float = 0.0
    adversary: Adversary = field(default_factory=Adversary)
    deconv_weight: float = 0.0
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    decoder_lr_scale: float = 1.0
    consistency_weight: float = 0.0
    consistency_rampup: float = 0.3
    ema_decay: float = 0.99
    ema: bool = False
    max_kernel_rms: float = 0.0
    snapshots: tuple[int, ...] = (0, 1, 2, 5, 10, 20, 50, 100)
    precision: str = "auto"
    fp16: bool = False

    def __post_init__(self) -> None:
        named = {"precision": PRECISIONS, "optimiser": OPTIMISERS, "schedule": SCHEDULES}
        for name, there in {**named, "loss": tuple(LOSSES)}.items():
            if getattr(self, name) not in there:
                raise SettingError(
                    f"no {name} `{getattr(self, name)}`; there are {', '.join(there)}"
                )
        least = {"epochs": 1, "batch_size": 2, **dict.fromkeys(_NOT_NEGATIVE, 0)}
        for name, value in least.items():
            if not value <= getattr(self, name) < math.inf:
                asked = getattr(self, name)
                raise SettingError(f"{name} {asked} cannot be; it is {value} or more")
        for name in _SHARES:
            if not 0 <= getattr(self, name) < 1:
                raise SettingError(
                    f"{name} {getattr(self, name)} cannot be; it is a share, from 0 to less than 1"
                )
        if self.mixup and self.decoder.inpaint:
            raise SettingError(
                f"mixup {self.mixup} blends pictures, and decoder.inpaint wants them back whole; "
                "leave one of them out"
            )
        if self.max_kernel_rms and self.optimiser == "muon":
            raise SettingError(
                f"max_kernel_rms {self.max_kernel_rms} and the optimiser muon both set how long kernels "
                "are; leave one of them out"
            )

    def pace(self, progress: float) -> float:
        """The share of their peaks that all rates have when a share `progress` is done."""
        if progress < self.warmup:
            return progress / self.warmup
        way = (progress - self.warmup) / (1 - self.warmup)
        if self.schedule == "one-cycle":
            return 1 - way
        if self.schedule == "cosine":
            return (1 + math.cos(math.pi * way)) / 2
        if self.schedule == "step":
            return 1.0 if way < 1 / 2 else 0.1 if way < 3 / 4 else 0.01
        return 1.0


def changed(config: Config, changes: Mapping[str, Any]) -> Config:
    """A configuration with some of its values changed.

    Args:
        config: A `Recipe`, or another frozen dataclass.
        changes: Name -> value, or the text of one; `decoder.kernel` is the `kernel` of `decoder`.

    Raises:
        SettingError: It has no such name, or the value cannot be.
    """
    for name, value in changes.items():
        first, _, rest = name.partition(".")
        there = {one.name: getattr(config, one.name) for one in fields(config)}  # type: ignore[arg-type]  # it is a dataclass
        if first not in there or (rest and not is_dataclass(there[first])):
            raise SettingError(f"no option `{name}`; there are {', '.join(_names(there))}")
        if rest:
            new = changed(there[first], {rest: value})
        elif is_dataclass(there[first]) and not is_dataclass(value):
            raise SettingError(
                f"`{name}` has parts; set one of {', '.join(_names({name: there[first]}))}"
            )
        else:
            new = _read(name, value, there[first]) if isinstance(value, str) else value
        config = replace(config, **{first: new})  # type: ignore[type-var]  # likewise
    return config


def to_dict(recipe: Recipe) -> dict[str, Any]:
    """A recipe as JSON has it."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(recipe)))
    return plain


def completed(before: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe as JSON had it, with all options there are now.

    What there was no option for was done as that option's default says.
    """
    full = to_dict(Recipe())
    for name, value in current_options(before).items():
        parts = isinstance(value, Mapping) and isinstance(full.get(name), dict)
        full[name] = {**full[name], **value} if parts else value
    return full


def differences(before: Mapping[str, Any], recipe: Recipe) -> list[str]:
    """The options in which a recipe differs from an earlier one, as JSON had it."""
    earlier = completed(before)
    return [
        f"{name} was {earlier[name]}, not {value}"
        for name, value in to_dict(recipe).items()
        if earlier[name] != value
    ]


def _names(there: Mapping[str, Any]) -> list[str]:
    """Of all options, those of parts with a dot."""
    names = []
    for name, value in there.items():
        parts = [f"{name}.{part.name}" for part in fields(value)] if is_dataclass(value) else [name]
        names += parts
    return names


def _read(name: str, text: str, before: Any) -> Any:
    """A value of the kind that was there before, from its text."""
    try:
        if isinstance(before, bool):
            return {"true": True, "yes": True, "false": False, "no": False}[text.lower()]
        if isinstance(before, tuple):
            kind = {"stages": float, "teachers": str}.get(name, int)
            return tuple(kind(part.strip()) for part in text.split(",") if part.strip())
        return type(before)(text)
    except (ValueError, KeyError):
        kinds = {bool: "yes or no", int: "a whole number", float: "a number"}
        wanted = kinds.get(type(before), "numbers with commas")
        raise SettingError(f"`{name}` cannot be `{text}`; it is {wanted}") from None
