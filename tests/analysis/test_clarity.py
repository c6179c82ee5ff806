"""Clarity: measures on pictures whose answer is known, and a unit at a time against the whole."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from deconvviz.analysis.clarity import ClarityOptions, clarity, correlation_inside
from deconvviz.analysis.traits import colour_share, high_frequency_share
from deconvviz.deconv import Deconvnet, Selection
from deconvviz.errors import SettingError, UnknownLayerError
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import load_dataset
from deconvviz.plots.clarity import figure, summary

SIDE = 32


def wave(down, across, side=SIDE):
    """A wave of so many periods down and across."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return torch.cos(2 * math.pi * (down * y + across * x).double() / side)[None, None]


@pytest.mark.parametrize(
    ("down", "across", "share"),
    [(0, 7, 0), (0, 9, 1), (9, 0, 1), (6, 5, 0), (6, 6, 1), (0, 16, 1), (-6, 6, 1)],
)
def test_a_wave_is_fine_if_it_is_shorter_than_four_pixels_in_its_own_direction(down, across, share):
    shifted = wave(down, across) + 100  # a constant does not count
    assert float(high_frequency_share(shifted)) == pytest.approx(share, abs=1e-9)


def test_the_power_of_waves_adds_up():
    mixed = wave(0, 3) + 2 * wave(0, 12)
    assert float(high_frequency_share(mixed)) == pytest.approx(4 / 5)
    assert float(high_frequency_share(torch.rand(1, 3, 64, 64))) == pytest.approx(
        1 - math.pi / 16,
        abs=0.03,  # of white noise, what lies outside a disc in a square
    )
    assert high_frequency_share(torch.ones(1, 3, 8, 8)).isnan().all()


def test_colour_is_what_channels_do_not_share():
    grey = torch.randn(1, 1, 9, 9).expand(1, 3, 9, 9)
    assert float(colour_share(grey)) == pytest.approx(0, abs=1e-12)
    one_channel = torch.zeros(1, 3, 9, 9)
    one_channel[:, 1] = 5
    assert float(colour_share(one_channel)) == pytest.approx(2 / 3)


def test_correlation_is_numpys_inside_the_clipped_box():
    one, other = torch.randn(2, 3, 10, 12, dtype=torch.float64)
    found = correlation_inside(one, other, (-3, 2, 7, 14))
    ours, theirs = (each.mean(0)[0:7, 2:12].flatten().numpy() for each in (one, other))
    assert found == pytest.approx(np.corrcoef(ours, theirs)[0, 1])
    assert math.isnan(correlation_inside(one, torch.ones_like(other), (0, 0, 5, 5)))


@pytest.fixture(scope="module")
def bundle():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, padding=1),
        nn.ReLU(),
    )
    with torch.no_grad():
        net[3].weight[2] = 0  # a unit that is never active
        net[3].bias[2] = -1
    return Bundle.of(net.eval(), (3, 16, 16), (0.5,) * 3, (0.25,) * 3, name="small")


@pytest.fixture(scope="module")
def pictures():
    return load_dataset("photos", "all", size=16).subset(range(40))


def test_each_unit_is_measured_at_its_strongest_of_all_pictures(bundle, pictures):
    found = clarity(bundle, pictures, ClarityOptions(layers=("4",), random_weights=False))
    ((layer,),) = [one.layers for one in found.networks]
    assert 2 not in layer.channels
    assert layer.silent == 8 - len(layer.channels) <= 3
    net = Deconvnet(bundle.model, bundle.input_size)
    images = bundle.preprocessing.normalised(pictures.images)
    recording = net.record(images, ["4"])
    for place, channel in enumerate(layer.channels.tolist()):
        maps = recording["4"][:, channel]
        image, y, x = np.unravel_index(int(maps.argmax()), maps.shape)
        one = net.project(recording, Selection("4", image, channel, y, x))
        full = one.full().double()
        correlation = correlation_inside(full[0], images[image].double(), one.boxes[0].tolist())
        expected = float(high_frequency_share(full)), float(colour_share(full)), correlation
        measured = layer.high_frequency, layer.colour, layer.correlation
        assert [float(one[place]) for one in measured] == pytest.approx(expected, rel=1e-4)
    assert layer.mean["colour"] == pytest.approx(float(layer.colour.mean()))


def test_few_units_are_evenly_spaced_and_the_rule_counts(bundle, pictures):
    found = clarity(
        bundle,
        pictures,
        ClarityOptions(layers=("1",), units=3, rule="gradient", random_weights=False),
    )
    (layer,) = found.networks[0].layers
    assert layer.channels.tolist() == [0, 2, 5]
    usual = clarity(
        bundle, pictures, ClarityOptions(layers=("4",), units=3, random_weights=False)
    ).networks[0]
    other = clarity(
        bundle,
        pictures,
        ClarityOptions(layers=("4",), units=3, rule="gradient", random_weights=False),
    ).networks[0]
    assert not torch.equal(usual.layers[0].high_frequency, other.layers[0].high_frequency)


def test_random_weights_come_last_and_are_a_seeds(bundle, pictures):
    one, again, other = (
        clarity(bundle, pictures, ClarityOptions(layers=("4",)), seed=seed) for seed in (0, 0, 1)
    )
    assert [network.network for network in one.networks] == ["small", "small, random weights"]
    values = [result.networks[1].layers[0].colour.tolist() for result in (one, again, other)]
    assert values[0] == values[1] != values[2]
    assert one.networks[0].layers[0].mean == other.networks[0].layers[0].mean


def test_other_networks_stand_beside_it_and_must_have_its_size(pictures):
    wrong = Bundle.of(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), (3, 16, 16), name="small")
    with pytest.raises(SettingError, match="one input size"):
        clarity(wrong, pictures, ClarityOptions(others=("demo",)))


def test_a_layer_of_another_network_is_refused_by_name(bundle, pictures):
    with pytest.raises(UnknownLayerError, match="small"):
        clarity(bundle, pictures, ClarityOptions(layers=("nine",)))


def test_it_is_drawn_and_told(bundle, pictures, tmp_path):
    found = clarity(bundle, pictures, ClarityOptions())
    text = summary(found)
    assert "small, random weights, 4" in text
    assert "40 pictures" in text
    drawn = figure(found)
    assert [axes.get_title(loc="left") for axes in drawn.axes][2] == "correlation with the picture"
    numbers = found.to_dict()
    layer = numbers["networks"][0]["layers"][1]
    assert layer["layer"] == "4"
    assert layer["mean"]["high_frequency"] == pytest.approx(
        float(found.networks[0].layers[1].high_frequency.mean())
    )
    assert replace(found, rule="guided").rule == "guided"
    assert [path.name for path in found.save(tmp_path)] == ["clarity.json", "clarity.png"]
