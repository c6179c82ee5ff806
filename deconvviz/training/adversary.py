"""Pictures changed within a small distance so that the loss rises: in training, and to measure."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from deconvviz.io.checkpoint import RobustRecord
from deconvviz.io.data import Dataset, normalise
from deconvviz.progress import Progress
from deconvviz.schema import Count, NonNegative, UnitInterval, validated

Norm = Literal["l2", "linf"]

_EPSILON = 1e-12


@validated
class Adversary:
    """An attack on each training picture (Madry et al. 2018, arXiv:1706.06083)."""

    radius: NonNegative = 0.0
    """Maximum distance from the original picture, of pixels in [0, 1]; 0 disables the attack."""
    norm: Norm = "l2"
    """Norm of the distance, over all pixels of a picture."""
    steps: Count = 1
    """Gradient steps: 1 is the fast gradient method, more are projected gradient descent, 0 is
    random noise at the radius."""
    step_size: NonNegative = 0.0
    """Length of a step as a multiple of the radius; 0 selects 1, or 2.5 / steps for several."""
    random_start: bool = False
    """Start at a random point within the radius instead of at the picture."""
    delay: UnitInterval = 0.0
    """Fraction of all steps before the first attack."""
    warmup: UnitInterval = 0.0
    """Fraction of all steps, after the delay, over which the radius rises linearly from 0."""

    def radius_at(self, progress: float) -> float:
        """The radius at a fraction `progress` of all steps."""
        if progress <= self.delay:
            return 0.0
        if progress >= self.delay + self.warmup:
            return self.radius
        return self.radius * (progress - self.delay) / self.warmup

    @property
    def needs_random(self) -> bool:
        """Whether it draws random numbers."""
        return bool(self.radius) and (self.random_start or not self.steps)


def attack(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    mean: Sequence[float],
    std: Sequence[float],
    adversary: Adversary,
    *,
    radius: float | None = None,
    directions: Tensor | None = None,
) -> Tensor:
    """Change pictures so that the model's cross-entropy rises.

    The model is attacked in evaluation mode; its mode, gradients and statistics stay as they are.

    Args:
        model: Logits (N, K) of normalised pictures.
        images: (N, C, H, W), normalised.
        targets: (N,) classes, or (N, K) class probabilities.
        mean: (C,) of pixels in [0, 1], by which the pictures were normalised.
        std: (C,) of pixels in [0, 1], by which the pictures were normalised.
        adversary: The attack.
        radius: Radius in units of pixels in [0, 1]; by default the adversary's.
        directions: (N, C, H, W) from `random_directions`, for a random start or for noise.

    Returns:
        New pictures (N, C, H, W), normalised: each within `radius` of the original and with pixels
        in [0, 1], or where the original's were outside, no further out.
    """
    radius = adversary.radius if radius is None else radius
    if not radius:
        return images
    scale = images.new_tensor(std).view(1, -1, 1, 1)
    pixels = images * scale + images.new_tensor(mean).view(1, -1, 1, 1)
    # pixels that Gaussian noise has put outside [0, 1] may stay there, but go no further
    low, high = -pixels.clamp(min=0), 1 - pixels.clamp(max=1)
    delta = torch.zeros_like(images)
    if directions is not None:
        delta = (radius * directions.to(images)).clamp(low, high)
    length = adversary.step_size or (1.0 if adversary.steps <= 1 else 2.5 / adversary.steps)
    was_training = model.training
    model.eval()  # in training mode BatchNorm would mix pictures and count them twice
    try:
        for _ in range(adversary.steps):
            gradient = _gradient(model, images + delta / scale, targets) / scale
            step = _unit(gradient, adversary.norm) * (radius * length)
            delta = _within(delta + step, radius, adversary.norm).clamp(low, high)
    finally:
        model.train(was_training)
    return images + delta / scale


def random_directions(
    shape: Sequence[int], adversary: Adversary, generator: torch.Generator
) -> Tensor:
    """Random displacements (N, C, H, W) of radius 1, drawn where the generator lives.

    Uniform within the radius for a random start; at exactly the radius (L2) or uniform (L-infinity)
    as noise.
    """
    device = generator.device
    if adversary.norm == "linf":
        return 2 * torch.rand(*shape, generator=generator, device=device) - 1
    directions = _unit(torch.randn(*shape, generator=generator, device=device), "l2")
    if not adversary.steps:
        return directions
    share = torch.rand(shape[0], 1, 1, 1, generator=generator, device=device)
    return directions * share ** (1 / math.prod(shape[1:]))


def _gradient(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    images = images.detach().requires_grad_()
    with torch.enable_grad():
        # The sum, so that a picture's gradient does not depend on the batch size; a view, because
        # FlopCounterMode does not support `grad` of a leaf that is a module's input.
        logits = model(images.view_as(images)).float()
        loss = functional.cross_entropy(logits, targets, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, images)
    return gradient


def _unit(directions: Tensor, norm: str) -> Tensor:
    if norm == "linf":
        return directions.sign()
    return directions / _length(directions).clamp_min(_EPSILON)


def _within(delta: Tensor, radius: float, norm: str) -> Tensor:
    if norm == "linf":
        return delta.clamp(-radius, radius)
    return delta * (radius / _length(delta).clamp_min(_EPSILON)).clamp(max=1)


def _length(directions: Tensor) -> Tensor:
    lengths: Tensor = torch.linalg.vector_norm(directions, dim=(1, 2, 3), keepdim=True)
    return lengths


ATTACKS = (
    Adversary(norm="l2", radius=0.5, steps=20),
    Adversary(norm="linf", radius=2 / 255, steps=20),
)
"""Projected gradient descent from the picture itself, so that no seed decides; radii of pixels in
[0, 1]."""


def robust_accuracy(
    model: nn.Module,
    dataset: Dataset,
    mean: Sequence[float],
    std: Sequence[float],
    adversary: Adversary,
    *,
    count: int = 1000,
    batch_size: int = 100,
    progress: Progress | None = None,
) -> RobustRecord:
    """Attack pictures spread evenly over a data set, in float32.

    A picture counts as right if the decision is right before and after the attack. The attack is
    one of many: a stronger one finds more errors, so this is an upper bound.

    Args:
        model: Logits (N, classes) of normalised (N, C, H, W); in evaluation mode meanwhile.
        dataset: Labelled pictures.
        mean: (C,) as in the model's training.
        std: (C,) as in the model's training.
        adversary: The attack; its delay and warmup do not matter.
        count: Number of pictures; all where there are fewer.
        batch_size: Pictures attacked at once; it does not change the result beyond rounding.
        progress: Called after every batch.
    """
    device = next(model.parameters()).device
    chosen = torch.linspace(0, len(dataset) - 1, min(count, len(dataset))).long()
    was_training = model.training
    model.eval()
    right = 0
    try:
        for rows in torch.split(chosen, batch_size):
            images = normalise(dataset.images[rows].to(device), mean, std)
            labels = dataset.labels[rows].to(device)
            attacked = attack(model, images, labels, mean, std, adversary)
            with torch.inference_mode():
                both = [model(one).argmax(1) == labels for one in (images, attacked)]
            right += int((both[0] & both[1]).sum())
            if progress:
                progress(f"attack, {adversary.norm}", int((chosen <= rows[-1]).sum()), len(chosen))
    finally:
        model.train(was_training)
    return {
        "norm": adversary.norm,
        "radius": adversary.radius,
        "steps": adversary.steps,
        "pictures": len(chosen),
        "accuracy": right / len(chosen),
    }
