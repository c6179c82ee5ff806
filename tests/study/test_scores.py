"""Accuracy, likelihood, calibration and robustness of classifiers whose answers are known."""

import math

import pytest
import torch
from torch import nn

import deconvviz as dv
from deconvviz.errors import DataError
from deconvviz.io.data import Dataset, draw_shapes
from deconvviz.study.corruptions import CORRUPTIONS, corrupted
from deconvviz.study.scores import calibration_error, robustness, score
from deconvviz.training import evaluate

NOTHING = ((0.0,), (1.0,))


class Known(nn.Module):
    """Reads its probability of class 1 from the brightness of a grey picture."""

    def __init__(self):
        super().__init__()
        self.none = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        p = x.mean((1, 2, 3)).double()
        return torch.stack([1 - p, p], 1).log().float() + self.none


def pictures(levels, labels):
    images = torch.tensor(levels, dtype=torch.uint8).view(-1, 1, 1, 1).repeat(1, 1, 8, 8)
    return Dataset(images, torch.tensor(labels), ("no", "yes"), "levels")


def slow_error(confidence, correct, bins=15):
    total = 0.0
    for low in range(bins):
        inside = [
            (c, r)
            for c, r in zip(confidence, correct, strict=True)
            if low / bins < c <= (low + 1) / bins or (low == 0 and c == 0)
        ]
        if inside:
            accuracy = sum(r for _, r in inside) / len(inside)
            mean = sum(c for c, _ in inside) / len(inside)
            total += len(inside) / len(confidence) * abs(accuracy - mean)
    return total


@pytest.mark.parametrize("bins", [1, 7, 15])
def test_calibration_error_is_that_of_a_slow_loop(bins):
    generator = torch.Generator().manual_seed(bins)
    confidence = torch.rand(500, generator=generator, dtype=torch.float64)
    confidence[:3] = torch.tensor([0.0, 1.0, 1e-12])
    correct = torch.rand(500, generator=generator) < 0.7
    wanted = slow_error(confidence.tolist(), correct.tolist(), bins)
    assert calibration_error(confidence, correct, bins) == pytest.approx(wanted, abs=1e-12)


def test_calibration_error_by_hand():
    # bin (0.6, 0.667]: two, half of them right; bin (0.867, 0.933]: two, both right
    confidence = torch.tensor([0.62, 0.64, 0.9, 0.92], dtype=torch.float64)
    correct = torch.tensor([True, False, True, True])
    assert calibration_error(confidence, correct) == pytest.approx(0.5 * 0.13 + 0.5 * 0.09)
    exact = torch.full((10,), 0.7, dtype=torch.float64)
    assert calibration_error(exact, torch.arange(10) < 7) == pytest.approx(0, abs=1e-12)
    assert calibration_error(torch.ones(4), torch.zeros(4, dtype=torch.bool)) == 1


def test_measures_by_hand():
    levels, labels = [51, 204, 229, 153], [0, 1, 0, 1]  # 0.2, 0.8, 0.898, 0.6 for "yes"
    found = score(Known(), pictures(levels, labels), *NOTHING, batch_size=3)
    true = [0.8, 0.8, 1 - 229 / 255, 0.6]
    assert found.accuracy == 0.75
    assert found.nll == pytest.approx(-sum(map(math.log, true)) / 4, rel=1e-5)
    gaps = [2 * 0.2, 229 / 255, 0.4]  # both of 0.8 are in one bin, and right
    assert found.ece == pytest.approx(sum(gaps) / 4, rel=1e-5)


def test_measures_agree_with_evaluate_and_depend_on_neither_batch_nor_mode():
    bundle = dv.load("demo")
    shapes = draw_shapes(50)
    data = Dataset(shapes.images, torch.arange(50) % 10, bundle.classes, "shapes")
    statistics = (bundle.preprocessing.mean, bundle.preprocessing.std)
    model = bundle.model.train()
    found = [score(model, data, *statistics, batch_size=size) for size in (50, 7)]
    assert model.training
    evaluation = evaluate(model, data, *statistics)
    model.eval()
    for one in found:
        assert one.accuracy == evaluation.accuracy
        assert one.nll == pytest.approx(evaluation.loss, rel=1e-4)
        assert one.ece == pytest.approx(found[0].ece, abs=1e-3)


def test_robustness_is_the_accuracy_on_each_corrupted_set():
    reported = []
    data = pictures([20 * i for i in range(12)], [i // 6 for i in range(12)])
    found = robustness(
        Known(), data, *NOTHING, seed=5, progress=lambda *step: reported.append(step[1:])
    )
    assert list(found) == list(CORRUPTIONS)
    assert reported == [(done, 20) for done in range(1, 21)]
    for name, accuracies in found.items():
        for severity, accuracy in enumerate(accuracies, 1):
            images = corrupted(data.images, name, severity, seed=5)
            decided = images.double().mean((1, 2, 3)) > 127.5
            assert accuracy == (decided.long() == data.labels).double().mean().item()
    assert found["brightness"][4] < found["brightness"][0] <= 1


def test_robustness_is_repeatable():
    data = pictures([20 * i for i in range(12)], [i // 6 for i in range(12)])
    assert robustness(Known(), data, *NOTHING) == robustness(Known(), data, *NOTHING)


def test_what_cannot_be_measured_is_refused():
    data = pictures([1, 2], [0, 1])
    for function in (score, robustness):
        with pytest.raises(DataError, match="`levels` has no pictures to measure"):
            function(Known(), data.subset([]), *NOTHING)
        with pytest.raises(DataError, match="pictures of 1 channels, and the network takes 3; lo"):
            function(Known(), data, (0.5,) * 3, (0.2,) * 3)
    with pytest.raises(DataError, match="no decisions, so no calibration error"):
        calibration_error(torch.zeros(0), torch.zeros(0, dtype=torch.bool))
