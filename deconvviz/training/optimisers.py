"""The optimisers of a run, each with the peak of its own learning rates."""

from typing import Any

import torch
from torch import nn

from deconvviz.training.muon import Muon
from deconvviz.training.recipe import Recipe

__all__ = ["optimisers", "set_pace"]


def optimisers(parts: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """What turns the gradients of all parameters of `parts` into steps.

    Muon has kernels whose scale BatchNorm undoes, where it is asked for; SGD or Adam the rest.
    """
    # a convolution has no bias because BatchNorm follows, which would undo that too
    free = [m.weight for m in parts.modules() if isinstance(m, nn.Conv2d) and m.bias is None]
    turned = free if recipe.optimiser == "muon" else []
    shifts = [m.bias for m in parts.modules() if isinstance(m, nn.BatchNorm2d)]
    # lists, not sets: a resume finds the momentum of a parameter by its place
    rest = [p for p in parts.parameters() if not any(p is q for q in (*turned, *shifts))]
    groups = _groups(rest, shifts, recipe)
    if recipe.optimiser in ("adam", "adamw"):
        kind = torch.optim.Adam if recipe.optimiser == "adam" else torch.optim.AdamW
        return [kind(groups, lr=recipe.peak_rate)]
    momentum = recipe.momentum
    made: list[torch.optim.Optimizer] = [
        torch.optim.SGD(groups, lr=recipe.peak_rate, momentum=momentum, nesterov=momentum > 0)
    ]
    if turned:
        kernels = {"params": turned, "peak": recipe.kernel_rate}
        made.append(Muon([kernels], lr=recipe.kernel_rate, momentum=momentum))
    return made


def set_pace(made: list[torch.optim.Optimizer], pace: float) -> None:
    """Set all rates to a share of their peaks."""
    for group in (group for optimiser in made for group in optimiser.param_groups):
        group["lr"] = pace * group["peak"]


def _groups(
    rest: list[nn.Parameter], shifts: list[nn.Parameter], recipe: Recipe
) -> list[dict[str, Any]]:
    """Kernels and matrices, which decay; numbers per map, which do not; BatchNorm's shifts.

    Adam's steps have a length of their own, whatever the gradient's, so shifts are as the others.
    """
    peak, decay = recipe.peak_rate, recipe.weight_decay
    faster = recipe.shift_rate if recipe.optimiser in ("sgd", "muon") else 1.0
    return [
        {"params": [p for p in rest if p.ndim > 1], "weight_decay": decay, "peak": peak},
        {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0, "peak": peak},
        {"params": shifts, "weight_decay": decay / faster, "peak": peak * faster},
    ]
