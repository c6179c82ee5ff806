"""What things cost, counted by hand."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from deconvviz import load
from deconvviz.training import DecoderConfig, Recipe
from deconvviz.training.adversary import Adversary
from deconvviz.training.cost import multiply_adds, step_cost

CONVOLUTION = 3 * 9 * 8 * 16 * 16  # of plain:8 on 16x16 pictures
DENSE = 8 * 5
DECODER = 8 * 16 * 3 * 8 * 8  # 4x4 kernels, on every one of 8x8 places


def test_convolutions_and_linear_layers_are_counted():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(2048, 5)
    )
    assert multiply_adds(model, (3, 16, 16)) == CONVOLUTION + 2048 * 5


@pytest.mark.parametrize(
    ("changes", "work"),
    [
        ({}, CONVOLUTION + DENSE),
        ({"deconv_weight": 1.0}, CONVOLUTION + DENSE + DECODER),
        ({"unlabelled_batch": 8}, 3 * CONVOLUTION + DENSE),
        ({"noise": 0.1}, 2 * CONVOLUTION + DENSE),
        ({"consistency_weight": 1.0}, 2 * (CONVOLUTION + DENSE)),
        ({"adversary": Adversary(1.0)}, 3 * (CONVOLUTION + DENSE)),
        ({"deconv_weight": 1.0, "decoder": DecoderConfig(tied=True)}, 2 * CONVOLUTION + DENSE),
    ],
)
def test_a_steps_cost_is_what_it_does_for_each_labelled_picture(changes, work):
    recipe = Recipe(model="plain:8:head=mean", batch_size=4, **changes)
    learnt, cost = step_cost(recipe, (3, 16, 16), 5)
    assert cost == work
    model = 3 * 9 * 8 + 2 * 8 + DENSE + 5
    own = {False: 0, True: 8 * 16 * 3 + 3}["deconv_weight" in changes]
    tied = "decoder" in changes
    assert learnt == model + (2 * 3 if tied else own)


def test_nothing_is_computed(monkeypatch):
    """A step of a network that no memory could hold is priced at once."""
    _, cost = step_cost(Recipe(model="plain:8", batch_size=10_000), (3, 512, 512), 5)
    assert cost > 3 * 9 * 8 * 512 * 512
    assert torch.get_default_dtype() == torch.float32


def test_teachers_are_part_of_the_cost():
    plain = Recipe(model="seed-cnn", batch_size=4)
    learnt, alone = step_cost(plain, (3, 32, 32), 10)
    taught = replace(plain, teachers=("demo", "demo"))
    demo = multiply_adds(load("demo").model, (3, 32, 32))
    assert step_cost(taught, (3, 32, 32), 10) == (learnt, alone + 2 * demo)
