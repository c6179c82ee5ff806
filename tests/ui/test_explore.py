"""What the pages ask of the engine, against slower ways to the same numbers."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from torch.nn import functional

from deconvviz.deconv import Deconvnet
from deconvviz.errors import UnsupportedOperationError
from deconvviz.io.bundle import Bundle
from deconvviz.io.images import open_picture, to_png
from deconvviz.io.zoo import load
from deconvviz.ui import explore
from deconvviz.ui.explore import LARGEST, Network, look

LAYER = "stage2.relu1"


@pytest.fixture(scope="module")
def sight(network, noise):
    return look(network.bundle, noise, 512)


@pytest.fixture(scope="module")
def recording(network, sight):
    return network.net.record(sight.pixels, [LAYER])


def test_the_classifier_is_given_exactly_what_preprocess_makes(network, noise):
    sight = look(network.bundle, noise, "trained")
    assert sight.image.size == (32, 32)
    assert torch.equal(sight.pixels[0], network.bundle.preprocess(noise.image))


@pytest.mark.parametrize(("size", "expected"), [(30, (30, 22)), (60, (60, 44)), (512, (60, 44))])
def test_a_large_look_shrinks_to_the_longest_side_and_never_enlarges(
    network, noise, size, expected
):
    sight = look(network.bundle, noise, size)
    assert sight.image.size == expected
    assert sight.pixels.shape == (1, 3, expected[1], expected[0])
    assert sight.shown.shape == (expected[1], expected[0], 3)


def test_no_look_is_larger_than_the_limit(network):
    wide = open_picture(to_png(Image.new("RGB", (1500, 900), "teal")), "wide.png")
    assert max(look(network.bundle, wide, 4000).image.size) == LARGEST


def test_keys_tell_pictures_sizes_and_views_apart(network, noise):
    keys = {look(network.bundle, noise, size).key for size in ("trained", 30, 60)}
    assert len(keys) == 3


def test_one_flat_colour_is_flat_and_one_other_pixel_is_not(network):
    flat = Image.new("RGB", (40, 40), (128, 128, 128))
    assert look(network.bundle, open_picture(to_png(flat), "flat.png"), 512).is_flat
    flat.putpixel((3, 3), (129, 128, 128))
    assert not look(network.bundle, open_picture(to_png(flat), "flat.png"), 512).is_flat


def test_strongest_units_are_all_active_ones_by_falling_maximum(recording):
    selection = explore.strongest_units(recording, LAYER)
    maxima = recording[LAYER][0].amax((1, 2))
    expected = [c for c in maxima.argsort(descending=True, stable=True).tolist() if maxima[c] > 0]
    assert selection.channel.tolist() == expected
    assert explore.strongest_units(recording, LAYER, 3).channel.tolist() == expected[:3]


def test_a_reconstruction_carries_its_own_value_window_and_patch(network, recording, sight):
    selection = explore.strongest_units(recording, LAYER, 8)
    found = explore.reconstruct(network.net, recording, sight, selection, "guided", "activation")
    assert len(found) == 8
    layer = network.net.layers[LAYER]
    padded = np.pad(sight.shown, ((40, 40), (40, 40), (0, 0)), constant_values=128)
    for one in found:
        assert one.value == recording[LAYER][0, one.channel, one.y, one.x].item()
        top, left, bottom, right = one.box
        assert top == one.y * layer.stride[0] + layer.offset[0]
        assert left == one.x * layer.stride[1] + layer.offset[1]
        assert one.pixels.shape == (3, bottom - top, right - left)
        assert np.array_equal(one.patch, padded[top + 40 : bottom + 40, left + 40 : right + 40])


@pytest.mark.parametrize("share", [0.001, 0.1, 1.0])
def test_strongest_positions_are_the_active_share_with_the_largest_values(recording, share):
    channel = int(explore.strongest_units(recording, LAYER, 1).channel)
    feature_map = recording[LAYER][0, channel]
    chosen = explore.strongest_positions(recording, LAYER, channel, share)
    count = max(1, round(share * feature_map.numel()))
    expected = sorted((v for v in feature_map.flatten().tolist() if v > 0), reverse=True)[:count]
    assert recording.values(chosen).tolist() == expected
    assert chosen.group.unique().tolist() == [0]
    assert set(chosen.channel.tolist()) == {channel}


def test_one_position_through_the_whole_picture_is_its_window_in_place(network, recording, sight):
    selection = explore.strongest_units(recording, LAYER, 1)
    (one,) = explore.reconstruct(network.net, recording, sight, selection, "deconvnet", "one")
    group = explore.strongest_positions(recording, LAYER, one.channel, 1e-9)
    whole = explore.through(network.net, recording, group, "deconvnet", "one")
    margin = max(one.pixels.shape[1:])
    padded = functional.pad(whole, (margin,) * 4)
    top, left, bottom, right = (edge + margin for edge in one.box)
    inside = padded[:, top:bottom, left:right]
    visible = functional.pad(torch.ones_like(whole), (margin,) * 4)[:, top:bottom, left:right]
    torch.testing.assert_close(inside, one.pixels * visible)
    assert whole.count_nonzero() == inside.count_nonzero()


def test_nothing_active_gives_a_picture_of_zeros(network, recording):
    silent = int((recording[LAYER][0].amax((1, 2)) <= 0).int().argmax())
    empty = explore.strongest_positions(recording, LAYER, silent, 0.5)[:0]
    whole = explore.through(network.net, recording, empty, "deconvnet", "activation")
    assert whole.shape == (3, *recording.size)
    assert not whole.any()


def test_probabilities_are_the_softmax_of_the_model(network, noise):
    sight = look(network.bundle, noise, "trained")
    logits = network.bundle.model(sight.pixels)[0]
    expected = logits.exp() / logits.exp().sum()
    torch.testing.assert_close(explore.classify(network.bundle.model, sight), expected.detach())


def test_kernels_are_those_that_the_network_applies_normalisation_included(network):
    sheet = explore.kernels(network, "stage1.relu1")
    assert (sheet.convolution, sheet.scaled_by) == ("stage1.conv1", "stage1.bn1")
    stage = network.bundle.model.stage1
    images = torch.randn(2, 3, 9, 9)
    with torch.no_grad():
        difference = stage.bn1(stage.conv1(images)) - stage.bn1(stage.conv1(images * 0))
    torch.testing.assert_close(
        functional.conv2d(images, sheet.weights, padding=1), difference, atol=1e-4, rtol=1e-4
    )


def test_kernels_without_normalisation_are_the_weights(make_network):
    network = make_network("seed-cnn")
    sheet = explore.kernels(network, "stage2.relu")
    assert sheet.scaled_by is None
    assert torch.equal(sheet.weights, network.bundle.model.stage2.conv.weight)


class OfItsOwn(torch.nn.Conv2d):
    """A convolution that does not use its weights as they are."""

    def forward(self, x):
        return functional.conv2d(x, self.weight / self.weight.norm(), self.bias)


def test_kernels_that_a_module_changes_before_it_uses_them_are_refused_in_words():
    model = torch.nn.Sequential(OfItsOwn(3, 4, 3), torch.nn.ReLU())
    network = Network(Bundle.of(model), Deconvnet(model))
    with pytest.raises(UnsupportedOperationError, match="OfItsOwn"):
        explore.kernels(network, "1")


def test_every_rectified_map_of_a_residual_network_has_its_kernels():
    """The first of a sum's convolutions, with the scale of the BatchNorm that follows that."""
    bundle = load("torchvision/resnet18", weights=None)
    network = Network(bundle, Deconvnet(bundle.model, (3, 64, 64)))
    sheets = {layer: explore.kernels(network, layer) for layer in network.layers}
    found = [(sheet.convolution, sheet.scaled_by) for sheet in sheets.values()]
    assert found[0] == ("conv1", "bn1")
    assert ("layer2.0.conv2", "layer2.0.bn2") in found
    assert all(
        sheet.weights.shape[0] == network.net.layers[layer].channels
        for layer, sheet in sheets.items()
    )


