"""The Fréchet distance, against SciPy's matrix root and closed forms; and the checkerboard."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import nn

from deconvviz.restoration.frechet import features_of, frechet_distance, phase_spread


def drawn(seed, count=500, dimensions=6):
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(dimensions, dimensions, generator=generator)
    return torch.randn(count, dimensions, generator=generator) @ mix + seed


def test_it_is_the_formula_with_scipys_root():
    one, other = drawn(0), drawn(1)
    (m, c), (n, d) = (
        (f.double().numpy().mean(0), np.cov(f.double().numpy().T)) for f in (one, other)
    )
    expected = ((m - n) ** 2).sum() + np.trace(c + d - 2 * sqrtm(c @ d).real)
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-8)


def test_it_is_nothing_for_equal_sets_and_the_same_both_ways():
    one, other = drawn(0), drawn(1)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(one, other) == pytest.approx(frechet_distance(other, one))


def test_of_a_shift_and_a_scale_it_is_known():
    one = drawn(0)
    assert frechet_distance(one, one + 3) == pytest.approx(6 * 9, rel=1e-6)
    centred = one - one.mean(0)
    # (1 - 2)^2 times the sum of the variances
    assert frechet_distance(centred, 2 * centred) == pytest.approx(float(one.double().var(0).sum()))


def test_more_features_than_pictures_give_a_number():
    assert 0 <= frechet_distance(drawn(0, 4), drawn(1, 4)) < 1e4


def test_features_do_not_depend_on_blocks():
    images = torch.rand(1203, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    found = features_of(lambda block: block.flatten(1) * 2, images)
    assert torch.equal(found, images.flatten(1) * 2)


def test_a_checkerboard_is_seen_and_noise_and_slopes_are_not():
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(200, 1, 32, 32, generator=generator)
    slope = torch.linspace(0, 1, 32).expand(1, 1, 32, 32)
    row, column = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    board = ((row + column) % 2).float() * 0.1
    assert phase_spread(noise) < 0.005
    assert phase_spread(slope) < 0.02
    assert phase_spread(noise + board) == pytest.approx(0.05, abs=0.005)
    # over a period of 4 it has the same spread, and one of period 3 would have none over 2
    assert phase_spread(board[None, None], 4) == pytest.approx(0.05, abs=1e-6)
    thirds = ((row + column) % 3 == 0).float()
    assert phase_spread(thirds[None, None], 2) < 0.02


@pytest.mark.parametrize(("kernel", "even"), [(3, False), (4, True)])
def test_of_transposed_convolutions_only_odd_kernels_draw_one(kernel, even):
    """Of equal weights on a constant map: 4x4 kernels give each pixel four contributions."""
    up = nn.ConvTranspose2d(1, 1, kernel, 2, padding=1, output_padding=4 - kernel, bias=False)
    nn.init.ones_(up.weight)
    with torch.no_grad():
        drawn_maps = up(torch.ones(1, 1, 16, 16))
    assert (phase_spread(drawn_maps) < 1e-9) == even
