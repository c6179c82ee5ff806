"""The recipe: its limits, its schedules, and what is read of stored ones."""

from dataclasses import replace
from typing import get_args

import pytest

from deconvviz.errors import CheckpointError, SettingError
from deconvviz.schema import read, to_dict
from deconvviz.training import DecoderConfig, Recipe
from deconvviz.training.losses import LOSSES, Loss
from deconvviz.training.recipe import completed, differences

RECIPE = Recipe(warmup=0.25)


@pytest.mark.parametrize(
    ("schedule", "scales"),
    [
        ("one-cycle", [0, 0.5, 1, 0.5, 0]),
        ("cosine", [0, 0.5, 1, 0.5, 0]),
        ("step", [0, 0.5, 1, 0.1, 0.01]),
        ("constant", [0, 0.5, 1, 1, 1]),
    ],
)
def test_learning_rates_rise_to_their_peaks_and_follow_the_schedule(schedule, scales):
    recipe = replace(RECIPE, schedule=schedule)
    assert [recipe.lr_scale(p) for p in (0, 0.125, 0.25, 0.625, 1)] == pytest.approx(scales)


def test_without_warmup_the_first_step_has_the_peak():
    assert replace(RECIPE, warmup=0.0).lr_scale(0) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "int4"}, "precision must be 'auto', 'bf16' or 'float32', got int4"),
        ({"optimiser": "lion"}, "optimiser"),
        ({"schedule": "square"}, "schedule"),
        ({"loss": "hinge"}, "loss"),
        ({"epochs": 0}, "epochs must be >= 1, got 0"),
        ({"batch_size": 1}, "batch_size"),
        ({"seed": 2**64}, "seed"),
        ({"lr": float("nan")}, "lr"),
        ({"warmup": 1.0}, "warmup must be < 1"),
        ({"distillation_weight": 1.5}, "distillation_weight"),
        ({"max_kernel_rms": -0.1}, "max_kernel_rms"),
        ({"bn_bias_lr_scale": -5.0}, "bn_bias_lr_scale"),
        ({"mixup": 0.2, "decoder": DecoderConfig(inpaint=True)}, "inpaint"),
        ({"max_kernel_rms": 0.1, "optimiser": "muon"}, "muon"),
    ],
)
def test_invalid_options_are_refused(options, message):
    with pytest.raises(SettingError, match=message):
        replace(RECIPE, **options)


def test_every_declared_loss_is_there():
    assert get_args(Loss) == tuple(LOSSES)


def test_a_stored_recipe_comes_back_and_missing_options_have_their_defaults():
    recipe = replace(RECIPE, decoder=DecoderConfig(stages=(0.5,)), teachers=("demo",))
    stored = to_dict(recipe)
    assert read(Recipe, stored, "x", CheckpointError) == recipe
    del stored["lr"], stored["decoder"]["kernel"]
    assert read(Recipe, stored, "x", CheckpointError) == recipe
    assert completed(stored) == to_dict(replace(recipe, lr=0.125))
    assert differences(stored, replace(recipe, lr=0.5)) == ["lr was 0.125, not 0.5"]


@pytest.mark.parametrize("stored", [None, [], {"lr": "0.1"}, {"spell": 3}, {"decoder": 5}])
def test_what_is_no_recipe_is_refused_by_the_name_of_its_file(stored):
    with pytest.raises(CheckpointError, match=r"x\.json"):
        read(Recipe, stored, "x.json", CheckpointError)
