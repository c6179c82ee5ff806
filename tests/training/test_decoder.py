"""The deconvolution decoder beside the classifier."""

import pytest
import torch
from torch import nn

from deconvviz.errors import SettingError
from deconvviz.models import MODELS, build
from deconvviz.training.decoder import Decoder, reconstruction_loss


@pytest.mark.parametrize("name", sorted(set(MODELS) - {"deconv-mnist"}))
@pytest.mark.parametrize("channels", [1, 3])
def test_gives_back_the_size_of_the_picture(name, channels):
    model = build(name, channels=channels)
    images = torch.randn(2, channels, 32, 32)
    assert Decoder(model, channels)(model.features(images)).shape == images.shape


def test_has_no_nonlinearity_on_the_picture_it_gives():
    last = list(Decoder(build("vgg")).children())[-1]
    assert isinstance(last, nn.ConvTranspose2d)


def test_every_pixel_away_from_the_border_gets_equally_many_contributions():
    """The reason for kernel 4 at stride 2: no checkerboard is built in."""
    last = list(Decoder(build("vgg")).children())[-1]
    nn.init.ones_(last.weight)
    nn.init.zeros_(last.bias)
    given = last(torch.ones(1, last.in_channels, 8, 8))[..., 2:-2, 2:-2]
    assert given.min() == given.max()


def test_the_gradient_reaches_the_first_convolution():
    model = build("vgg")
    images = torch.randn(4, 3, 32, 32)
    reconstruction_loss(Decoder(model)(model.features(images)), images).backward()
    assert model.stage1.conv1.weight.grad.abs().sum() > 0
    assert model.head.logits.weight.grad is None


def test_the_loss_of_a_perfect_reconstruction_is_zero_and_of_the_mean_is_the_variance():
    images = torch.randn(8, 3, 16, 16, dtype=torch.float64).float()
    assert reconstruction_loss(images, images) == 0
    expected = images.var(unbiased=False) + images.mean() ** 2
    assert torch.isclose(reconstruction_loss(torch.zeros_like(images), images), expected)


def test_stages_that_keep_the_side_are_refused():
    with pytest.raises(SettingError, match="each halve the picture's side; this network's do not"):
        Decoder(build("deconv-mnist", channels=1, size=28), 1)


def test_what_a_deep_deconvolution_network_gives_back_is_its_reconstruction():
    model = build("ddnet").eval()
    features = model.features(torch.randn(2, 3, 32, 32))
    assert Decoder(model)(features) is features
