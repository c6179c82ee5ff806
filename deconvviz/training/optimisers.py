"""The optimisers of a run, each with the peak of its own learning rates."""

from typing import Any

import torch
from torch import Tensor, nn

from deconvviz.training.muon import Muon
from deconvviz.training.objective import Objective
from deconvviz.training.recipe import Recipe

__all__ = ["optimisers", "set_pace"]


def optimisers(parts: Objective, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """What turns the gradients of all parameters of `parts` into steps.

    Muon has kernels whose scale BatchNorm undoes, where it is asked for; SGD or Adam the rest.
    """
    ours: list[tuple[nn.Module, float]] = [(parts.model, 1.0)]
    if parts.regulariser:
        ours.append((parts.regulariser, recipe.decoder_lr_scale))
    turned = [_turned(part, recipe, faster) for part, faster in ours]
    groups = [
        group
        for (part, faster), (kernels, _) in zip(ours, turned, strict=True)
        for group in _groups(part, kernels, recipe, faster)
    ]
    if recipe.optimiser in ("adam", "adamw"):
        kind = torch.optim.Adam if recipe.optimiser == "adam" else torch.optim.AdamW
        return [kind(groups, lr=recipe.lr)]
    momentum = recipe.momentum
    made: list[torch.optim.Optimizer] = [
        torch.optim.SGD(groups, lr=recipe.lr, momentum=momentum, nesterov=momentum > 0)
    ]
    kernels = [{"params": params, "peak": peak} for params, peak in turned if params]
    if kernels:
        made.append(Muon(kernels, lr=recipe.muon_lr, momentum=momentum))
    return made


def set_pace(made: list[torch.optim.Optimizer], pace: float) -> None:
    """Set all rates to a share of their peaks."""
    for group in (group for optimiser in made for group in optimiser.param_groups):
        group["lr"] = pace * group["peak"]


def _turned(part: nn.Module, recipe: Recipe, faster: float) -> tuple[list[Tensor], float]:
    """The kernels that Muon turns, and its peak rate."""
    if recipe.optimiser != "muon":
        return [], 0.0
    # a convolution has no bias because BatchNorm follows, which would undo that too
    free = [m.weight for m in part.modules() if isinstance(m, nn.Conv2d) and m.bias is None]
    return free, faster * recipe.muon_lr


def _groups(
    part: nn.Module, turned: list[Tensor], recipe: Recipe, faster: float
) -> list[dict[str, Any]]:
    """Kernels and matrices, which decay; numbers per map, which do not; BatchNorm's shifts.

    Adam's steps have a length of their own, whatever the gradient's, so shifts are as the others.
    """
    shifts = [m.bias for m in part.modules() if isinstance(m, nn.BatchNorm2d)]
    # lists, not sets: a resume finds the momentum of a parameter by its place
    rest = [p for p in part.parameters() if not any(p is q for q in (*turned, *shifts))]
    peak, decay = faster * recipe.lr, recipe.weight_decay
    more = recipe.bn_bias_lr_scale if recipe.optimiser in ("sgd", "muon") else 1.0
    groups = [
        {"params": [p for p in rest if p.ndim > 1], "weight_decay": decay, "peak": peak},
        {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0, "peak": peak},
        {"params": shifts, "weight_decay": decay / more, "peak": peak * more},
    ]
    return [group for group in groups if group["params"]]
