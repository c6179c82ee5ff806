"""Reconstructions of a page, against slower ways to the same numbers."""

import json
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from torch.nn import functional

from deconvviz.deconv import Deconvnet, Selection
from deconvviz.io.images import open_picture, to_png
from deconvviz.ui import reconstructions
from deconvviz.ui.networks import Network, input_view
from deconvviz.ui.reconstructions import (
    Projector,
    file_name,
    reconstruct,
    settings,
    to_safetensors,
    whole_picture,
)
from deconvviz.units import Unit

LAYER = "stage2.relu1"


@pytest.fixture(scope="module")
def projector(network, noise):
    return Projector(network, input_view(network, noise, 512), "guided")


@pytest.fixture(scope="module")
def maps(network, projector):
    """The feature maps (channels, height, width) of `LAYER`."""
    return network.net.record(projector.view.pixels, [LAYER])[LAYER][0]


def test_the_strongest_units_are_the_active_channels_by_falling_maximum(projector, maps):
    maxima = maps.amax((1, 2))
    expected = [c for c in maxima.argsort(descending=True, stable=True).tolist() if maxima[c] > 0]
    every = reconstruct(projector, LAYER, count=1000)
    assert [one.unit.channel for one in every] == expected
    three = reconstruct(projector, LAYER, count=3)
    assert [one.unit.channel for one in three] == expected[:3]


def test_a_reconstruction_has_the_value_window_and_patch_of_its_unit(network, projector, maps):
    layer = network.net.layers[LAYER]
    padded = np.pad(projector.view.array, ((40, 40), (40, 40), (0, 0)), constant_values=128)
    for one in reconstruct(projector, LAYER, count=8):
        unit, (top, left, bottom, right) = one.unit, one.box
        assert one.value == maps[unit.channel, unit.y, unit.x].item()
        assert top == unit.y * layer.stride[0] + layer.offset[0]
        assert left == unit.x * layer.stride[1] + layer.offset[1]
        assert one.pixels.shape == (3, bottom - top, right - left)
        assert np.array_equal(one.patch, padded[top + 40 : bottom + 40, left + 40 : right + 40])


def test_a_chosen_channel_or_unit_is_the_one_among_all(projector, maps):
    third = reconstruct(projector, LAYER, count=1000)[2]
    for chosen in (third.unit.channel, third.unit, Unit(LAYER, third.unit.channel, 999, 0)):
        (alone,) = reconstruct(projector, LAYER, chosen)
        assert alone.unit == third.unit
        torch.testing.assert_close(alone.pixels, third.pixels)
    elsewhere = Unit(LAYER, third.unit.channel, 1, 2)
    (one,) = reconstruct(projector, LAYER, elsewhere)
    assert (one.unit, one.value) == (elsewhere, maps[third.unit.channel, 1, 2].item())


def test_a_channel_that_is_not_active_has_no_reconstruction(projector, maps):
    silent = int((maps.amax((1, 2)) <= 0).int().argmax())
    assert maps[silent].max() <= 0
    assert reconstruct(projector, LAYER, silent) == []
    whole, count = whole_picture(projector, LAYER, silent, 0.5)
    assert count == 0
    assert whole.shape == projector.view.pixels.shape[1:]
    assert not whole.any()


