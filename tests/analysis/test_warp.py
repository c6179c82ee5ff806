"""Moved, scaled and turned pictures, against arrays that were moved by hand."""

from typing import get_args

import numpy as np
import pytest
import torch

from deconvviz.analysis.warp import Border, rotated, scaled, shifted

PAD = {"reflect": "symmetric", "edge": "edge", "mean": "constant"}


def noise(height=12, width=12, seed=0):
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(seed))


def near(first, second):
    torch.testing.assert_close(first, second, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("border", get_args(Border))
def test_nothing_happens_at_strength_zero_to_the_last_bit(border):
    images = noise()
    for same in (
        shifted(images, 0, border),
        scaled(images, 1, border),
        rotated(images, 0, border),
        rotated(images, -720, border),
    ):
        assert torch.equal(same, images)


@pytest.mark.parametrize("border", get_args(Border))
@pytest.mark.parametrize("pixels", [1, 5, -3])
def test_a_shift_moves_rows_down_and_fills_what_it_leaves(border, pixels):
    images = noise(10, 14)
    by = abs(pixels)
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (by, by), (0, 0)), mode=PAD[border])
    expected = torch.from_numpy(padded)[:, :, by - pixels : by - pixels + 10]
    # where zeros begin, bicubic interpolation at whole pixels still gives the pixels themselves
    near(shifted(images, pixels, border), expected)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_quarter_turns_are_exact_and_counter_clockwise(turns):
    near(rotated(noise(), 90 * turns), torch.rot90(noise(), turns, (2, 3)))


def test_an_oblong_picture_turns_without_being_squeezed():
    near(rotated(noise(6, 16), 180), noise(6, 16).flip(2, 3))
    y, x = torch.meshgrid(torch.arange(20.0) - 9.5, torch.arange(40.0) - 19.5, indexing="ij")
    disc = (6 - (x.square() + y.square()).sqrt()).sigmoid()[None, None]
    torch.testing.assert_close(rotated(disc, 37, "mean"), disc, atol=0.02, rtol=0)


def test_a_slope_gets_less_steep_as_it_is_enlarged():
    slope = (torch.arange(16.0) - 7.5).expand(1, 1, 16, 16)
    for large, small in ((scaled(slope, 2.0), slope), (scaled(slope.mT, 2.0).mT, slope)):
        # torch's bicubic interpolation bends a slope of 1 by up to 0.05 between pixels
        torch.testing.assert_close(large[..., 2:-2], small[..., 2:-2] / 2, atol=0.06, rtol=0)


def test_what_shrinks_is_averaged_so_that_fine_patterns_become_grey():
    signs = (-1.0) ** torch.arange(32)
    board = (signs[:, None] * signs)[None, None]
    assert float(scaled(board, 0.5)[..., 10:22, 10:22].abs().max()) < 0.05
    blocks = noise(8, 8).repeat_interleave(4, 2).repeat_interleave(4, 3)
    small = scaled(blocks, 0.25)[..., 12:20, 12:20]
    assert float(torch.corrcoef(torch.stack([small.flatten(), noise(8, 8).flatten()]))[0, 1]) > 0.9
