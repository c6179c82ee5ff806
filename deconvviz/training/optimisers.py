"""The optimisers of a run, Muon among them, the learning rate of each group, and max-norm."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from deconvviz.training.objective import Objective
from deconvviz.training.recipe import Recipe

_EPSILON = 1e-7


class Muon(torch.optim.Optimizer):
    """Nesterov's momentum, orthogonalised, for kernels that BatchNorm follows.

    BatchNorm undoes the scale of a kernel, so all kernels of a convolution are kept at a mean
    square norm of 1. An update is the momentum as a matrix (outputs x all else) with all singular
    values near 1, so that rare directions learn as fast as common ones. After Jordan et al. (2024),
    "Muon: an optimizer for hidden layers in neural networks".

    `torch.optim.Muon` takes matrices only, and uses weight decay instead of a fixed norm.

    Args:
        parameters: Weights of two or more dimensions, outputs first; or groups of them.
        lr: Norm of an update, relative to the kernel's.
        momentum: Factor on the momentum at each step.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        lr: float,
        momentum: float = 0.9,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @override
    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every kernel by its gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum = state["momentum"].mul_(group["momentum"]).add_(parameter.grad)
                update = parameter.grad.add(momentum, alpha=group["momentum"])
                parameter.mul_(len(parameter) ** 0.5 / parameter.norm().clamp_min(_EPSILON))
                parameter.sub_(orthogonal(update.flatten(1)).view_as(parameter), alpha=group["lr"])


def orthogonal(matrix: Tensor, steps: int = 3) -> Tensor:
    """Roughly the orthogonal matrix nearest to one of full rank: (m, n) -> (m, n).

    A few Newton-Schulz steps, which are matrix products only, bring all singular values to between
    about 0.3 and 1.3. The coefficients are those of Jordan et al.: steep at zero, not convergent.
    """
    wide = matrix if len(matrix) <= matrix.shape[1] else matrix.mT
    x: Tensor = wide / wide.norm().clamp_min(_EPSILON)
    for _ in range(steps):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x if wide is matrix else x.mT


def optimisers(objective: Objective, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Optimisers of all parameters of `objective`.

    With "muon", Muon updates kernels whose scale BatchNorm undoes, and SGD the rest.
    """
    parts: list[tuple[nn.Module, float]] = [(objective.model, 1.0)]
    if objective.regulariser:
        parts.append((objective.regulariser, recipe.decoder_lr_scale))
    # Our convolutions have no bias exactly where BatchNorm follows, which undoes their scale.
    kernels = [
        [m.weight for m in part.modules() if isinstance(m, nn.Conv2d) and m.bias is None]
        if recipe.optimiser == "muon"
        else []
        for part, _ in parts
    ]
    groups = [
        group
        for (part, scale), taken in zip(parts, kernels, strict=True)
        for group in _groups(part, taken, recipe, scale)
    ]
    if recipe.optimiser in ("adam", "adamw"):
        kind = torch.optim.Adam if recipe.optimiser == "adam" else torch.optim.AdamW
        return [kind(groups, lr=recipe.peak_lr)]
    momentum = recipe.momentum
    made: list[torch.optim.Optimizer] = [
        torch.optim.SGD(groups, lr=recipe.peak_lr, momentum=momentum, nesterov=momentum > 0)
    ]
    muon_groups = [
        {"params": params, "max_lr": scale * recipe.muon_lr}
        for params, (_, scale) in zip(kernels, parts, strict=True)
        if params
    ]
    if muon_groups:
        made.append(Muon(muon_groups, lr=recipe.muon_lr, momentum=momentum))
    return made


def scale_lr(made: Sequence[torch.optim.Optimizer], scale: float) -> None:
    """Set all learning rates to a multiple of their peaks."""
    for group in (group for optimiser in made for group in optimiser.param_groups):
        group["lr"] = scale * group["max_lr"]


def _groups(
    part: nn.Module, taken: list[Tensor], recipe: Recipe, scale: float
) -> list[dict[str, Any]]:
    """Kernels and matrices, with weight decay; scales and biases without; BatchNorm's biases."""
    shifts = [m.bias for m in part.modules() if isinstance(m, nn.BatchNorm2d)]
    # Lists, not sets: a resume finds the momentum of a parameter by its position.
    rest = [p for p in part.parameters() if not any(p is q for q in (*taken, *shifts))]
    lr, decay = scale * recipe.peak_lr, recipe.weight_decay
    # Adam's steps do not depend on the gradient's size, so BatchNorm's biases are as the others.
    factor = recipe.bn_bias_lr_scale if recipe.optimiser in ("sgd", "muon") else 1.0
    groups = [
        {"params": [p for p in rest if p.ndim > 1], "weight_decay": decay, "max_lr": lr},
        {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0, "max_lr": lr},
        {"params": shifts, "weight_decay": decay / factor, "max_lr": lr * factor},
    ]
    return [group for group in groups if group["params"]]


@torch.no_grad()
def max_norm_(model: nn.Module, max_kernel_rms: float) -> None:
    """Scale every kernel whose root mean square is above `max_kernel_rms` down to it, in place.

    Zeiler & Fergus (2014, arXiv:1311.2901, section 3) saw a few kernels dominate the first layer
    and limited those of all convolutions to 0.1 after each step. Before BatchNorm, which undoes any
    scale, this changes no output, but short kernels turn faster at the same learning rate.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            rms = module.weight.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
            module.weight.mul_((max_kernel_rms / rms).clamp(max=1))
