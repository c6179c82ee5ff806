"""Muon: momentum whose every update of a kernel is made orthogonal."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

__all__ = ["Muon", "orthogonal"]

_EPSILON = 1e-7


class Muon(torch.optim.Optimizer):
    """Turn kernels, whose length means nothing, all directions at the same pace.

    A kernel that BatchNorm follows may be multiplied by any positive number without changing the
    network, so this keeps all kernels of a convolution at a mean square length of 1 and learns
    their direction only. An update is Nesterov's momentum as a matrix (outputs x all else) made
    orthogonal, so that rare directions learn as fast as common ones. After Jordan et al. (2024),
    "Muon: an optimizer for hidden layers in neural networks".

    torch has a Muon too (2.9 and later); it takes matrices only, and decays weights instead.

    Args:
        parameters: Weights of two or more dimensions, outputs first; or groups of them.
        lr: The length of an update, where a convolution's kernels have length 1.
        momentum: The share of the last update's momentum that is kept.
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
        """Turn every kernel once, by its gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                self._turn(parameter, group["lr"], group["momentum"])

    def _turn(self, parameter: Tensor, rate: float, keep: float) -> None:
        if parameter.grad is None:
            return
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum = state["momentum"].mul_(keep).add_(parameter.grad)
        update = parameter.grad.add(momentum, alpha=keep)
        parameter.mul_(len(parameter) ** 0.5 / parameter.norm().clamp_min(_EPSILON))
        parameter.sub_(orthogonal(update.flatten(1)).view_as(parameter), alpha=rate)


def orthogonal(matrix: Tensor, steps: int = 3) -> Tensor:
    """The orthogonal matrix nearest to one of full rank, roughly: (m, n) -> (m, n).

    All singular values go to between about 0.3 and 1.3 by a few steps of an odd polynomial of
    degree five (a Newton-Schulz iteration), which needs products of matrices only. The
    coefficients are those of Jordan et al.; they rise steeply at zero, rather than converge.
    """
    wide = matrix if len(matrix) <= matrix.shape[1] else matrix.mT
    x: Tensor = wide / wide.norm().clamp_min(_EPSILON)
    for _ in range(steps):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x if wide is matrix else x.mT
