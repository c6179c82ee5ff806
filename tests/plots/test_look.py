"""How windows are shown: faint ones stay faint, and a patch is seen where its projection lies."""

import numpy as np
import pytest
import torch

from deconvviz.plots.display import display
from deconvviz.plots.look import Look, contrast, extent, seen_through


def spot(y, x, side=40, value=1.0):
    pixels = torch.zeros(3, side, side)
    pixels[:, y, x] = value
    return pixels


def test_contrast_is_full_down_to_a_hundredth_and_falls_in_proportion_below():
    assert contrast([1.0, 0.5, 0.01, 0.005, 0.0]) == [1, 1, 1, 0.5, 0]


def test_a_faint_projection_stays_within_its_share_of_the_contrast():
    pixels = torch.randn(3, 9, 9)
    full, faint = Look().projections([pixels, pixels], [1.0, 0.001]).astype(int)
    assert np.abs(full - 128).max() == 127
    assert np.abs(faint - 128).max() == 13  # a tenth of it
    assert np.array_equal(full, display(pixels))


def test_one_scale_for_all_keeps_their_relation():
    pixels = torch.randn(3, 9, 9)
    each = Look().projections([pixels, pixels / 4], [1.0, 1.0]).astype(int)
    shared = Look(scale="shared").projections([pixels, pixels / 4], [1.0, 1.0]).astype(int)
    assert np.array_equal(each[0], each[1])
    assert np.abs(shared[1] - 128).mean() < np.abs(shared[0] - 128).mean() / 3
    assert np.abs(shared[0] - 128).max() == 127


def test_the_extent_is_where_the_projection_is_whatever_its_sign_and_size():
    shown = extent(spot(10, 30, value=-3e-5))
    assert shown.max() == shown[10, 30] == 1
    assert shown[10, 24] < shown[10, 26] < 1
    assert shown[35, 5] == 0
    assert np.allclose(shown, extent(spot(10, 30, value=7.0)))
    assert not extent(torch.zeros(3, 8, 8)).any()


def test_the_patch_is_seen_there_and_grey_elsewhere():
    patch = np.full((40, 40, 3), 250, np.uint8)
    seen = seen_through(patch, spot(10, 30))
    assert seen[10, 30].tolist() == [250] * 3
    assert seen[35, 5].tolist() == [128] * 3
    assert (seen_through(patch, torch.zeros(3, 40, 40)) == 128).all()
    whole, through = (
        Look(patch=name).patches([patch], [spot(10, 30)]) for name in ("whole", "through")
    )
    assert np.array_equal(whole[0], patch)
    assert np.array_equal(through[0], seen)


@pytest.mark.parametrize("share", [0.5, [0.5, 0.5]])
def test_display_takes_one_contrast_or_one_for_each(share):
    pixels = torch.randn(2, 3, 6, 6)
    half = display(pixels, contrast=share).astype(int)
    assert np.abs(half - 128).max(axis=(1, 2, 3)).tolist() == [64, 64]