def test_the_strongest_slices_hold_the_stated_share(network):
    sheet = explore.kernels(network, LAYER)
    maps, slices, share = sheet.strongest_slices(3, 10)
    energy = sheet.weights[3].square().sum((1, 2))
    assert maps == energy.argsort(descending=True)[:10].tolist()
    assert torch.equal(slices[:, 0], sheet.weights[3, maps])
    assert share == pytest.approx(float(energy[maps].sum() / energy.sum()))
    assert sheet.strongest_slices(3, 10**6)[2] == pytest.approx(1)


def test_a_raw_file_holds_the_tensor_and_how_to_make_it_again(network, recording, sight, tmp_path):
    selection = explore.strongest_units(recording, LAYER, 1)
    (one,) = explore.reconstruct(network.net, recording, sight, selection, "gradient", "one")
    path = tmp_path / "one.safetensors"
    path.write_bytes(explore.raw(network, sight, one, "gradient", "one", one.pixels))
    with safe_open(path, "pt") as file:
        assert torch.equal(file.get_tensor("pixels"), one.pixels)
        told = file.metadata()
    assert told["checkpoint_sha256"] == network.key
    assert told["picture_sha256"] == sight.picture.key
    assert (told["layer"], told["unit"]) == (LAYER, str(one.channel))
    assert (told["rule"], told["start"]) == ("gradient", "one")


@pytest.mark.parametrize("count", [2, 5, 9])
def test_some_layers_are_spread_from_the_first_to_the_last(count):
    layers = [f"layer{i}" for i in range(40)]
    some = explore.spread(layers, count)
    assert len(some) == count
    assert (some[0], some[-1]) == (layers[0], layers[-1])
    gaps = {layers.index(b) - layers.index(a) for a, b in pairwise(some)}
    assert max(gaps) - min(gaps) <= 1
    assert explore.spread(layers[:2], 9) == layers[:2]
    assert explore.spread(layers[:1], 9) == layers[:1]


def test_activations_are_counted_as_the_network_makes_them(network, noise):
    recording = network.net.record(look(network.bundle, noise, "trained").pixels, network.layers)
    assert explore.activations(network, 32 * 32) == sum(
        recording[layer].numel() for layer in network.layers
    )
