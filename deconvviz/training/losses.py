"""What a classifier's logits are measured by: a number per batch, of logits and targets."""

from collections.abc import Callable, Mapping

from torch import Tensor
from torch.nn import functional

__all__ = ["LOSSES", "blended"]

_FOCUS = 2.0  # the exponent that Lin et al. found best


def _cross_entropy(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    return functional.cross_entropy(logits, targets, label_smoothing=smoothing)


def _focal(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy in which what is known well already counts little.

    Lin et al. (2017), "Focal loss for dense object detection", arXiv:1708.02002.
    """
    logs = logits.log_softmax(1)
    wanted = _smooth(_shares(logits, targets), smoothing)
    return -(wanted * (1 - logs.exp()) ** _FOCUS * logs).sum(1).mean()


def _squared(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """The squared distance of the logits themselves from the target, summed over classes.

    Hui & Belkin (2021), arXiv:2006.07322: no softmax.
    """
    wanted = _smooth(_shares(logits, targets), smoothing)
    return (logits - wanted).square().sum(1).mean()


LOSSES: Mapping[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "cross-entropy": _cross_entropy,
    "focal": _focal,
    "mse": _squared,
}
"""Name -> loss of (N, K) logits, targets, and a share of label smoothing.

Targets are (N,) classes or, blended, (N, K) shares. Each loss is a mean over the pictures.
"""


def blended(targets: Tensor, others: Tensor, share: float, classes: int) -> Tensor:
    """Targets of blended pictures: (N,) and (N,) classes -> (N, K), `share` of the first."""
    first, second = functional.one_hot(targets, classes), functional.one_hot(others, classes)
    return share * first + (1 - share) * second


def _shares(logits: Tensor, targets: Tensor) -> Tensor:
    if targets.ndim == 1:
        targets = functional.one_hot(targets, logits.shape[1])
    return targets.to(logits.dtype)


def _smooth(shares: Tensor, smoothing: float) -> Tensor:
    return (1 - smoothing) * shares + smoothing / shares.shape[1]
