"""What a network is given, and what is cached."""

from itertools import pairwise

import pytest
import torch
from PIL import Image

from deconvviz.errors import UnknownModelError
from deconvviz.io.images import open_picture, to_png
from deconvviz.ui import networks
from deconvviz.ui.networks import evenly_spaced, input_view
from deconvviz.ui.pickers import LARGEST


def test_the_classifier_is_given_exactly_what_preprocess_makes(network, noise):
    view = input_view(network, noise, "trained")
    assert view.image.size == (32, 32)
    assert torch.equal(view.pixels[0], network.bundle.preprocess(noise.image))


@pytest.mark.parametrize(("size", "expected"), [(30, (30, 22)), (60, (60, 44)), (512, (60, 44))])
def test_a_picture_is_shrunk_to_the_maximum_side_and_never_enlarged(network, noise, size, expected):
    view = input_view(network, noise, size)
    assert view.image.size == expected
    assert view.pixels.shape == (1, 3, expected[1], expected[0])
    assert view.array.shape == (expected[1], expected[0], 3)


def test_no_input_is_larger_than_the_limit(network):
    wide = open_picture(to_png(Image.new("RGB", (1500, 900), "teal")), "wide.png")
    assert max(input_view(network, wide, 4000).image.size) == LARGEST


def test_pictures_that_differ_in_one_pixel_and_sizes_have_keys_of_their_own(network, noise):
    other = noise.image.copy()
    red, green, blue = other.getpixel((20, 20))
    other.putpixel((20, 20), ((red + 128) % 256, green, blue))
    changed = open_picture(to_png(other), noise.name)
    views = [input_view(network, noise, size) for size in ("trained", 30, 60)]
    keys = {view.key for view in [*views, input_view(network, changed, 60)]}
    assert len(keys) == 4
    assert input_view(network, noise, 60) is views[-1]


def test_a_picture_is_never_shown_under_the_name_that_another_session_gave_it(network, noise):
    mine = open_picture(to_png(noise.image), "private name.png")
    other = open_picture(to_png(noise.image), "b.png")
    assert mine.key == other.key
    shown = [input_view(network, picture, 60).picture.name for picture in (mine, other)]
    assert shown == [mine.name, other.name]


def test_one_flat_colour_is_flat_and_one_other_pixel_is_not(network):
    flat = Image.new("RGB", (40, 40), (128, 128, 128))
    assert input_view(network, open_picture(to_png(flat), "flat.png"), 512).is_flat
    flat.putpixel((3, 3), (129, 128, 128))
    assert not input_view(network, open_picture(to_png(flat), "flat.png"), 512).is_flat


def test_probabilities_are_the_softmax_of_the_model_and_fall(network, noise):
    view = input_view(network, noise, "trained")
    found = networks.classify(network, view)
    logits = network.bundle.model(view.pixels)[0].detach()
    expected = (logits.exp() / logits.exp().sum()).tolist()
    assert found == pytest.approx(dict(zip(network.bundle.classes, expected, strict=True)))
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_a_network_that_does_not_exist_is_refused():
    with pytest.raises(UnknownModelError, match="nothing"):
        networks.network("nothing")


@pytest.mark.parametrize("count", [2, 5, 9])
def test_some_layers_are_spread_from_the_first_to_the_last(count):
    layers = [f"layer{i}" for i in range(40)]
    some = evenly_spaced(layers, count)
    assert len(some) == count
    assert (some[0], some[-1]) == (layers[0], layers[-1])
    gaps = {layers.index(b) - layers.index(a) for a, b in pairwise(some)}
    assert max(gaps) - min(gaps) <= 1
    assert evenly_spaced(layers[:2], 9) == layers[:2]
    assert evenly_spaced(layers[:1], 9) == layers[:1]
