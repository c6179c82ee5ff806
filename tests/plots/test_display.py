"""Signed pixels as pictures, against a slow way to draw them."""

import numpy as np
import pytest
import torch

from deconvviz.errors import PictureError
from deconvviz.plots.display import display, display_caption, number, percent


def slow_display(pixels: np.ndarray, percentile: float) -> np.ndarray:
    """`display` of one picture (C, h, w), value by value."""
    if len(pixels) != 3:
        pixels = np.stack([pixels.mean(axis=0)] * 3)
    magnitudes = sorted((abs(x) for x in pixels.flat if x != 0), reverse=True)
    shown = np.full((*pixels.shape[1:], 3), 128, dtype=np.uint8)
    if magnitudes:
        full = magnitudes[int(len(magnitudes) * (1 - percentile / 100))]
        for c, y, x in np.ndindex(pixels.shape):
            shown[y, x, c] = 128 + round(127 * max(-1, min(1, pixels[c, y, x] / full)))
    return shown


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
@pytest.mark.parametrize("percentile", [50, 99.5, 100])
def test_display_equals_the_slow_way(channels, percentile):
    batch = torch.randn(4, channels, 11, 13, dtype=torch.float64)
    batch[1] = 0
    batch[2, :, 3:] = 0
    shown = display(batch, percentile=percentile)
    assert (shown.dtype, shown.shape) == (np.uint8, (4, 11, 13, 3))
    for one, picture in zip(batch, shown, strict=True):
        assert np.array_equal(picture, slow_display(one.numpy(), percentile))
        assert np.array_equal(picture, display(one, percentile=percentile))


def test_zero_is_grey_and_signs_are_symmetric():
    batch = torch.randn(5, 3, 20, 20)
    assert (display(torch.zeros(3, 9, 9)) == 128).all()
    assert np.array_equal(display(batch).astype(int) - 128, 128 - display(-batch).astype(int))


def test_display_does_not_depend_on_the_unit():
    batch = torch.randn(5, 3, 20, 20)
    assert np.array_equal(display(batch), display(batch * 2.0**40))
    assert np.array_equal(display(batch), display(batch * 2.0**-40))


def test_a_window_looks_the_same_in_its_whole_picture():
    window = torch.randn(3, 14, 14)
    whole = torch.zeros(3, 64, 64)
    whole[:, 10:24, 30:44] = window
    assert np.array_equal(display(whole)[10:24, 30:44], display(window))


def test_a_shared_scale_keeps_pictures_comparable():
    batch = torch.randn(1, 3, 16, 16).repeat(2, 1, 1, 1)
    batch[1] /= 4
    shown = display(batch, scale="shared", percentile=100).astype(int) - 128
    assert np.abs(shown[0]).max() == 127
    assert np.abs(shown[1]).max() == 32
    assert np.array_equal(*(display(batch)))


def test_a_given_scale_is_the_magnitude_at_full_contrast():
    shown = display(
        torch.tensor([-4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0]).reshape(1, 1, 7), scale=2.0
    )
    assert shown[0, :, 0].tolist() == [1, 1, 64, 128, 192, 255, 255]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_display_takes_every_float_type_and_gradients(dtype):
    batch = torch.randint(-8, 9, (2, 3, 9, 9)).to(dtype).requires_grad_()
    assert np.array_equal(display(batch), display(batch.float()))


def test_display_takes_more_pixels_than_torch_quantile():
    pixels = torch.ones(3, 2400, 2400)
    pixels[:, 0] = 100
    assert display(pixels)[1, 0, 0] == 255


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_pixels_that_are_not_finite_are_refused(value):
    pixels = torch.zeros(3, 9, 9)
    pixels[1, 2, 3] = value
    with pytest.raises(PictureError, match="finite"):
        display(pixels)


@pytest.mark.parametrize("shape", [(9, 9), (0, 3, 9, 9), (3, 0, 9), (1, 1, 3, 9, 9)])
def test_pixels_of_another_form_are_refused(shape):
    with pytest.raises(PictureError, match="shape"):
        display(torch.zeros(shape))


@pytest.mark.parametrize("options", [{"scale": s} for s in (0.0, -1.0, float("inf"), float("nan"))])
def test_scales_that_say_nothing_are_refused(options):
    with pytest.raises(PictureError, match="scale"):
        display(torch.ones(3, 9, 9), **options)


@pytest.mark.parametrize("percentile", [0, -1, 101, float("nan")])
def test_percentiles_that_say_nothing_are_refused(percentile):
    with pytest.raises(PictureError, match="percentile"):
        display(torch.ones(3, 9, 9), percentile=percentile)


def test_captions_say_how_signed_pixels_are_shown():
    caption = display_caption()
    assert "symmetric about grey" in caption
    assert "percentile 99.5 of each picture's" in caption
    assert "normalised input units" in caption
    assert "percentile 90 of all pictures'" in display_caption(scale="shared", percentile=90)
    assert "full contrast at 0.25." in display_caption(scale=0.25, denormalised=True)
    assert ", denormalised," in display_caption(denormalised=True)


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (0.01234, ".3g", "0.0123"),
        (2.03e-8, ".3g", "2.03 · 10⁻⁸"),
        (-2.03e-8, ".2g", "−2 · 10⁻⁸"),
        (3456.7, ".3g", "3460"),
        (3456.7, "+.3g", "+3460"),
        (-3456.7, ".3g", "−3460"),
        (-0.5, "+.3g", "−0.5"),
        (2.5e12, ".3g", "2.5 · 10¹²"),
        (0.0, ".3g", "0"),
        (float("nan"), ".3g", "nan"),
    ],
)
def test_numbers_are_written_for_people(value, form, text):
    assert number(value, form) == text


@pytest.mark.parametrize(
    ("share", "digits", "text"),
    [
        (0.444, 0, "44%"),
        (0.0, 0, "0%"),
        (1.0, 0, "100%"),
        (0.004, 0, "<1%"),
        (0.006, 0, "1%"),
        (0.997, 0, ">99%"),
        (0.004, 1, "0.4%"),
        (0.0004, 1, "<0.1%"),
        (0.9997, 1, ">99.9%"),
        (1.0, 1, "100%"),
        (0.0, 1, "0%"),
    ],
)
def test_a_share_is_none_or_all_only_if_it_is_exactly(share, digits, text):
    assert percent(share, digits) == text
