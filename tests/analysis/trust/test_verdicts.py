"""Trust over many units: networks whose answer is known, and one unit at a time beside it."""

import math

import pytest
import torch
from torch import nn

from deconvviz.analysis.trust.checks import Similarity
from deconvviz.analysis.trust.examination import TrustOptions, examine
from deconvviz.analysis.trust.verdicts import OwnShares, VerdictsOptions, own_shares, verdicts
from deconvviz.deconv import Deconvnet, Selection
from deconvviz.errors import SettingError
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import load_dataset
from deconvviz.plots.verdicts import figure, summary

FEW = {"networks": 3, "orders": 2, "random_weights": False}


@pytest.fixture(scope="module")
def pictures():
    return load_dataset("photos", "all", size=24).subset(range(30))


def bundle(*layers, name="net"):
    model = nn.Sequential(*layers).eval()
    return Bundle.of(model, (3, 24, 24), (0.5,) * 3, (0.25,) * 3, name=name)


def test_where_all_weights_are_equal_shuffling_keeps_all(pictures):
    """Only the switches give the projection a form, and they are the picture's."""
    first, second = (
        nn.Conv2d(3, 1, 3, padding=1, bias=False),
        nn.Conv2d(1, 4, 5, padding=2, bias=False),
    )
    nn.init.constant_(first.weight, 0.1)
    nn.init.constant_(second.weight, 0.1)
    net = bundle(first, nn.ReLU(), nn.MaxPool2d(2), second, nn.ReLU())
    found = verdicts(net, pictures, VerdictsOptions(("4",), **FEW))
    (layer,) = found.networks[0].layers
    # not 1, because equal kernels give equal pixels, whose ranks rounding decides
    assert min(*layer.own.tolist(), *layer.all.tolist()) > 0.7
    assert layer.outcomes == ("image",) * 4
    assert layer.rates == {"image": 1}


def test_of_one_random_layer_a_picture_is_the_units_own(pictures):
    torch.manual_seed(0)
    net = bundle(nn.Conv2d(3, 12, 11, padding=5, bias=False), nn.ReLU())
    found = verdicts(net, pictures, VerdictsOptions(("1",), **{**FEW, "networks": 8}))
    (layer,) = found.networks[0].layers
    assert abs(layer.mean["own"]) < 0.1
    assert layer.own.tolist() != layer.all.tolist()  # other draws
    assert layer.rates["unit"] > 0.8
    assert layer.silent == 0


@pytest.fixture(scope="module")
def deep():
    torch.manual_seed(1)
    return bundle(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 12, 5, padding=2),
        nn.ReLU(),
        name="deep",
    )


def test_the_first_control_alone_is_that_of_all_controls(deep, pictures):
    options = VerdictsOptions(("4",), networks=3, units=12, orders=0, random_weights=False)
    (layer,) = verdicts(deep, pictures, options, seed=4).networks[0].layers
    net, steps = Deconvnet(deep.model, deep.input_size), []
    alone = own_shares(
        deep, pictures, "4", 3, net=net, seed=4, progress=lambda *step: steps.append(step)
    )
    assert torch.equal(alone.channels, layer.channels)
    assert torch.equal(alone.after(), layer.own)
    assert steps[-1] == ("deep, 4", 6, 6)


def test_the_share_after_some_networks_is_that_of_the_first_ones():
    def level(value):
        return Similarity(value, 0.0, value, 0.0, 4)

    shares = OwnShares(torch.arange(1), [[level(0.6), level(0.2)]], [[level(0.2), level(0.2)]])
    # (share - chance) / (1 - chance), of means over the networks
    assert shares.after(1).tolist() == pytest.approx([(0.6 - 0.2) / 0.8])
    assert shares.after().tolist() == pytest.approx([(0.4 - 0.2) / 0.8])


def test_it_is_what_one_unit_at_a_time_gives(deep, pictures):
    options = VerdictsOptions(("4",), networks=30, orders=8, units=3, random_weights=False)
    layer = verdicts(deep, pictures, options).networks[0].layers[0]
    net = Deconvnet(deep.model, deep.input_size)
    images = deep.preprocessing.normalised(pictures.images)
    maps = net.record(images, ["4"])["4"]
    for place, channel in enumerate(layer.channels.tolist()):
        image, y, x = map(int, torch.unravel_index(maps[:, channel].argmax(), maps[:, 0].shape))
        one = examine(
            net, images, Selection("4", image, channel, y, x), TrustOptions(networks=30), seed=5
        )
        own, *_, last = one.kept_by["cascade"]
        assert float(layer.own[place]) == pytest.approx(own, abs=0.12)
        assert float(layer.all[place]) == pytest.approx(last, abs=0.12)
        gain = one.curves.insertion.area - one.curves.insertion.chance
        assert float(layer.insertion[place]) == pytest.approx(gain, abs=0.1)


def test_a_seed_is_a_seed_and_curves_can_be_left_out(deep, pictures):
    options = VerdictsOptions(("4",), **{**FEW, "orders": 0}, units=4)
    one, again = (verdicts(deep, pictures, options, seed=3).networks[0].layers[0] for _ in range(2))
    other = verdicts(deep, pictures, options, seed=4).networks[0].layers[0]
    assert one.own.tolist() == again.own.tolist() != other.own.tolist()
    assert all(map(math.isnan, one.insertion.tolist()))
    assert 0 < len(one.channels) == 4 - one.silent


def test_others_must_have_its_size(deep, pictures):
    with pytest.raises(SettingError, match="one input size"):
        verdicts(deep, pictures, VerdictsOptions(others=("demo",)))


def test_it_is_drawn_and_told(deep, pictures):
    options = VerdictsOptions(("1", "4"), networks=2, orders=2, units=4)
    found = verdicts(deep, pictures, options)
    text = summary(found)
    assert "deep, random weights, 4" in text
    assert "2 shuffled networks" in text
    assert len(figure(found).axes) == 4
    layers = found.to_dict()["networks"][1]["layers"]
    assert [layer["layer"] for layer in layers] == ["1", "4"]
    assert set(layers[0]["mean"]) == {"own", "all", "insertion", "deletion"}
    assert sum(layers[0]["rates"].values()) == pytest.approx(1)
