"""Every option of a training run, declared once.

The command line, its help, `config.json` and the checks follow from these declarations. A new
option is a field here, its use and its test.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field

from deconvviz.errors import SettingError
from deconvviz.io.data import Augmentation
from deconvviz.io.legacy import current_options
from deconvviz.schema import Count, Fraction, NonNegative, Positive, read, to_dict, validated
from deconvviz.training.adversary import Adversary
from deconvviz.training.losses import Loss
from deconvviz.training.regulariser import DecoderConfig
from deconvviz.training.schedule import Schedule, lr_scale

_SGD_LR, _ADAM_LR = 0.125, 1e-3
_SGD_LRS = {"ddnet": _SGD_LR / 10}  # its dense layer sees whole pictures: at `_SGD_LR` it diverges


@validated
class Recipe:
    """A training recipe; with data and device, it determines every number of a run's card."""

    model: str = "vgg"
    """Network: vgg, fast, zf, seed-cnn, ddnet, deconv-mnist, tutorial-cnn or plain:WIDTHS."""
    init: str = ""
    """Network whose weights the run starts from, of the same architecture: a name or a checkpoint's
    path; a decoder beside it as well. Empty: random weights."""
    epochs: Positive = 15
    """Number of epochs: passes over the training pictures, or `steps_per_epoch` steps each."""
    steps_per_epoch: Count = 0
    """Optimiser steps per epoch, repeating the pictures as often as needed; 0 is one pass."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of the initial weights, the order of the pictures and their augmentation."""
    batch_size: Annotated[int, Field(ge=2, le=2**16)] = 128
    """Labelled pictures per step; the last, smaller batch of a pass is dropped."""
    unlabelled_batch: Annotated[int, Field(ge=0, le=2**16)] = 0
    """Pictures without labels per step, beside the labelled ones."""
    optimiser: Literal["sgd", "muon", "adam", "adamw"] = "sgd"
    """SGD with Nesterov momentum; Muon for kernels before BatchNorm and SGD for the rest; Adam;
    AdamW."""
    lr: NonNegative | None = None
    """Peak learning rate of SGD, Adam or AdamW; by default 0.125 with SGD, but 0.0125 for ddnet,
    and 0.001 with Adam and AdamW."""
    muon_lr: NonNegative = 0.025
    """Peak learning rate of Muon."""
    schedule: Schedule = "one-cycle"
    """Learning rates after warmup: linear to 0; half a cosine to 0; divided by 10 at half and again
    at three quarters of the way; constant."""
    warmup: Fraction = 0.2
    """Fraction of all steps over which the learning rates rise linearly from 0."""
    momentum: Fraction = 0.9
    """Momentum of SGD and Muon."""
    weight_decay: NonNegative = 1.3e-3
    """Weight decay of kernels and matrices; biases, scales and Muon's kernels have none."""
    bn_bias_lr_scale: Annotated[float, Field(gt=0)] = 16.0
    """Factor on the learning rate of BatchNorm's biases with SGD; their weight decay is divided by
    it (Jordan 2024, arXiv:2404.00498)."""
    loss: Loss = "cross-entropy"
    """Classification loss; mse compares the logits themselves with the targets."""
    label_smoothing: Fraction = 0.1
    """Fraction of the target spread over all classes."""
    augmentation: Augmentation = Augmentation(cutout=8)
    """Augmentation of the training pictures."""
    mixup: NonNegative = 0.0
    """Parameter of the Beta distribution by which pictures and targets are mixed in pairs (Zhang et
    al. 2018, arXiv:1710.09412); 0 disables."""
    teachers: tuple[str, ...] = ()
    """Networks to distil: names or checkpoint paths whose mean class probabilities become part of
    the targets (Hinton et al. 2015, arXiv:1503.02531)."""
    distillation_weight: Fraction = 0.75
    """Fraction of the target that the teachers' probabilities make up; the label is the rest."""
    noise: NonNegative = 0.0
    """Standard deviation of Gaussian noise on the input, in normalised units. A decoder
    reconstructs the clean picture, and BatchNorm's running statistics are of clean pictures."""
    adversary: Adversary = Adversary()
    """Adversarial attack on each labelled picture before the step."""
    deconv_weight: NonNegative = 0.0
    """Weight of the reconstruction error of a deconvolution decoder; 0 trains the classifier
    alone."""
    decoder: DecoderConfig = DecoderConfig()
    """Decoder beside the classifier, and the targets of its reconstructions."""
    decoder_lr_scale: NonNegative = 1.0
    """Factor on the learning rates of the decoder."""
    consistency_weight: NonNegative = 0.0
    """Weight of the squared difference between the class probabilities and those of the model's
    moving average for another view of the pictures (Tarvainen & Valpola 2017, arXiv:1703.01780)."""
    consistency_rampup: Fraction = 0.3
    """Fraction of all steps over which `consistency_weight` rises linearly from 0."""
    ema_decay: Fraction = 0.99
    """Decay of the exponential moving average of the weights; smaller in the first steps."""
    ema: bool = False
    """Evaluate and store the moving average of the weights instead of the last ones (Izmailov et
    al. 2018, arXiv:1803.05407)."""
    max_kernel_rms: NonNegative = 0.0
    """Maximum RMS of a convolution kernel of the classifier; 0 disables. Zeiler & Fergus (2014)
    used 0.1."""
    max_grad_norm: NonNegative = 0.0
    """Maximum L2 norm of the gradient of all parameters; 0 disables clipping."""
    snapshots: tuple[Count, ...] = (0, 1, 2, 5, 10, 20, 50, 100)
    """Epochs whose convolutional stages are stored; 0 is the initial weights."""
    precision: Literal["auto", "bf16", "float32"] = "auto"
    """Precision of the forward pass; auto is bf16 where the device computes it natively."""
    fp16: bool = False
    """Store the checkpoint and the snapshots in float16."""

    def __post_init__(self) -> None:
        if self.mixup and self.decoder.inpaint:
            raise SettingError(
                f"mixup={self.mixup} and decoder.inpaint exclude each other: a mixed picture "
                "has no original; set one of them to 0"
            )
        if self.max_kernel_rms and self.optimiser == "muon":
            raise SettingError(
                f"max_kernel_rms={self.max_kernel_rms} and optimiser=muon exclude each other: both "
                "set the norm of kernels; leave one of them out"
            )

    @property
    def peak_lr(self) -> float:
        """`lr`, or its default."""
        if self.lr is not None:
            return self.lr
        if self.optimiser in ("adam", "adamw"):
            return _ADAM_LR
        return _SGD_LRS.get(self.model, _SGD_LR)

    def lr_scale(self, progress: float) -> float:
        """The learning rates over their peaks, at a fraction `progress` of all steps."""
        return lr_scale(self.schedule, self.warmup, progress)

    @property
    def uses_ema(self) -> bool:
        """Whether a moving average of the weights is kept, to be stored or as a teacher."""
        return self.ema or self.consistency_weight > 0

    @property
    def needs_clean(self) -> bool:
        """Whether a step needs the pictures without noise and cutout beside its input."""
        return self.noise > 0 or self.inpaints

    @property
    def inpaints(self) -> bool:
        """Whether a decoder reconstructs what cutout hides."""
        return self.deconv_weight > 0 and self.decoder.inpaint


def completed(stored: Mapping[str, Any], kind: type[Any] = Recipe) -> dict[str, Any]:
    """A stored recipe as plain values under present names, with the defaults of missing options.

    Args:
        stored: The recipe.
        kind: Its declaration.

    Raises:
        SettingError: It is not a valid recipe.
    """
    recipe = read(kind, current_options(stored), "the stored recipe", SettingError)
    return to_dict(_with_rate(recipe))


def differences(stored: Mapping[str, Any], recipe: Any) -> list[str]:
    """The options in which a recipe differs from a stored one of its kind."""
    before = completed(stored, type(recipe))
    return [
        f"{name} was {before[name]}, not {value}"
        for name, value in to_dict(_with_rate(recipe)).items()
        if before[name] != value
    ]


def _with_rate(recipe: Any) -> Any:
    return replace(recipe, lr=recipe.peak_lr) if isinstance(recipe, Recipe) else recipe
