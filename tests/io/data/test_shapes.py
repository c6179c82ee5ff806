"""Drawn shapes: repeatable, in any form, and distinguished by their pixels."""

import pytest
import torch

from deconvviz.errors import DataError
from deconvviz.io.data import draw_shapes, load_dataset


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (32, 3), (48, 5)])
def test_any_size_and_number_of_channels(size, channels):
    shapes = draw_shapes(13, size, channels)
    assert shapes.images.shape == (13, channels, size, size)
    assert shapes.labels.bincount().tolist() == [3, 2, 2, 2, 2, 2]


def test_a_seed_draws_the_same_pictures_and_another_seed_others():
    assert draw_shapes(20, seed=1).fingerprint == draw_shapes(20, seed=1).fingerprint
    assert draw_shapes(20, seed=1).fingerprint != draw_shapes(20, seed=2).fingerprint


def test_training_and_test_pictures_differ():
    train, test = load_dataset("shapes"), load_dataset("shapes", "test")
    assert (len(train), len(test)) == (4000, 1000)
    drawn = {picture.numpy().tobytes() for picture in train.images}
    assert not drawn & {picture.numpy().tobytes() for picture in test.images}


def test_colours_and_places_tell_nothing_of_the_class():
    """Mean colours of the classes agree within their noise; hence only the form can tell."""
    shapes = draw_shapes(3000, size=16)
    colours = shapes.images.double().mean(dim=(2, 3)) / 255
    means = torch.stack([colours[shapes.labels == label].mean(0) for label in range(6)])
    assert (means - colours.mean(0)).abs().max() < 0.04


def test_a_linear_classifier_on_edges_does_far_better_than_chance():
    def edges(shapes):
        grey = shapes.images.double().mean(1)
        spectrum = torch.fft.rfft2(grey - grey.mean(dim=(1, 2), keepdim=True)).abs().log1p()
        return torch.nn.functional.pad(spectrum.flatten(1), (0, 1), value=1.0)

    train, test = draw_shapes(3000, size=24, seed=0), draw_shapes(600, size=24, seed=1)
    inputs, targets = edges(train), torch.eye(6, dtype=torch.float64)[train.labels]
    ridge = inputs.T @ inputs + 10 * torch.eye(inputs.shape[1])
    decided = (edges(test) @ torch.linalg.solve(ridge, inputs.T @ targets)).argmax(1)
    assert (decided == test.labels).double().mean() > 0.5


@pytest.mark.parametrize("asked", [(0, 32, 3), (4, 7, 3), (4, 32, 0)])
def test_what_cannot_be_drawn_is_refused(asked):
    with pytest.raises(
        DataError, match=r"cannot draw .*; ask for at least 1 picture of at least 8"
    ):
        draw_shapes(*asked)
