"""Robust accuracy, held to linear classifiers whose margins say who survives which radius."""

import pytest
import torch
from torch import nn

from deconvviz.io.data import Dataset
from deconvviz.training.adversary import ATTACKS, Adversary, robust_accuracy

MEAN, STD = (0.4,), (0.2,)


def signs(margins):
    """Pictures whose score, the sum of pixels less 8, is a margin; positive is class 1."""
    images = torch.full((len(margins), 1, 4, 4), 128, dtype=torch.uint8)
    for image, margin in zip(images, margins, strict=True):
        image += torch.full_like(image, round(margin * 255 / 16 - 0.5) % 256)
    labels = (images.double().sum((1, 2, 3)) / 255 > 8).long()
    return Dataset(images, labels, ("dark", "bright"), "grey squares")


class Sum(nn.Module):
    """Logits of the sum of pixels in [0, 1], less 8."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images):
        score = self.scale * ((images * STD[0] + MEAN[0]).sum((1, 2, 3)) - 8)
        return torch.stack([-score, score], 1)


@pytest.mark.parametrize(
    ("norm", "of_radius"),
    [("l2", 4.0), ("linf", 16.0)],  # dual norms of sixteen ones
)
def test_a_picture_survives_exactly_if_its_margin_is_larger_than_the_attack(norm, of_radius):
    data = signs([step / 4 for step in range(-14, 15)])
    margins = (data.images.double().sum((1, 2, 3)) / 255 - 8).abs()
    for radius in (0.05, 0.11, 0.3):
        attack = Adversary(norm=norm, radius=radius, steps=20)
        survive = (margins > radius * of_radius).double().mean()
        found = robust_accuracy(Sum(), data, MEAN, STD, attack, batch_size=7)
        assert found["accuracy"] == pytest.approx(float(survive))
        assert found["pictures"] == len(data)


def test_a_wrong_decision_is_not_mended_by_the_attack():
    data = signs([1.0, -1.0])
    wrong = Dataset(data.images, 1 - data.labels, data.classes, data.title)
    for attack in ATTACKS:
        assert robust_accuracy(Sum(), wrong, MEAN, STD, attack)["accuracy"] == 0


def test_some_pictures_are_spread_over_all_and_the_mode_is_restored():
    data = signs([3.0] * 10 + [0.01] * 10)
    model, heard = Sum().train(), []
    options = {"count": 4, "batch_size": 2, "progress": lambda *words: heard.append(words)}
    found = robust_accuracy(model, data, MEAN, STD, ATTACKS[0], **options)
    assert (found["pictures"], found["accuracy"]) == (4, 0.5)
    assert model.training
    assert [(done, total) for _, done, total in heard] == [(2, 4), (4, 4)]
