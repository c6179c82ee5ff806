"""How a picture becomes a network's input, held against torchvision's own transforms."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from deconvviz.io.preprocess import Preprocess

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
SMALL = Preprocess(32, MEAN, STD)
CUT = Preprocess(56, MEAN, STD, resize=64, interpolation=Image.Resampling.BILINEAR)


def picture(width, height, seed=0):
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_a_picture_of_the_trained_size_passes_untouched():
    image = picture(32, 32)
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).double() / 255
    mean, std = (torch.tensor(values).double().view(3, 1, 1) for values in (MEAN, STD))
    assert torch.allclose(SMALL.tensor(image).double(), (pixels - mean) / std, atol=1e-5)
    assert SMALL.box(image) == (0, 0, 32, 32)
    assert CUT.box(picture(56, 56)) == (0, 0, 56, 56)


@pytest.mark.parametrize("kind", ["BILINEAR", "BICUBIC"])
@pytest.mark.parametrize("size", [(300, 200), (201, 333), (64, 64), (57, 40), (999, 70)])
def test_it_is_what_torchvision_does(size, kind):
    from torchvision.transforms._presets import ImageClassification
    from torchvision.transforms.functional import InterpolationMode

    theirs = ImageClassification(
        crop_size=56, resize_size=64, mean=MEAN, std=STD, interpolation=InterpolationMode[kind]
    )
    ours = Preprocess(56, MEAN, STD, 64, Image.Resampling[kind])
    image = picture(*size)
    assert torch.allclose(ours.tensor(image), theirs(image), atol=1e-5)


@given(st.integers(8, 400), st.integers(8, 400), st.sampled_from([SMALL, CUT]))
def test_the_box_is_a_square_of_the_right_side(width, height, preprocessing):
    """A square of the side that the resizing leaves, inside the picture."""
    image = Image.new("RGB", (width, height))
    top, left, bottom, right = preprocessing.box(image)
    assert 0 <= top < bottom <= height
    assert 0 <= left < right <= width
    scale = (preprocessing.resize or preprocessing.size) / min(width, height)
    side = (
        preprocessing.size
        if image.size == (preprocessing.size,) * 2
        else preprocessing.size / scale
    )
    rounded = 1.5 + side / preprocessing.size  # the longer side is rounded down when it is resized
    assert abs(bottom - top - side) <= rounded
    assert abs(right - left - side) <= rounded


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (64, 64), (20, 10)])
def test_without_a_cut_the_largest_central_square_is_seen(size):
    width, height = size
    top, left, bottom, right = SMALL.box(picture(width, height))
    assert bottom - top == right - left == min(size)
    assert (top, left) == ((height - bottom + top) // 2, (width - right + left) // 2)


def test_a_picture_keeps_its_size_where_that_is_asked_for():
    assert SMALL.tensor(picture(70, 50), size=None).shape == (3, 50, 70)
    assert SMALL.tensor(picture(70, 50), size=48).shape == (3, 48, 48)
    assert CUT.view(picture(200, 100), size=112).size == (112, 112)


def test_one_channel_is_grey():
    grey = Preprocess(16, (0.5,), (0.25,))
    image = picture(40, 30)
    assert grey.input_size == (1, 16, 16)
    expected = (np.asarray(grey.view(image).convert("L"), np.float32) / 255 - 0.5) / 0.25
    assert np.allclose(grey.tensor(image).numpy()[0], expected, atol=1e-5)


def test_a_long_strip_takes_no_gigabytes():
    """Resized whole, it would be 1.5 million pixels wide."""
    strip = Image.new("RGB", (60_000, 2), (200, 100, 50))
    assert CUT.view(strip).size == (56, 56)
    top, left, bottom, right = CUT.box(strip)
    assert (top, bottom) == (0, 2)
    assert abs((left + right) / 2 - 30_000) <= 1


@pytest.mark.parametrize("size", [(300, 200), (121, 260), (56, 56), (64, 90)])
def test_the_box_holds_what_is_seen(size):
    """White in the box makes all that is seen white, white around it nothing."""
    image = Image.new("RGB", size)
    top, left, bottom, right = CUT.box(image)
    image.paste((255, 255, 255), (left, top, right, bottom))
    seen = np.asarray(CUT.view(image))
    assert (seen[3:-3, 3:-3] == 255).all()
    image = Image.new("RGB", size, (255, 255, 255))
    image.paste((0, 0, 0), (left, top, right, bottom))
    assert not np.asarray(CUT.view(image))[3:-3, 3:-3].any()


def test_normalised_pixels_are_given_back_as_they_were():
    image = picture(32, 32)
    assert np.array_equal(SMALL.pixels(SMALL.tensor(image)[None])[0], np.asarray(image))
    grey = Preprocess(32, (0.5,), (0.25,))
    shown = grey.pixels(grey.tensor(image)[None])[0]
    assert np.array_equal(shown, np.asarray(image.convert("L").convert("RGB")))
