"""What is cached, and by what."""

import pytest
import torch
from PIL import Image

from deconvviz.errors import UnknownModelError
from deconvviz.io.images import open_picture, to_png
from deconvviz.ui import loaders
from deconvviz.ui.explore import look

LAYER = "stage1.relu2"
ARGUMENTS = (LAYER, None, 1000, "deconvnet", "activation")


def test_two_pictures_that_differ_in_one_pixel_have_two_results(network, noise):
    other = noise.image.copy()
    red, green, blue = other.getpixel((20, 20))
    other.putpixel((20, 20), ((red + 128) % 256, green, blue))
    changed = open_picture(to_png(other), noise.name)
    first, second = (loaders.sight(network, picture, 512) for picture in (noise, changed))
    assert first.key != second.key
    values = [
        [one.value for one in loaders.units(network, sight, *ARGUMENTS)]
        for sight in (first, second)
    ]
    assert values[0] != values[1]


def test_two_networks_have_two_results(make_network, network, noise):
    other = make_network("seed-cnn")
    first = loaders.sight(network, noise, "trained")
    second = loaders.sight(other, noise, "trained")
    unit, again = (
        loaders.units(net, sight, layer, None, 1, "deconvnet", "activation")[0]
        for net, sight, layer in ((network, first, LAYER), (other, second, "stage2.relu"))
    )
    assert unit.layer != again.layer


def test_a_second_look_is_the_first_one(network, noise):
    sight = loaders.sight(network, noise, 512)
    assert loaders.sight(network, noise, 512) is sight
    found = loaders.units(network, sight, *ARGUMENTS)
    assert loaders.units(network, sight, *ARGUMENTS) is found


def test_layers_of_small_pictures_share_one_recording_and_large_ones_have_their_own(network):
    large = open_picture(to_png(Image.effect_noise((300, 300), 90).convert("RGB")), "large.png")
    for size, kept in ((256, network.layers), (512, (LAYER,))):
        recording = loaders._recording(network, look(network.bundle, large, size), LAYER)
        assert recording.layers == kept


def test_a_chosen_unit_is_the_one_among_all_that_has_its_number(network, noise):
    sight = loaders.sight(network, noise, "trained")
    every = loaders.units(network, sight, LAYER, None, 1000, "guided", "one")
    third = every[2]
    (alone,) = loaders.units(network, sight, LAYER, third.channel, 1, "guided", "one")
    assert (alone.channel, alone.y, alone.x) == (third.channel, third.y, third.x)
    torch.testing.assert_close(alone.pixels, third.pixels)


def test_a_unit_that_is_not_active_is_an_empty_answer(network, noise):
    sight = loaders.sight(network, noise, "trained")
    layer = "stage3.relu2"
    active = {
        one.channel for one in loaders.units(network, sight, layer, None, 999, "guided", "one")
    }
    silent = next(c for c in range(network.net.layers[layer].channels) if c not in active)
    assert loaders.units(network, sight, layer, silent, 1, "guided", "one") == []


def test_probabilities_fall_and_sum_to_one(network, noise):
    found = loaders.classification(network, loaders.sight(network, noise, "trained"))
    assert set(found) == set(network.bundle.classes)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert sum(found.values()) == pytest.approx(1, abs=1e-5)


def test_a_network_that_does_not_exist_is_refused():
    with pytest.raises(UnknownModelError, match="no model `nothing`"):
        loaders.network("nothing")
