"""Muon: SGD with momentum whose updates are orthogonalised."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

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
