"""A network that is ready to be looked at, with what it wants of a picture."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from deconvviz.errors import SettingError
from deconvviz.io.bundle import Bundle
from deconvviz.io.zoo import load


def picture(width, height):
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize(("size", "shape"), [("trained", (32, 32)), (None, (200, 300))])
def test_it_takes_a_picture_as_in_training_or_whole(size, shape):
    bundle = Bundle.of(torch.nn.Conv2d(3, 4, 3), (3, 32, 32), (0.5,) * 3, (0.25,) * 3)
    image = picture(300, 200)
    assert bundle.preprocess(image, size).shape == (3, *shape)
    seen = np.asarray(bundle.preprocessing.view(image, size), np.float32).transpose(2, 0, 1) / 255
    assert torch.allclose(bundle.preprocess(image, size), torch.tensor(seen - 0.5) / 0.25)
    assert bundle.box(image) == (0, 50, 200, 250)


def test_the_summary_says_how_good_it_is():
    trained, right = load("demo").summary
    assert "CIFAR-10" in trained
    assert f"{load('demo').training['test']['accuracy']:.1%}" in right


def test_a_network_of_ones_own_becomes_a_bundle():
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU())
    bundle = Bundle.of(model, (1, 20, 20), (0.5,), (0.25,), name="mine")
    assert not bundle.model.training
    assert (bundle.name, bundle.architecture) == ("mine", "Sequential")
    assert bundle.preprocess(picture(50, 40)).shape == (1, 20, 20)
    changed = Bundle.of(torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU()), (1, 20, 20))
    assert changed.sha256 != bundle.sha256
    assert Bundle.of(model, (1, 20, 20)).sha256 == bundle.sha256


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_size": (3, 20, 30)}, "must be .channels, side, side."),
        ({"input_size": (1, 20, 20), "mean": (0.5, 0.5, 0.5)}, "must have 1 values"),
        ({"std": (1.0, 0.0, 1.0)}, "std must be > 0"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(options, message):
    with pytest.raises(SettingError, match=message):
        Bundle.of(torch.nn.Conv2d(3, 4, 3), **options)


def test_equal_class_names_are_numbered():
    model = nn.Sequential(nn.Conv2d(3, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 36, 3))
    found = Bundle.of(model, (3, 8, 8), classes=("crane", "crane", "dog"))
    assert found.classes == ("crane", "crane (2)", "dog")
