"""The unsupervised text's networks."""

import pytest
import torch

from deconvviz.deconv import Deconvnet, Selection
from deconvviz.networks import build
from deconvviz.networks.autoencoders import transposed


@pytest.mark.parametrize("decoder", ["tied", "untied"])
@pytest.mark.parametrize("switches", [True, False])
def test_pictures_come_back_in_their_size(decoder, switches):
    model = build(f"autoencoder:decoder={decoder}:switches={switches}")
    assert model.encoder(torch.zeros(2, 3, 24, 16)).shape == (2, 64, 6, 4)
    assert model(torch.zeros(2, 3, 24, 16)).shape == (2, 3, 24, 16)


def test_the_classifier_is_the_one_described():
    model = build("autoencoder:decoder=classes", classes=10, size=64)
    assert model.head.hidden.in_features == 64 * 16 * 16
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 10)


def test_only_biases_are_the_tied_decoders_own():
    tied = build("autoencoder:decoder=tied")
    own = sum(p.numel() for name, p in tied.named_parameters() if "encoder" not in name)
    assert own == 3 + 32


def test_transposed_weights_with_switches_are_the_deconvnet_of_the_engine():
    """All features of a picture together, by the engine's own tape and windows."""
    torch.manual_seed(0)
    encoder = build("autoencoder:decoder=tied").encoder.double().eval()
    pictures = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    features, first, second = encoder.with_switches(pictures)
    assert torch.equal(features, encoder(pictures))
    net = Deconvnet(encoder, (3, 16, 16))
    recording = net.record(pictures, ["pool2"])
    image, channel, y, x = recording["pool2"].nonzero().T
    selection = Selection("pool2", image, channel, y, x, group=image)
    expected = net.project(recording, selection).full()
    assert torch.allclose(transposed(encoder, features, first, second), expected)


def test_without_switches_values_are_repeated():
    torch.manual_seed(0)
    encoder = build("autoencoder:decoder=tied").encoder
    features = torch.rand(1, 64, 2, 2)
    fine = features.repeat_interleave(2, 2).repeat_interleave(2, 3)
    maps = torch.nn.functional.conv_transpose2d(fine, encoder.conv2.weight, padding=1).relu()
    maps = maps.repeat_interleave(2, 2).repeat_interleave(2, 3)
    expected = torch.nn.functional.conv_transpose2d(maps, encoder.conv1.weight, padding=1)
    assert torch.allclose(transposed(encoder, features, None, None), expected, atol=1e-6)
