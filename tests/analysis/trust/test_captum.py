"""The attributions that captum computes, against their definitions."""

import pytest
import torch
from torch import nn

from deconvviz.analysis.trust.attributions import _grad_cam, _integrated_gradients, _occlusion


class Sum(nn.Module):
    """The activation of a linear unit, or of its square."""

    def __init__(self, weight, power=1):
        super().__init__()
        self.weight, self.power, self.maps = weight, power, nn.Identity()

    def forward(self, images):
        return (self.maps(images) ** self.power * self.weight).flatten(1).sum(1)


@pytest.fixture
def image():
    return torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def weight():
    return torch.randn(2, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("power", [1, 2])
def test_integrated_gradients_of_polynomials_are_their_terms(image, weight, power):
    found = _integrated_gradients(Sum(weight, power), image)
    torch.testing.assert_close(found, weight * image[0] ** power, rtol=1e-4, atol=1e-5)


def test_occlusion_by_one_pixel_of_a_linear_unit_is_its_share(image, weight):
    found = _occlusion(Sum(weight), image, side=1, stride=1)
    share = (weight * image[0]).sum(0)
    torch.testing.assert_close(found, share.expand(2, 8, 8), rtol=1e-4, atol=1e-4)


def test_an_occluder_larger_than_the_image_covers_it(image, weight):
    found = _occlusion(Sum(weight), image, side=99, stride=50)
    total = (weight * image[0]).sum()
    torch.testing.assert_close(found, total.expand(2, 8, 8), rtol=1e-4, atol=1e-4)


def test_grad_cam_is_the_maps_by_their_mean_gradients(image, weight):
    unit = Sum(weight)
    found = _grad_cam(unit, unit.maps, image)
    expected = (weight.mean((1, 2))[:, None, None] * image[0]).sum(0).relu()
    torch.testing.assert_close(found, expected)


def test_nothing_is_left_on_the_image_or_the_unit(image, weight):
    unit = Sum(weight)
    _grad_cam(unit, unit.maps, image)
    _integrated_gradients(unit, image)
    assert not image.requires_grad
    assert not unit.maps._forward_hooks