@pytest.mark.parametrize("share", [0.001, 0.1, 1.0])
def test_the_whole_picture_starts_from_the_active_share_with_the_largest_values(
    projector, maps, share
):
    net, channel = projector.network.net, int(maps.amax((1, 2)).argmax())
    limit = max(1, round(share * maps[channel].numel()))
    width = maps.shape[2]
    places = [n for n, value in enumerate(maps[channel].flatten().tolist()) if value > 0]
    places = sorted(places, key=lambda n: -float(maps[channel, n // width, n % width]))[:limit]
    y, x = [n // width for n in places], [n % width for n in places]
    selection = Selection(LAYER, 0, channel, y, x, group=[0] * len(places))
    recording = net.record(projector.view.pixels, [LAYER])
    expected = net.project(recording, selection, rule="guided").full()[0]
    whole, count = whole_picture(projector, LAYER, channel, share)
    assert count == len(places)
    torch.testing.assert_close(whole, expected)


def test_one_position_in_the_whole_picture_is_its_window_in_place(projector):
    (one,) = reconstruct(projector, LAYER)
    whole, count = whole_picture(projector, LAYER, one.unit.channel, 1e-9)
    assert count == 1
    margin = max(one.pixels.shape[1:])
    padded = functional.pad(whole, (margin,) * 4)
    top, left, bottom, right = (edge + margin for edge in one.box)
    inside = padded[:, top:bottom, left:right]
    visible = functional.pad(torch.ones_like(whole), (margin,) * 4)[:, top:bottom, left:right]
    torch.testing.assert_close(inside, one.pixels * visible)
    assert whole.count_nonzero() == inside.count_nonzero()


def test_results_are_cached_by_network_picture_rule_and_start(projector, make_network, noise):
    found = reconstruct(projector, LAYER)
    assert reconstruct(replace(projector), LAYER) is found
    assert reconstruct(replace(projector, rule="gradient"), LAYER) is not found
    assert reconstruct(replace(projector, start="one"), LAYER) is not found
    assert (
        reconstruct(replace(projector, view=input_view(projector.network, noise, 40)), LAYER)
        is not found
    )
    other = make_network("seed-cnn")
    (one,) = reconstruct(replace(projector, network=other), "stage2.relu")
    assert one.unit.layer == "stage2.relu"


def test_layers_of_small_pictures_share_one_recording_and_large_ones_have_their_own(network):
    large = open_picture(to_png(Image.effect_noise((600, 600), 90).convert("RGB")), "large.png")
    for size, kept in ((256, network.layers), (1024, (LAYER,))):
        view = input_view(network, large, size)
        assert reconstructions._record(network, view, LAYER).layers == kept


def test_a_raw_file_holds_the_tensor_and_how_to_compute_it_again(projector, tmp_path):
    (one,) = reconstruct(projector, LAYER)
    path = tmp_path / "one.safetensors"
    path.write_bytes(to_safetensors(projector, one, one.pixels))
    with safe_open(path, "pt") as file:
        assert torch.equal(file.get_tensor("pixels"), one.pixels)
        metadata = file.metadata()
    assert metadata["checkpoint_sha256"] == projector.network.key
    assert metadata["picture_sha256"] == projector.view.picture.key
    assert (metadata["layer"], metadata["unit"]) == (LAYER, str(one.unit.channel))
    assert (metadata["rule"], metadata["start"]) == ("guided", "activation")
    assert json.loads(metadata["positions"]) == [[one.unit.channel, one.unit.y, one.unit.x]]


def test_a_picture_file_says_what_it_is_of_and_how_it_was_made(projector):
    (one,) = reconstruct(projector, LAYER)
    with Image.open(BytesIO(to_png(one.picture, settings(projector, one)))) as stored:
        about = stored.text
        assert np.array_equal(np.asarray(stored), one.picture)
    assert (about["layer"], about["unit"]) == (LAYER, str(one.unit.channel))
    assert about["rule"] == "guided"
    assert about["network"] == projector.network.bundle.name
    assert about["picture"] == projector.view.picture.name
    assert "torch " in about["versions"]
    name = file_name(projector, one)
    assert name.endswith(f"-{LAYER}-unit{one.unit.channel}-y{one.unit.y}-x{one.unit.x}-guided")
    assert name.startswith(projector.view.picture.name.partition(".")[0])


def test_a_network_that_is_loaded_again_makes_its_own_recording(network, projector):
    first = reconstruct(projector, LAYER)
    again = Network(network.bundle, Deconvnet(network.bundle.model, network.bundle.input_size))
    other = replace(projector, network=again, start="one")  # what was not projected before
    assert reconstruct(other, LAYER)[0].unit == first[0].unit
