"""Which optimiser has which parameters, and at which rates."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from deconvviz.models import build
from deconvviz.training import Recipe
from deconvviz.training.objective import Objective
from deconvviz.training.optimisers import Muon, optimisers, scale_lr

RECIPE = Recipe(lr=0.5, muon_lr=0.03, weight_decay=0.01, bn_bias_lr_scale=4.0)


def objective(**changes):
    recipe = replace(RECIPE, **changes)
    return Objective(build("vgg"), (3, 32, 32), recipe)


@pytest.mark.parametrize("name", ["sgd", "muon", "adam", "adamw"])
def test_every_parameter_has_exactly_one_place(name):
    parts = objective(optimiser=name, deconv_weight=1.0)
    made = optimisers(parts, parts.recipe)
    held = [p for one in made for group in one.param_groups for p in group["params"]]
    assert sorted(map(id, held)) == sorted(map(id, parts.parameters()))


def test_muon_has_the_kernels_before_batchnorm_and_sgd_the_rest():
    parts = objective(optimiser="muon")
    model = parts.model
    sgd, muon = optimisers(parts, parts.recipe)
    assert isinstance(muon, Muon)
    (group,) = muon.param_groups
    assert {id(p) for p in group["params"]} == {
        id(m.weight) for m in model.modules() if isinstance(m, nn.Conv2d)
    }
    matrices = sgd.param_groups[0]["params"]
    assert [tuple(p.shape) for p in matrices] == [(10, 256)]


@pytest.mark.parametrize(("name", "faster"), [("sgd", 4.0), ("adam", 1.0)])
def test_only_sgd_moves_shifts_faster(name, faster):
    parts = objective(optimiser=name)
    (made,) = optimisers(parts, parts.recipe)
    decays = [group["weight_decay"] for group in made.param_groups]
    scale_lr([made], 0.1)
    assert decays == [0.01, 0.0, 0.01 / faster]
    assert [g["lr"] for g in made.param_groups] == pytest.approx([0.05, 0.05, 0.05 * faster])


def test_without_momentum_a_step_is_the_gradient_times_the_rate():
    parts = objective(momentum=0.0, weight_decay=0.0)
    kernel = parts.model.head.logits.weight
    before = kernel.detach().clone()
    made = optimisers(parts, parts.recipe)
    parts.model(torch.randn(2, 3, 32, 32)).square().sum().backward()
    scale_lr(made, 1.0)
    made[0].step()
    assert torch.allclose(kernel, before - 0.5 * kernel.grad)


@pytest.mark.parametrize("name", ["sgd", "muon", "adamw"])
def test_the_decoder_learns_so_many_times_faster(name):
    parts = objective(optimiser=name, deconv_weight=1.0, decoder_lr_scale=3.0)
    made = optimisers(parts, parts.recipe)
    peaks = {
        id(p): group["max_lr"]
        for one in made
        for group in one.param_groups
        for p in group["params"]
    }
    ours, theirs = parts.model.head.logits, parts.regulariser.decoder.steps[-1].up
    assert peaks[id(theirs.weight)] == 3 * peaks[id(ours.weight)]
    assert peaks[id(theirs.bias)] == 3 * peaks[id(ours.bias)]
