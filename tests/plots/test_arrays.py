"""Pictures as arrays: sizes, places, and nothing lost."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from deconvviz.plots import arrays
from deconvviz.plots.arrays import GREY


def random_picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 60))
def test_enlarging_repeats_pixels_and_shrinking_by_slices_gives_them_back(height, width, side):
    picture = random_picture(height, width)
    large = arrays.enlarge(picture, side, crisp=True)
    factor = large.shape[0] // height
    assert large.shape == (height * factor, width * factor, 3)
    assert np.array_equal(large[::factor, ::factor], picture)
    assert factor == max(1, round(side / max(height, width)))


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 60))
def test_smooth_enlargement_has_the_same_size_and_keeps_what_is_flat(height, width, side):
    picture = random_picture(height, width)
    large = arrays.enlarge(picture, side)
    assert large.shape == arrays.enlarge(picture, side, crisp=True).shape
    flat = np.full_like(picture, 77)
    assert (arrays.enlarge(flat, side) == 77).all()


def test_smooth_enlargement_leaves_a_slope_a_slope_in_its_place():
    slope = np.arange(0, 160, 10, dtype=np.uint8)[None, :, None].repeat(4, 0).repeat(3, 2)
    row = arrays.enlarge(slope, 160)[20, :, 0].astype(float)
    centres = (np.arange(160) + 0.5) / 10 - 0.5
    inner = slice(20, 140)
    assert np.abs(row - 10 * centres)[inner].max() < 1.1
    assert np.diff(row[inner]).max() <= 2  # no steps


@given(st.integers(-12, 12), st.integers(-12, 12), st.integers(1, 12), st.integers(1, 12))
def test_a_crop_is_the_picture_inside_and_grey_outside(top, left, height, width):
    picture = random_picture(7, 9)
    cropped = arrays.crop(picture, (top, left, top + height, left + width))
    assert cropped.shape == (height, width, 3)
    for y in range(height):
        for x in range(width):
            inside = 0 <= top + y < 7 and 0 <= left + x < 9
            expected = picture[top + y, left + x] if inside else (GREY,) * 3
            assert np.array_equal(cropped[y, x], expected)


def test_frames_stand_around_their_boxes_and_hide_nothing_in_them():
    picture = np.zeros((20, 30, 3), np.uint8)
    canvas = arrays.framed(picture, [(2, 3, 8, 9)], chosen=(10, 15, 16, 21), side=300)
    assert canvas.shape == (200, 300, 3)
    assert not canvas[20:80, 30:90].any()
    assert not canvas[100:160, 150:210].any()
    assert (canvas == (255, 255, 255)).all(2).any()
    assert (canvas == arrays._CHOSEN).all(2).any()


def test_a_frame_may_leave_the_picture():
    framed = arrays.framed(random_picture(10, 10), [(-5, -5, 4, 4)], (8, 8, 14, 14), side=10)
    assert framed.shape == (10, 10, 3)


def test_a_mosaic_shows_every_tile_and_nothing_between():
    tiles = [random_picture(3, 4, seed) for seed in range(5)]
    sheet = arrays.mosaic(tiles, columns=2, gap=2, side=8, crisp=True)
    assert sheet.shape == (3 * 6 + 2 * 2, 2 * 8 + 2, 4)
    for place, tile in enumerate(tiles):
        y, x = place // 2 * 8, place % 2 * 10
        assert np.array_equal(sheet[y : y + 6 : 2, x : x + 8 : 2, :3], tile)
    shown = 5 * 6 * 8
    assert (sheet[..., 3] == 255).sum() == shown
    assert (sheet[..., 3] == 0).sum() == sheet[..., 3].size - shown


def test_a_mosaic_has_room_for_tiles_that_are_not_there():
    tile = random_picture(3, 4)
    sheet = arrays.mosaic([tile], columns=3, gap=1, places=9)
    assert sheet.shape == (3 * 3 + 2, 3 * 4 + 2, 4)
    assert np.array_equal(sheet[:3, :4, :3], tile)
    assert (sheet[..., 3] == 255).sum() == 3 * 4


@given(st.sampled_from([1, 2, 3, 5]), st.floats(-50, 50), st.floats(0.1, 50))
def test_stretching_keeps_differences_from_black_to_white(channels, low, width):
    images = low + width * np.random.default_rng(0).random((2, channels, 5, 6))
    shown = arrays.stretched(images)
    assert shown.shape == (2, 5, 6, 3)
    assert shown.dtype == np.uint8
    for image, seen in zip(images, shown, strict=True):
        truth = image if channels == 3 else image.mean(0)[None].repeat(3, 0)
        expected = np.interp(truth, [truth.min(), truth.max()], [0, 255])
        assert np.abs(seen.transpose(2, 0, 1) - expected).max() <= 0.5 + 1e-6


def test_a_flat_image_is_black_and_no_division_by_zero():
    assert not arrays.stretched(np.full((1, 3, 4, 4), 7.0)).any()
