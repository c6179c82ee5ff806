"""Linear probes, against their own optimality condition and against what can be known."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from deconvviz.restoration.probe import fit, pooled, probe


def clusters(count, seed, spread=0.5):
    """Three clusters in five dimensions."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    centres = torch.eye(3, 5) * 2
    return centres[labels] + spread * torch.randn(count, 5, generator=generator), labels


@pytest.mark.parametrize("penalty", [1e-2, 1.0])
def test_the_fit_is_that_of_scipys_minimiser(penalty):
    features, labels = clusters(60, 0, spread=2.0)
    x = np.c_[features.numpy(), np.ones(60)]
    hot = np.eye(3)[labels.numpy()]

    def loss(flat):
        weights = flat.reshape(3, 6)
        logits = x @ weights.T
        mass = np.log(np.exp(logits).sum(1))
        entropy = (mass - (logits * hot).sum(1)).mean()
        return entropy + penalty / 2 * (weights[:, :-1] ** 2).sum()

    best = minimize(loss, np.zeros(18), tol=1e-10)
    ours = fit(features, labels, 3, penalty).numpy()
    assert loss(ours.ravel()) == pytest.approx(best.fun, abs=1e-5)
    # biases may all be shifted together, weights may not
    assert ours[:, :-1] == pytest.approx(best.x.reshape(3, 6)[:, :-1], abs=1e-2)


def test_what_can_be_told_is_told_and_noise_is_chance():
    assert probe(clusters(300, 0), clusters(300, 1), 3) > 0.95
    features, labels = clusters(300, 0)
    shuffled = features[torch.randperm(300, generator=torch.Generator().manual_seed(0))]
    assert probe((shuffled, labels), clusters(300, 1), 3) < 0.5


def test_the_scale_of_features_does_not_matter():
    train, test = clusters(120, 0, 1.5), clusters(300, 1, 1.5)
    factor = torch.tensor([1.0, 1e3, 1e-3, 10, 1])
    scaled = [(f * factor + 7, labels) for f, labels in (train, test)]
    assert probe(*scaled, 3) == pytest.approx(probe(train, test, 3), abs=0.01)


def test_maps_are_averaged_over_a_grid():
    maps = torch.arange(64.0).view(1, 1, 8, 8)
    assert pooled(maps, 2)[0].tolist() == [
        float(maps[0, 0, y : y + 4, x : x + 4].mean()) for y in (0, 4) for x in (0, 4)
    ]
