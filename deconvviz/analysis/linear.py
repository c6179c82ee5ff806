"""A linear classifier on given features: multinomial logistic regression, fitted to its optimum."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from deconvviz.io.data.dataset import stratified_split

_GRADIENT = 1e-5  # largest gradient where the fit ends; features have deviation one
_ROUGH = 1e-3  # the same, while the penalty is chosen
_STEPS = 1000


@dataclass(frozen=True, eq=False)
class LinearClassifier:
    """A fitted classifier.

    Attributes:
        mean: (D,) mean of the features.
        std: (D,) standard deviation of the features; 1 where a feature is constant.
        weight: (D, K) weights for standardised features.
        bias: (K,) biases.
        penalty: L2 penalty: weight of half the sum of squares, beside the mean cross-entropy.
        gradient: Largest magnitude in the gradient where the fit ended; zero at the only optimum.
    """

    mean: Tensor
    std: Tensor
    weight: Tensor
    bias: Tensor
    penalty: float
    gradient: float

    def decide(self, features: Tensor) -> Tensor:
        """The class of each of (N, D) features, (N,) int64."""
        standard = (features.to(self.mean) - self.mean) / self.std
        return (standard @ self.weight + self.bias).argmax(1)

    def accuracy(self, features: Tensor, labels: Tensor) -> float:
        """The share of (N, D) features that get their label."""
        return float((self.decide(features) == labels).double().mean())


def fit(
    features: Tensor,
    labels: Tensor,
    classes: int,
    penalty: float,
    start: LinearClassifier | None = None,
    tolerance: float = _GRADIENT,
) -> LinearClassifier:
    """Fit a classifier with L-BFGS, in float64; the optimum does not depend on the start.

    Features (N, D) are standardised here; labels are (N,) int64 below `classes`. `penalty` weighs
    half the sum of squared weights, biases have none; the fit ends where no gradient is above
    `tolerance`, and begins at `start`.
    """
    mean, spread = features.double().mean(0), features.double().std(0, correction=0)
    # Rounding leaves a constant feature a spread, which dividing by would blow up.
    std = torch.where(spread > 1e-9 * (1 + mean.abs()), spread, torch.ones_like(spread))
    standard = (features.double() - mean) / std
    shape = (features.shape[1], classes)
    weight = standard.new_zeros(shape) if start is None else start.weight.clone()
    bias = standard.new_zeros(classes) if start is None else start.bias.clone()
    parameters = [weight.requires_grad_(), bias.requires_grad_()]
    optimiser = torch.optim.LBFGS(
        parameters,
        max_iter=_STEPS,
        max_eval=2 * _STEPS,
        tolerance_grad=tolerance,
        tolerance_change=0.0,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def objective() -> Tensor:
        entropy = functional.cross_entropy(standard @ weight + bias, labels)
        loss = entropy + 0.5 * penalty * weight.square().sum()
        weight.grad, bias.grad = torch.autograd.grad(loss, parameters)
        return loss

    optimiser.step(objective)  # type: ignore[no-untyped-call]
    objective()
    gradient = max(float(p.grad.abs().max()) for p in parameters if p.grad is not None)
    return LinearClassifier(mean, std, weight.detach(), bias.detach(), penalty, gradient)


def fit_held_out(
    features: Tensor,
    labels: Tensor,
    classes: int,
    penalties: Sequence[float],
    share: float,
    seed: int,
) -> LinearClassifier:
    """Choose the penalty on held-out rows, then fit all rows with it.

    Features are (N, D), labels (N,) int64 below `classes`. `share` of the rows of each class is
    held out; of equal accuracies the largest penalty wins.

    Raises:
        DataError: There are too few rows to hold some out.
    """
    kept, out = stratified_split(labels, share, seed)
    tried: list[tuple[float, LinearClassifier]] = []
    for penalty in sorted(penalties, reverse=True):  # from the easiest problem to the hardest
        before = tried[-1][1] if tried else None
        found = fit(features[kept], labels[kept], classes, penalty, before, _ROUGH)
        tried.append((found.accuracy(features[out], labels[out]), found))
    _, best = max(tried, key=lambda pair: pair[0])  # the first of equals
    return fit(features, labels, classes, best.penalty, best)
