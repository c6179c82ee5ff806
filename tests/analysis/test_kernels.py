"""What is said of kernels alone, on kernels that were made to have it."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from deconvviz.analysis.kernels import Kernels, kernels_of
from deconvviz.deconv import Deconvnet
from deconvviz.errors import UnknownLayerError
from deconvviz.io.zoo import load


def sheet(weights, stride=(1, 1)):
    return Kernels(weights, "conv", None, stride)


def checkerboard(side):
    signs = (-1.0) ** torch.arange(side)
    return (signs[:, None] * signs).expand(1, 3, side, side)


def random_kernels(seed, units=6, inputs=3, height=5, width=4):
    return torch.randn(
        units, inputs, height, width, generator=torch.Generator().manual_seed(seed)
    ).double()


@pytest.mark.parametrize(("down", "across"), [(0.25, 0.25), (0.1, 0.4), (0.375, 0.125)])
def test_high_frequencies_are_those_that_a_long_fourier_transform_has_there(down, across):
    kernels = random_kernels(0)
    n = 512
    energy = np.abs(np.fft.fft2(kernels.numpy(), (n, n))) ** 2
    f = np.abs(np.fft.fftfreq(n))
    high = (f[:, None] > down) | (f > across)
    expected = energy[..., high].sum((1, 2)) / energy.sum((1, 2, 3))
    np.testing.assert_allclose(sheet(kernels).energy_above(down, across), expected, atol=0.02)


def test_a_checkerboard_is_all_at_nyquist_and_a_constant_has_none_there():
    constant = torch.ones(1, 3, 31, 31)
    assert float(sheet(checkerboard(31)).energy_above(0.375, 0.375)) > 0.95
    assert float(sheet(constant).energy_above(0.375, 0.375)) < 0.01
    # of 3 x 3, by hand: each axis keeps 1 - (3 pi/4 - 2 sqrt 2 + 1) / (3 pi) of its energy
    kept = 1 - (3 * np.pi / 4 - 2 * np.sqrt(2) + 1) / (3 * np.pi)
    small = float(sheet(torch.ones(1, 1, 3, 3)).energy_above(0.375, 0.375))
    assert small == pytest.approx(1 - kept**2)
    assert float(sheet(checkerboard(3)).energy_above(0.375, 0.375)) > 5 * small


def test_random_kernels_have_each_frequency_alike():
    many = sheet(random_kernels(0, units=4000))
    assert float(many.energy_above(0.375, 0.375).mean()) == pytest.approx(1 - 0.75**2, abs=0.01)
    strided = sheet(random_kernels(0, units=4000), stride=(2, 4))
    assert float(strided.aliased.mean()) == pytest.approx(1 - 1 / 8, abs=0.01)


def test_no_stride_aliases_nothing_and_a_stride_aliases_what_it_steps_over():
    kernels = random_kernels(3)
    assert float(sheet(kernels).aliased.max()) < 1e-9
    wave = torch.cos(2 * torch.pi * 0.3 * torch.arange(64.0)).expand(1, 1, 64, 64).double()
    assert (
        float(sheet(wave, (1, 2)).aliased) > 0.95
    )  # 0.3 cycles a pixel, of which 0.25 are carried
    assert float(sheet(wave, (2, 1)).aliased) < 0.05  # down, where it is constant, nothing is lost
    assert float(sheet(wave * 0, (2, 2)).aliased) == 0


def test_a_copied_kernel_finds_its_original_whatever_its_length_and_sign():
    kernels = random_kernels(1)
    kernels[4] = -7 * kernels[1]
    nearest, cosine = sheet(kernels).nearest
    assert (nearest[4], nearest[1]) == (1, 4)
    assert cosine[[1, 4]].tolist() == pytest.approx([-1, -1])
    assert float(cosine[[0, 2, 3, 5]].abs().max()) < 0.9


def test_one_kernel_and_one_of_zeros_have_no_nearest():
    assert sheet(random_kernels(0, units=1)).nearest[1].tolist() == [0]
    kernels = random_kernels(0)
    kernels[2] = 0
    assert float(sheet(kernels).nearest[1][2]) == 0
    assert (float(sheet(kernels).rms[2]), float(sheet(kernels).share[2])) == (0, 0)


def test_shares_add_up_and_follow_the_squared_length():
    kernels = torch.ones(4, 2, 3, 3)
    kernels[3] *= 3
    assert sheet(kernels).rms.tolist() == [1, 1, 1, 3]
    assert sheet(kernels).share.tolist() == pytest.approx([1 / 12, 1 / 12, 1 / 12, 9 / 12])


def test_the_kernels_of_a_strided_convolution_are_those_that_it_applies():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3, stride=(2, 1)), nn.BatchNorm2d(8), nn.ReLU()).eval()
    model[1].running_var.uniform_(0.5, 2)
    nn.init.normal_(model[1].weight)
    found = kernels_of(Deconvnet(model), "2")
    assert (len(found), found.convolution, found.scaled_by) == (8, "0", "1")
    images = torch.randn(2, 3, 9, 9)
    with torch.no_grad():
        difference = model[:2](images) - model[:2](images * 0)
    ours = functional.conv2d(images, found.weights, stride=found.stride)
    torch.testing.assert_close(ours, difference, atol=1e-5, rtol=1e-5)


def test_a_layer_that_rectifies_no_convolution_is_refused():
    net = Deconvnet(load("demo").model)
    with pytest.raises(UnknownLayerError, match=r"stage1\.conv1"):
        kernels_of(net, "stage1.conv1")
