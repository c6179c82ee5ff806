"""The script that measures segmenters, detectors and generators: its own arithmetic."""

import sys
from pathlib import Path

import pytest
import torch

from deconvviz.io.data import draw_shapes

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import dense


def test_the_best_linear_map_undoes_any_linear_map():
    images = draw_shapes(4, size=16).images
    mix = torch.tensor([[1.0, 2, 0], [0, 1, -1], [3, 0, 1], [1, 1, 1]])

    def backs(pictures):
        return torch.einsum("kc,nchw->nkhw", mix, pictures.float()) + 5

    assert torch.allclose(dense.fitted(backs, images)(images), images.float(), atol=1e-3)


def test_the_best_linear_map_of_nothing_is_the_mean_colour():
    images = draw_shapes(4, size=16).images
    found = dense.fitted(lambda p: torch.zeros(len(p), 2, 16, 16), images)(images)
    assert torch.allclose(found, images.float().mean((0, 2, 3)).view(1, 3, 1, 1).expand_as(found))


def test_one_percent_has_the_proportions_of_the_classes():
    data = draw_shapes(1200, size=8)
    features = torch.arange(1200.0)[:, None]
    chosen, labels = dense.share(features, data, seed=0)
    assert torch.bincount(labels).tolist() == [2] * 6
    assert torch.equal(data.labels[chosen[:, 0].long()], labels)
    assert not torch.equal(chosen, dense.share(features, data, seed=1)[0])


def test_quality_is_of_whole_grey_levels():
    images = draw_shapes(2, size=16).images
    for mae, decibels, similarity in dense.quality(images.float() + 0.4, images):
        assert mae == 0
        assert decibels == float("inf")
        assert similarity == pytest.approx(1)
    mae, decibels, _ = dense.quality((images.float() - 10).abs(), images)[0]
    assert mae == pytest.approx(10, abs=1)
    assert decibels == pytest.approx(28.1, abs=0.5)


def test_a_mean_over_seeds_has_its_deviation():
    assert dense.spread([1.0], 1) == "1.0"
    assert dense.spread([1.0, 3.0], 1, 10) == "20.0 ± 14.1"
