"""Classification losses: the mean over a batch, of logits and targets."""

from collections.abc import Callable, Mapping
from typing import Literal

from torch import Tensor
from torch.nn import functional

Loss = Literal["cross-entropy", "focal", "mse"]

_GAMMA = 2.0  # the exponent that Lin et al. found best


def _focal(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy that gives less weight to pictures that are already classified well.

    Lin et al. (2017), "Focal loss for dense object detection", arXiv:1708.02002.
    """
    logs = logits.log_softmax(1)
    smooth = _smooth(logits, targets, smoothing)
    return -(smooth * (1 - logs.exp()) ** _GAMMA * logs).sum(1).mean()


def _squared(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """The squared distance of the logits, without softmax, from the target, summed over classes.

    Hui & Belkin (2021), arXiv:2006.07322.
    """
    return (logits - _smooth(logits, targets, smoothing)).square().sum(1).mean()


LOSSES: Mapping[Loss, Callable[[Tensor, Tensor, float], Tensor]] = {
    "cross-entropy": lambda logits, targets, smoothing: functional.cross_entropy(
        logits, targets, label_smoothing=smoothing
    ),
    "focal": _focal,
    "mse": _squared,
}
"""Name -> loss of logits (N, K), targets, and label smoothing.

Targets are classes (N,) or class probabilities (N, K).
"""


def mix_targets(targets: Tensor, others: Tensor, weight: float, classes: int) -> Tensor:
    """Targets of mixed pictures: classes (N,) and (N,) -> (N, K), `weight` of the first."""
    first, second = functional.one_hot(targets, classes), functional.one_hot(others, classes)
    return weight * first + (1 - weight) * second


def _smooth(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    if targets.ndim == 1:
        targets = functional.one_hot(targets, logits.shape[1])
    return (1 - smoothing) * targets.to(logits.dtype) + smoothing / logits.shape[1]
