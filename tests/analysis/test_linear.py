"""A logistic regression at its optimum, which is unique, so that it can be checked from outside."""

import math

import pytest
import torch

from deconvviz.analysis.linear import fit, fit_held_out
from deconvviz.errors import DataError


def problem(count=300, size=12, classes=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    centres = torch.randn(classes, size, generator=generator)
    noise = torch.randn(count, size, generator=generator)
    return 5 + 3 * (centres[labels] + 1.5 * noise), labels, classes


def objective(features, labels, weight, bias, penalty):
    """Written out, without torch's cross-entropy and its standardisation."""
    standard = (features - features.mean(0)) / features.std(0, correction=0)
    total = 0.0
    for row, label in zip(standard, labels.tolist(), strict=True):
        scores = [float(row @ weight[:, k] + bias[k]) for k in range(weight.shape[1])]
        total += math.log(sum(map(math.exp, scores))) - scores[label]
    return total / len(labels) + penalty / 2 * float((weight**2).sum())


@pytest.mark.parametrize("penalty", [1.0, 0.01])
def test_no_step_in_any_direction_leads_lower(penalty):
    features, labels, classes = problem(60, 5)
    features = features.double()
    found = fit(features, labels, classes, penalty)
    best = objective(features, labels, found.weight, found.bias, penalty)
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        step = torch.randn(found.weight.shape, generator=generator) * 0.01
        turn = torch.randn(classes, generator=generator) * 0.01
        for sign in (-1, 1):
            weight, bias = found.weight + sign * step, found.bias + sign * turn
            assert objective(features, labels, weight, bias, penalty) > best


def test_its_gradient_vanishes_as_a_formula_says():
    """X^T (p - y) / N + penalty W, without autograd."""
    features, labels, classes = problem()
    found = fit(features, labels, classes, 0.05)
    standard = ((features - found.mean) / found.std).double()
    wrong = (standard @ found.weight + found.bias).softmax(1)
    wrong[torch.arange(len(labels)), labels] -= 1
    gradient = standard.T @ wrong / len(labels) + 0.05 * found.weight
    assert gradient.abs().max() < 2e-5
    assert wrong.mean(0).abs().max() < 2e-5
    assert found.gradient == pytest.approx(
        max(float(gradient.abs().max()), float(wrong.mean(0).abs().max())), rel=1e-3
    )


@pytest.mark.parametrize("penalty", [0.001, 0.1, 3.0])
def test_one_feature_of_two_classes_solves_one_equation(penalty):
    """At x = -1 and 1 the weights are (-v, v) with penalty * v = sigmoid(-2 v): by bisection."""
    low, high = 0.0, 100.0
    for _ in range(200):
        middle = (low + high) / 2
        is_low = penalty * middle < 1 / (1 + math.exp(2 * middle))
        low, high = (middle, high) if is_low else (low, middle)
    features = torch.tensor([[2.0], [4.0]] * 10)  # standardised, -1 and 1
    found = fit(features, torch.tensor([0, 1] * 10), 2, penalty)
    assert found.weight[0, 1].item() == pytest.approx(low, rel=1e-3)
    assert found.weight[0, 0].item() == pytest.approx(-low, rel=1e-3)
    assert found.accuracy(features, torch.tensor([0, 1] * 10)) == 1.0


def test_the_start_does_not_matter():
    features, labels, classes = problem()
    other = fit(features, labels, classes, 10.0)
    one, two = (fit(features, labels, classes, 0.1, start) for start in (None, other))
    torch.testing.assert_close(one.weight, two.weight, atol=1e-3, rtol=0)


def test_features_that_are_constant_or_scaled_change_nothing():
    features, labels, classes = problem()
    plain = fit(features, labels, classes, 0.1)
    more = torch.cat([features * 1e4 - 7, torch.full((len(labels), 2), 0.3)], 1)
    scaled = fit(more, labels, classes, 0.1)
    assert torch.equal(plain.decide(features), scaled.decide(more))
    assert scaled.weight[-2:].abs().max() < 1e-6


def test_a_weak_penalty_is_chosen_for_what_separates_and_a_strong_one_for_noise():
    """A strong one leaves only the bias, which names the frequent class: right of noise."""
    generator = torch.Generator().manual_seed(0)
    labels = (torch.arange(200) % 8 == 0).long()
    noise = torch.randn(200, 30, generator=generator)
    choose = {"penalties": (0.001, 1000.0), "share": 0.25, "seed": 0}
    assert fit_held_out(noise, labels, 2, **choose).penalty == 1000.0
    noise[:, 0] += 20 * labels
    clear = fit_held_out(noise, labels, 2, **choose)
    assert clear.penalty == 0.001
    assert clear.accuracy(noise, labels) == 1.0


def test_too_few_rows_are_refused():
    with pytest.raises(DataError, match="empty"):
        fit_held_out(torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64), 2, (1.0,), 0.2, 0)
