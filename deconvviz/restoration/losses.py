"""Losses between pictures, by name."""

from collections.abc import Callable, Mapping

from torch import Tensor
from torch.nn import functional

_CHARBONNIER = 1e-3  # pixels in [0, 1]: below this difference it is squared, above absolute


def charbonnier(output: Tensor, target: Tensor) -> Tensor:
    """Mean of sqrt(d^2 + 1e-6): the absolute error, but smooth at 0 (Charbonnier et al. 1994)."""
    return ((output - target).square() + _CHARBONNIER**2).sqrt().mean()


PICTURE_LOSSES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": functional.l1_loss,
    "l2": functional.mse_loss,
    "charbonnier": charbonnier,
}
"""(output, target) -> scalar, by the name of the recipe's option `loss`."""
