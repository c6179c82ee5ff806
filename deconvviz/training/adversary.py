"""Adversarial training: pictures changed, within a small distance, so that the loss rises."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from deconvviz.errors import SettingError

__all__ = ["NORMS", "Adversary", "attack", "random_directions"]

NORMS = ("l2", "linf")

_EPSILON = 1e-12


@dataclass(frozen=True)
class Adversary:
    """An attack on each training picture (Madry et al. 2018, arXiv:1706.06083).

    Attributes:
        radius: Largest distance from the original picture, of pixels in [0, 1]. 0 disables the
            attack.
        norm: "l2" or "linf": how that distance is measured, over all pixels of a picture.
        steps: Gradient steps; 1 is the fast gradient method, more is projected gradient descent,
            0 is random noise of that distance.
        step_size: Length of a step as a multiple of the radius; 0 selects 1 for one step and
            2.5 / steps for more.
        random_start: Start at a random place within the radius instead of at the picture.
        delay: Share of training steps before the first attack.
        warmup: Share of training steps over which the radius then rises linearly from 0.
    """

    radius: float = 0.0
    norm: str = "l2"
    steps: int = 1
    step_size: float = 0.0
    random_start: bool = False
    delay: float = 0.0
    warmup: float = 0.0

    def __post_init__(self) -> None:
        if self.norm not in NORMS:
            raise SettingError(f"no norm `{self.norm}`; there are {', '.join(NORMS)}")
        for name in ("radius", "steps", "step_size"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise SettingError(f"adversary.{name} must be >= 0, got {value}")
        for name in ("delay", "warmup"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise SettingError(f"adversary.{name} must be in [0, 1], got {value}")

    def radius_at(self, progress: float) -> float:
        """The radius when a share `progress` of all training steps is done."""
        if progress <= self.delay:
            return 0.0
        if progress >= self.delay + self.warmup:
            return self.radius
        return self.radius * (progress - self.delay) / self.warmup

    @property
    def relative_step(self) -> float:
        """Length of a step as a multiple of the radius."""
        return self.step_size or (1.0 if self.steps <= 1 else 2.5 / self.steps)

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
        targets: (N,) classes, or (N, K) shares of them.
        mean: Per channel, of pixels in [0, 1], which was subtracted.
        std: Per channel, by which the pictures were then divided.
        adversary: How; its `radius` unless another is given.
        radius: In units of pixels in [0, 1].
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
    # what Gaussian noise has put outside [0, 1] may stay there
    low, high = -pixels.clamp(min=0), 1 - pixels.clamp(max=1)
    delta = torch.zeros_like(images)
    if directions is not None:
        delta = (radius * directions.to(images)).clamp(low, high)
    was_training = model.training
    model.eval()
    try:
        for _ in range(adversary.steps):
            gradient = _gradient(model, images + delta / scale, targets) / scale
            step = _unit(gradient, adversary.norm) * (radius * adversary.relative_step)
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
    """Of the cross-entropy, with respect to each picture."""
    images = images.detach().requires_grad_()
    with torch.enable_grad():
        # summed, so that a picture's gradient does not depend on how many there are
        loss = functional.cross_entropy(model(images).float(), targets, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, images)
    return gradient


def _unit(directions: Tensor, norm: str) -> Tensor:
    """Of length 1 each, so that a step along them raises a linear function most."""
    if norm == "linf":
        return directions.sign()
    return directions / _length(directions).clamp_min(_EPSILON)


def _within(delta: Tensor, radius: float, norm: str) -> Tensor:
    """Displacements brought back to the radius where they are longer."""
    if norm == "linf":
        return delta.clamp(-radius, radius)
    return delta * (radius / _length(delta).clamp_min(_EPSILON)).clamp(max=1)


def _length(directions: Tensor) -> Tensor:
    lengths: Tensor = torch.linalg.vector_norm(directions, dim=(1, 2, 3), keepdim=True)
    return lengths
