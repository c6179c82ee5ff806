"""Every option of a restoration run, declared once, as `training.Recipe` is for classifiers."""

from typing import Annotated, Literal

from pydantic import Field

from deconvviz.errors import SettingError
from deconvviz.schema import Count, Fraction, NonNegative, Positive, UnitInterval, validated
from deconvviz.training.schedule import lr_scale


@validated
class RestorationRecipe:
    """A recipe; with data and device, it determines every number of a run's card."""

    task: str = "sr"
    """Task: a name in `restoration.TASKS`."""
    network: str = "fsrcnn:scale=2"
    """Network and its options: a name in `networks.NETWORKS`."""
    init: str = ""
    """Checkpoint whose tensors of equal name and shape are the initial weights."""
    loss: Literal["l1", "l2", "charbonnier", "cross-entropy"] = "charbonnier"
    """Loss: mean absolute error; mean squared error; their smooth mixture sqrt(d^2 + 1e-6)
    (Charbonnier et al. 1994); cross-entropy of classes."""
    epochs: Positive = 40
    """Number of epochs."""
    steps_per_epoch: Positive = 500
    """Optimiser steps per epoch."""
    batch_size: Annotated[int, Field(ge=1, le=2**16)] = 16
    """Patches, or pictures, per step."""
    patch: Annotated[int, Field(ge=8, le=4096)] = 32
    """Side in pixels of the network's input in training."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of the initial weights, of the patches and of what is done to them."""
    optimiser: Literal["adam", "adamw"] = "adam"
    """Adam or AdamW."""
    lr: NonNegative = 1e-3
    """Peak learning rate."""
    schedule: Literal["one-cycle", "cosine"] = "cosine"
    """Learning rate after warmup: linear to 0, or half a cosine to 0."""
    warmup: Fraction = 0.02
    """Fraction of all steps over which the learning rate rises linearly from 0."""
    weight_decay: NonNegative = 0.0
    """Weight decay of kernels and matrices."""
    max_grad_norm: NonNegative = 0.0
    """Maximum L2 norm of the gradient of all parameters; 0 disables clipping."""
    ema: bool = True
    """Evaluate and store the moving average of the weights instead of the last ones."""
    ema_decay: Fraction = 0.999
    """Decay of the exponential moving average of the weights; smaller in the first steps."""
    precision: Literal["float32", "bf16"] = "float32"
    """Precision of the forward pass."""
    fp16: bool = True
    """Store the checkpoint in float16."""
    channels: Literal[1, 3] = 1
    """1 (grey; of colour pictures, luma) or 3 (RGB)."""
    noise: tuple[NonNegative, NonNegative] = (0.0, 55.0)
    """Lowest and highest standard deviation of the noise, in grey levels of 255, for `denoise`."""
    missing: tuple[Count, Count] = (10, 75)
    """Lowest and highest share of missing pixels in percent, for `inpaint`."""
    class_weights: Literal["none", "sqrt-median", "median"] = "sqrt-median"
    """Weights of the classes in the loss, for `segment`: none; the median of their frequencies over
    each one's own; its square root."""
    reduced: UnitInterval = 0.5
    """Share of the pictures that are reduced by 4 and enlarged again, for `autoencode`."""
    labels: UnitInterval = 1.0
    """Share of the labelled pictures that is used, for `classify`."""
    pictures: Literal["mnist", "cifar10"] = "mnist"
    """Data set, for `generate`."""
    kl_weight: NonNegative = 1.0
    """Weight of the latents' divergence from a standard normal distribution, for `generate`."""

    def __post_init__(self) -> None:
        for name, (low, high) in {"noise": self.noise, "missing": self.missing}.items():
            if low > high:
                raise SettingError(
                    f"{name} must be the lowest, then the highest, got {low}, {high}"
                )

    def lr_scale(self, progress: float) -> float:
        """The learning rate over its peak, at a fraction `progress` of all steps."""
        return lr_scale(self.schedule, self.warmup, progress)
