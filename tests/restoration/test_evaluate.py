"""Benchmarks: what is measured, held against what is known of it."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.metrics import peak_signal_noise_ratio

from deconvviz.io.data.benchmarks import PictureSet, load_pictures
from deconvviz.io.images import photograph
from deconvviz.restoration.classical import (
    biharmonic,
    deblurrers,
    denoisers,
    gaussian_kernel,
    interpolated,
)
from deconvviz.restoration.degradations import blurred, from_image
from deconvviz.restoration.evaluate import (
    bicubic,
    compare,
    enlarging,
    holed,
    noisy,
    soft,
    unchanged,
)
from deconvviz.restoration.metrics import luma, psnr


@pytest.fixture(scope="module")
def cat():
    """A part of a photograph."""
    pixels = from_image(photograph("cat").image)[:, 100:196, 150:246].contiguous()
    return PictureSet("cat", (pixels,), ("cat",))


def test_psnr_is_that_of_scikit_image_and_the_border_is_cut():
    torch.manual_seed(0)
    one, other = torch.randint(256, (2, 3, 20, 30)).float()
    wanted = peak_signal_noise_ratio(one.numpy(), other.numpy(), data_range=255)
    assert math.isclose(psnr(one, other), wanted, rel_tol=1e-6)
    inner = other.clone()
    inner[:, 3:-3, 3:-3] = one[:, 3:-3, 3:-3] + 1
    assert math.isclose(psnr(one, inner, border=3), 20 * math.log10(255), rel_tol=1e-6)


def test_luma_runs_from_16_to_235():
    assert torch.allclose(luma(torch.zeros(3, 1, 1)), torch.tensor(16.0))
    assert torch.allclose(luma(torch.full((3, 1, 1), 255.0)), torch.tensor(235.0))


@pytest.mark.parametrize(("sigma", "wanted"), [(15, 24.61), (25, 20.17), (50, 14.15)])
def test_noise_alone_has_the_published_psnr(cat, sigma, wanted):
    found = compare(noisy(cat, sigma), {"noisy": unchanged})
    assert abs(found["noisy"].mean() - wanted) < 0.15


def test_classical_denoisers_help(cat):
    problems = noisy(cat, 25)
    methods = {"noisy": unchanged, **denoisers(problems, 25)}
    found = compare(problems, methods)
    for name in methods.keys() - {"noisy"}:
        assert found[name].mean() > found["noisy"].mean() + 3, name


def test_classical_deblurrers_help(cat):
    problems = soft(cat)
    found = compare(problems, {"blurred": unchanged, **deblurrers(problems, 1.6)})
    assert found["Richardson-Lucy"].mean() > found["blurred"].mean() + 0.5
    assert found["Wiener"].mean() > found["blurred"].mean() + 0.5


def test_classical_inpainting_keeps_known_pixels_and_is_near_the_others(cat):
    problems = holed(cat, 0.3)
    known = problems[0].given[3:] > 0
    for method in (interpolated, biharmonic):
        filled = method(problems[0].given)
        wanted = problems[0].original
        assert torch.allclose((filled - wanted) * known, torch.zeros(()), atol=1e-3)
        assert compare(problems, {"it": method})["it"].mean() > 28


def test_the_kernel_is_the_blur():
    dot = torch.zeros(1, 31, 31)
    dot[0, 15, 15] = 1
    kernel = gaussian_kernel(1.6)
    assert np.allclose(blurred(dot, 1.6)[0, 9:22, 9:22], kernel, atol=1e-6)
    pixels = np.random.default_rng(0).random((20, 20))
    slow = ndimage.convolve(pixels, kernel, mode="reflect")
    assert np.allclose(blurred(torch.tensor(pixels[None]), 1.6)[0], slow, atol=1e-5)


def test_a_checkerboard_is_found(cat):
    problems = enlarging(cat, 3)
    pattern = torch.zeros(1, 96, 96)
    pattern[:, ::3, ::3] = 90  # a ninth of the pixels: a standard deviation of 28

    def patterned(small):
        return bicubic(3)(small) + pattern

    found = compare(problems, {"bicubic": bicubic(3), "patterned": patterned}, period=3)
    assert abs(found["patterned"].mean("spread") - 90 * (1 / 9 - 1 / 81) ** 0.5) < 1
    assert found["bicubic"].mean("spread") < 1


@pytest.mark.data
@pytest.mark.parametrize(("scale", "wanted"), [(2, 33.66), (3, 30.39), (4, 28.42)])
def test_bicubic_has_the_published_psnr_on_set5(folder_with, scale, wanted):
    problems = enlarging(load_pictures("set5", folder_with("restoration")), scale)
    assert abs(compare(problems, {"bicubic": bicubic(scale)})["bicubic"].mean() - wanted) < 0.02
