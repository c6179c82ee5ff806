"""Similarity, against scipy and scikit-image."""

import numpy as np
import pytest
import torch
from scipy import ndimage, stats
from skimage import metrics

from deconvviz.analysis.trust.similarity import (
    edges,
    magnitudes,
    rank_correlation,
    structural_similarity,
)


def maps(count=4, size=(12, 15), seed=0):
    return torch.rand(count, *size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("levels", [0, 3])
def test_rank_correlation_is_spearmans_with_and_without_ties(levels):
    ours, other = maps(), maps(1, seed=1)[0]
    if levels:
        ours, other = (ours * levels).round(), (other * levels).round()
    expected = [stats.spearmanr(m.flatten(), other.flatten()).statistic for m in ours]
    found = rank_correlation(ours, other)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_rank_correlation_of_a_constant_is_not_a_number():
    assert rank_correlation(torch.ones(1, 3, 3), maps(1, (3, 3))[0]).isnan().all()


def test_rank_correlation_of_itself_is_one_and_of_its_opposite_minus_one():
    one = maps(1)[0]
    found = rank_correlation(torch.stack([one, one**3, -one]), one)
    torch.testing.assert_close(found, torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))


@pytest.mark.parametrize(
    ("size", "window"), [((12, 15), 7), ((6, 20), 5), ((4, 4), 3), ((3, 9), 3)]
)
def test_structural_similarity_is_scikit_images(size, window):
    ours, other = maps(size=size).double(), maps(1, size, seed=1)[0].double()
    expected = [
        metrics.structural_similarity(
            m.numpy() / m.max().item(),
            other.numpy() / other.max().item(),
            win_size=window,
            data_range=1.0,
        )
        for m in ours
    ]
    np.testing.assert_allclose(structural_similarity(ours, other), expected, atol=1e-9)


def test_structural_similarity_does_not_depend_on_scale():
    ours, other = maps(), maps(1, seed=1)[0]
    one, two = structural_similarity(ours, other), structural_similarity(100 * ours, other / 7)
    torch.testing.assert_close(one, two)


def test_windows_under_three_pixels_have_no_structure():
    assert structural_similarity(maps(size=(2, 9)), maps(1, (2, 9))[0]).isnan().all()


def test_magnitudes_add_channels_whatever_their_sign():
    pixels = torch.tensor([[[1.0]], [[-2.0]], [[0.5]]])
    assert magnitudes(pixels).tolist() == [[3.5]]


def test_edges_are_scipys_sobel():
    image = torch.randn(3, 9, 11)
    expected = 0
    for channel in image.double().numpy():
        y, x = (ndimage.sobel(channel, axis, mode="nearest") for axis in (0, 1))
        expected += np.hypot(y, x) / 8  # scipy's kernels sum to eight times a derivative
    np.testing.assert_allclose(edges(image), expected, atol=1e-12)


def test_edges_of_a_ramp_are_its_slope():
    ramp = torch.arange(8.0).expand(1, 6, 8) * 3
    assert torch.equal(edges(ramp)[:, 1:-1], torch.full((6, 6), 3.0, dtype=torch.float64))
