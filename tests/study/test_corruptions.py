"""Pictures made worse: by as much as stated, the same for everybody."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from deconvviz.errors import DataError, SettingError
from deconvviz.io.data import draw_shapes
from deconvviz.study import corruptions
from deconvviz.study.corruptions import BLUR, BRIGHTNESS, CORRUPTIONS, JPEG, NOISE, corrupted


def grey(level, side=32, count=1, channels=3):
    return torch.full((count, channels, side, side), level, dtype=torch.uint8)


def psnr(images, worse):
    error = (images.double() - worse.double()).square().mean().item() / 255**2
    return -10 * math.log10(error)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_five_severities_take_ever_more_from_the_pictures(name):
    images = draw_shapes(60).images
    before = images.clone()
    worse = [corrupted(images, name, severity) for severity in (1, 2, 3, 4, 5)]
    assert all(w.shape == images.shape and w.dtype == torch.uint8 for w in worse)
    left = [psnr(images, w) for w in worse]
    assert left == sorted(left, reverse=True)
    assert torch.equal(images, before)


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_noise_has_the_stated_deviation_and_no_mean(severity):
    worse = corrupted(grey(128, side=100, count=4), "noise", severity).double()
    deviation = math.hypot(NOISE[severity - 1] * 255, 1 / math.sqrt(12))  # and that of rounding
    assert worse.std().item() == pytest.approx(deviation, rel=0.01)
    assert worse.mean().item() == pytest.approx(128, abs=4 * deviation / math.sqrt(worse.numel()))
    channels = worse.transpose(0, 1).flatten(1)
    assert np.abs(np.corrcoef(channels) - np.eye(3)).max() < 0.03


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_blur_is_the_gaussian_of_scipy(severity, channels):
    images = torch.randint(256, (3, channels, 20, 27), dtype=torch.uint8)
    deviation, found = BLUR[severity - 1], corrupted(images, "blur", severity)
    sigma = (0, 0, deviation, deviation)
    radius = (0, 0, *[math.ceil(4 * deviation)] * 2)
    wanted = ndimage.gaussian_filter(images.double().numpy(), sigma, mode="mirror", radius=radius)
    assert np.abs(found.double().numpy() - wanted).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_brightness_adds_the_same_everywhere_and_is_clipped(severity):
    images = draw_shapes(5, channels=4).images
    wanted = images.double() + 255 * BRIGHTNESS[severity - 1]
    found = corrupted(images, "brightness", severity).double()
    assert (found - wanted.clamp(max=255)).abs().max() <= 0.5 + 1e-4


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_keeps_flat_pictures_and_is_each_pictures_own(channels):
    images = draw_shapes(6, channels=channels).images
    assert (corrupted(grey(128, channels=channels), "jpeg", 5).int() - 128).abs().max() <= 1
    together = corrupted(images, "jpeg", 3)
    alone = torch.cat([corrupted(image[None], "jpeg", 3) for image in images])
    assert torch.equal(together, alone)


def test_jpeg_loses_what_a_quantised_cosine_transform_loses():
    """Grey: in each block of 8 pixels, cosines rounded to the steps of the standard's table K.1."""
    images = draw_shapes(4, channels=1).images
    scale = 5000 / JPEG[3] if JPEG[3] < 50 else 200 - 2 * JPEG[3]
    table = np.clip(np.floor((np.array(LUMINANCE) * scale + 50) / 100), 1, 255)
    k, x = np.indices((8, 8))
    basis = np.cos((2 * x + 1) * k * np.pi / 16) * np.where(k == 0, math.sqrt(1 / 8), 0.5)
    blocks = images.double().numpy().reshape(4, 4, 8, 4, 8).transpose(0, 1, 3, 2, 4) - 128
    cosines = np.round(basis @ blocks @ basis.T / table) * table
    wanted = np.clip(np.round(basis.T @ cosines @ basis + 128), 0, 255)
    found = corrupted(images, "jpeg", 4).numpy().reshape(4, 4, 8, 4, 8).transpose(0, 1, 3, 2, 4)
    assert np.mean(np.abs(found - wanted) <= 2) > 0.98  # its arithmetic is of whole numbers


LUMINANCE = [
    [16, 11, 10, 16, 24, 40, 51, 61],
    [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77],
    [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101],
    [72, 92, 95, 98, 112, 100, 103, 99],
]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_seed_gives_the_same_pictures(name, monkeypatch):
    images = draw_shapes(20).images
    first = corrupted(images, name, 2, seed=3)
    torch.manual_seed(0)
    assert torch.equal(first, corrupted(images, name, 2, seed=3))
    assert torch.equal(first, corrupted(images, name, 2, seed=4)) == (name != "noise")


def test_many_pictures_go_in_blocks_with_noise_of_their_own(monkeypatch):
    monkeypatch.setattr(corruptions, "_BLOCK_NUMBERS", 3 * 32 * 32 * 4)
    worse = corrupted(grey(128, count=10), "noise", 3)
    assert len({picture.numpy().tobytes() for picture in worse}) == 10
    images = draw_shapes(10).images
    blurred = corrupted(images, "blur", 3)
    monkeypatch.undo()
    assert torch.equal(blurred, corrupted(images, "blur", 3))


def test_what_cannot_be_is_refused():
    images = draw_shapes(2, channels=2).images
    with pytest.raises(SettingError, match="no corruption `fog`; there are noise, blur, brightnes"):
        corrupted(images, "fog", 1)
    for severity in (0, 6, -1):
        with pytest.raises(SettingError, match=f"no severity {severity}; there are 1, 2, 3, 4, 5"):
            corrupted(images, "noise", severity)
    with pytest.raises(DataError, match="JPEG holds pictures of 1 or 3 channels, not 2; leave"):
        corrupted(images, "jpeg", 1)
    with pytest.raises(DataError, match="pictures of 4x4 are too small for a blur of 6 pixels"):
        corrupted(grey(0, side=4), "blur", 5)
