"""Which optimiser has which parameters, and at which rates."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from deconvviz.models import build
from deconvviz.training import Recipe
from deconvviz.training.muon import Muon
from deconvviz.training.optimisers import optimisers, set_pace

RECIPE = Recipe(peak_rate=0.5, kernel_rate=0.03, weight_decay=0.01, shift_rate=4.0)


@pytest.mark.parametrize("name", ["sgd", "muon", "adam", "adamw"])
def test_every_parameter_has_exactly_one_place(name):
    model = build("vgg")
    made = optimisers(model, replace(RECIPE, optimiser=name))
    held = [p for one in made for group in one.param_groups for p in group["params"]]
    assert sorted(map(id, held)) == sorted(map(id, model.parameters()))


def test_muon_has_the_kernels_before_batchnorm_and_sgd_the_rest():
    model = build("vgg")
    sgd, muon = optimisers(model, replace(RECIPE, optimiser="muon"))
    assert isinstance(muon, Muon)
    (group,) = muon.param_groups
    assert {id(p) for p in group["params"]} == {
        id(m.weight) for m in model.modules() if isinstance(m, nn.Conv2d)
    }
    matrices = sgd.param_groups[0]["params"]
    assert [tuple(p.shape) for p in matrices] == [(10, 256)]


@pytest.mark.parametrize(("name", "faster"), [("sgd", 4.0), ("adam", 1.0)])
def test_only_sgd_moves_shifts_faster(name, faster):
    (made,) = optimisers(build("vgg"), replace(RECIPE, optimiser=name))
    decays = [group["weight_decay"] for group in made.param_groups]
    set_pace([made], 0.1)
    assert decays == [0.01, 0.0, 0.01 / faster]
    assert [g["lr"] for g in made.param_groups] == pytest.approx([0.05, 0.05, 0.05 * faster])


def test_without_momentum_a_step_is_the_gradient_times_the_rate():
    layer = nn.Linear(2, 1, bias=False)
    before = layer.weight.detach().clone()
    recipe = replace(RECIPE, momentum=0.0, weight_decay=0.0)
    made = optimisers(layer, recipe)
    layer(torch.ones(1, 2)).sum().backward()
    set_pace(made, 1.0)
    made[0].step()
    assert torch.allclose(layer.weight, before - 0.5)
