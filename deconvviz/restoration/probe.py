"""How much a linear classifier can tell from features."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
"""Weights of the squared norm that a probe chooses from, on pictures held out of its training."""

_GRID = 4  # cells of a side, over which maps are averaged


def pooled(maps: Tensor, grid: int = _GRID) -> Tensor:
    """(N, C, H, W) -> (N, C * grid * grid): means of the cells of a grid."""
    return functional.adaptive_avg_pool2d(maps.float(), grid).flatten(1)


def fit(features: Tensor, labels: Tensor, classes: int, penalty: float) -> Tensor:
    """Multinomial logistic regression with a squared penalty on its weights, not on its biases.

    Args:
        features: (N, D), best standardised.
        labels: (N,) int64.
        classes: Number of classes K.
        penalty: Weight of half the squared norm, beside the mean cross-entropy.

    Returns:
        (K, D + 1) weights, the biases last.
    """
    inputs = functional.pad(features, (0, 1), value=1.0)
    weights = torch.zeros(classes, inputs.shape[1], requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [weights], max_iter=200, history_size=10, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = functional.cross_entropy(inputs @ weights.T, labels)
        loss = loss + penalty / 2 * weights[:, :-1].square().sum()
        torch.autograd.backward(loss)
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]  # torch's own
    return weights.detach()


def probe(
    training: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    classes: int,
    penalties: Sequence[float] = PENALTIES,
) -> float:
    """Test accuracy of a linear classifier on features, in [0, 1].

    Features are standardised by the training part. The penalty is the one that does best on the
    fifth part of the training that is held out; then all of the training is fitted.

    Args:
        training: (N, D) features and (N,) labels, in an order without meaning.
        test: (M, D) and (M,).
        classes: Number of classes.
        penalties: Candidates, the smallest first; ties go to the larger.
    """
    features, labels = training
    mean, std = features.mean(0), features.std(0).clamp(min=1e-6)
    given, tested = (features - mean) / std, (test[0] - mean) / std
    cut = len(given) - len(given) // 5

    def found(penalty: float) -> tuple[float, float]:
        weights = fit(given[:cut], labels[:cut], classes, penalty)
        return right(weights, given[cut:], labels[cut:]), penalty

    _, best = max(map(found, penalties))
    return right(fit(given, labels, classes, best), tested, test[1])


def right(weights: Tensor, features: Tensor, labels: Tensor) -> float:
    """Share of right decisions of (K, D + 1) weights."""
    logits = functional.pad(features, (0, 1), value=1.0) @ weights.T
    return float((logits.argmax(1) == labels).double().mean())
