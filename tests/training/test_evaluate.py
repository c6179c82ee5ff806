"""Accuracy, per class and confusion."""

import pytest
import torch
from torch import nn

from deconvviz.errors import DataError
from deconvviz.io.data import Dataset, draw_shapes
from deconvviz.training import Evaluation, evaluate


class Brightness(nn.Module):
    """Decides by the mean of the normalised picture: dark 0, middle 1, bright 2."""

    def __init__(self):
        super().__init__()
        self.edges = nn.Parameter(torch.tensor([0.0, 0.5, 1.0]))

    def forward(self, x):
        return -(x.mean((1, 2, 3))[:, None] - self.edges).abs()


def grey(levels, labels):
    images = torch.tensor(levels, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 8, 8)
    return Dataset(images.contiguous(), torch.tensor(labels), ("dark", "middle", "bright"), "grey")


NOTHING = ((0.0,) * 3, (1.0,) * 3)


def test_counts_decisions_by_hand():
    data = grey([0, 10, 120, 250, 255, 240], [0, 0, 1, 2, 2, 0])
    result = evaluate(Brightness(), data, *NOTHING, batch_size=4)
    assert result.confusion.tolist() == [[2, 0, 1], [0, 1, 0], [0, 0, 2]]
    assert result.accuracy == pytest.approx(5 / 6)
    assert result.per_class == pytest.approx({"dark": 2 / 3, "middle": 1, "bright": 1})


def test_does_not_depend_on_the_batch_size_and_leaves_the_mode_alone():
    data = grey(list(range(0, 250, 10)), [i % 3 for i in range(25)])
    model = Brightness().train()
    results = [evaluate(model, data, *NOTHING, batch_size=b) for b in (1, 7, 100)]
    assert all(torch.equal(r.confusion, results[0].confusion) for r in results)
    assert all(r.loss == pytest.approx(results[0].loss) for r in results)
    assert model.training


def test_a_class_without_pictures_is_left_out():
    confusion = torch.tensor([[3, 1], [0, 0]])
    assert Evaluation(confusion, ("a", "b"), 0.0).per_class == {"a": 0.75}


@pytest.mark.data
def test_the_demo_is_as_good_as_its_card_says(cifar10_test):
    """On 1000 of the 10 000 pictures, which the record's accuracy must make likely."""
    from deconvviz.io.zoo import load

    bundle = load("demo")
    some = cifar10_test.subset(range(0, 10_000, 10))
    accuracy = evaluate(
        bundle.model, some, bundle.preprocessing.mean, bundle.preprocessing.std
    ).accuracy
    assert accuracy == pytest.approx(
        bundle.training["test"]["accuracy"], abs=0.03
    )  # 3.5 deviations


def test_a_network_for_other_classes_is_refused():
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 7))
    with pytest.raises(DataError, match="output"):
        evaluate(model, draw_shapes(6), (0.5,) * 3, (0.25,) * 3)
