"""Losses, each against its formula written out for one picture after the other."""

import math

import pytest
import torch
from torch.nn import functional

from deconvviz.training.losses import LOSSES, mix_targets


def slowly(name, logits, shares, smoothing):
    total = 0.0
    for row, target in zip(logits.tolist(), shares.tolist(), strict=True):
        norm = math.log(sum(math.exp(x) for x in row))
        for x, t in zip(row, target, strict=True):
            wanted = (1 - smoothing) * t + smoothing / len(row)
            log = x - norm
            total += {
                "cross-entropy": -wanted * log,
                "focal": -wanted * (1 - math.exp(log)) ** 2 * log,
                "mse": (x - wanted) ** 2,
            }[name]
    return total / len(logits)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_loss_is_its_formula(name, smoothing):
    logits, labels = torch.randn(5, 4, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 1])
    shares = functional.one_hot(labels, 4).double()
    expected = slowly(name, logits, shares, smoothing)
    assert float(LOSSES[name](logits, labels, smoothing)) == pytest.approx(expected)
    soft = torch.softmax(torch.randn(5, 4, dtype=torch.float64), 1)
    assert float(LOSSES[name](logits, soft, smoothing)) == pytest.approx(
        slowly(name, logits, soft, smoothing)
    )


def test_mixed_targets_hold_both_classes_by_their_shares():
    both = mix_targets(torch.tensor([0, 2]), torch.tensor([1, 2]), 0.75, 3)
    assert both.tolist() == [[0.75, 0.25, 0.0], [0.0, 0.0, 1.0]]
