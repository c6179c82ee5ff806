"""Files of earlier versions, under their names of then."""

import json
from pathlib import Path

import pytest
import torch

from deconvviz.io.checkpoint import load_checkpoint
from deconvviz.io.legacy import (
    current_options,
    current_record,
    current_run,
    current_state,
    earlier_arm,
)
from deconvviz.io.zoo import TWINS
from deconvviz.schema import to_dict
from deconvviz.training import DecoderConfig, Recipe
from deconvviz.training.run_folder import RunConfig, read_config

DEMO = Path(__file__).parents[2] / "deconvviz" / "demo"

# config.json as version 0.1 wrote it, every option included
OLD = {
    "recipe": {
        "model": "zf",
        "epochs": 8,
        "steps": 3,
        "seed": 0,
        "batch_size": 128,
        "unlabelled_batch": 0,
        "optimiser": "sgd",
        "peak_rate": 0.2,
        "kernel_rate": 0.03,
        "schedule": "one-cycle",
        "warmup": 0.2,
        "momentum": 0.9,
        "weight_decay": 0.0013,
        "shift_rate": 8.0,
        "loss": "cross-entropy",
        "label_smoothing": 0.1,
        "augmentation": {
            "crop": 2,
            "flip": True,
            "cutout": 0,
            "rotation": 0.0,
            "randaugment": 0,
            "crop_scale": 0.35,
            "crop_ratio": 1.3333333333333333,
        },
        "mixup": 0.0,
        "distil_from": ["demo"],
        "distil_share": 0.5,
        "noise": 0.0,
        "adversary": {
            "radius": 1.0,
            "norm": "l2",
            "steps": 2,
            "step_size": 0.0,
            "random_start": False,
            "delay": 0.25,
            "warmup": 0.25,
        },
        "deconv_weight": 0.0,
        "decoder": {
            "switches": False,
            "tied": False,
            "kernel": 4,
            "depth": 1,
            "below": 1,
            "stages": [0.5],
            "hold_targets": False,
            "fill": True,
            "free_branch": False,
            "rise": 0.1,
            "fall": 0.2,
        },
        "decoder_rate": 2.0,
        "consistency_weight": 0.0,
        "consistency_rise": 0.4,
        "teacher_decay": 0.95,
        "averaged": True,
        "largest_rms": 0.1,
        "snapshots": [0, 1],
        "precision": "bf16",
        "half": True,
    },
    "data": "8a6e",
    "unlabelled": None,
    "ensemble": ["12ab"],
}


def test_an_old_config_has_every_value_under_its_present_name(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(OLD))
    config = read_config(path)
    recipe = config.recipe
    assert (config.data, config.unlabelled, config.teacher_sha256) == ("8a6e", None, ("12ab",))
    assert (recipe.steps_per_epoch, recipe.lr, recipe.muon_lr) == (3, 0.2, 0.03)
    assert (recipe.bn_bias_lr_scale, recipe.decoder_lr_scale) == (8, 2)
    assert (recipe.teachers, recipe.distillation_weight) == (("demo",), 0.5)
    assert (recipe.consistency_rampup, recipe.ema_decay, recipe.ema) == (0.4, 0.95, True)
    assert (recipe.max_kernel_rms, recipe.fp16, recipe.augmentation.crop_padding) == (0.1, True, 2)
    assert recipe.adversary.steps == 2
    assert recipe.decoder == DecoderConfig(
        skip_last_stages=1,
        stages=(0.5,),
        detach_targets=False,
        inpaint=True,
        rampup=0.1,
        rampdown=0.2,
    )


def test_present_names_stay():
    stored = to_dict(Recipe(lr=0.3, decoder=DecoderConfig(rampup=0.5)))
    assert current_options(stored) == stored
    config = to_dict(RunConfig(Recipe(), "8a6e", teacher_sha256=("12ab",)))
    assert current_run(config) == config


def test_an_old_state_has_present_names():
    group = {"params": [0], "peak": 0.1, "lr": 0.05}
    old = {
        "epoch": 1,
        "parts": {"w": torch.ones(1)},
        "teacher": {},
        "optimisers": [{"state": {}, "param_groups": [group]}],
    }
    now = current_state(old)
    assert now.keys() == {"epoch", "objective", "ema", "optimisers"}
    assert now["optimisers"][0]["param_groups"] == [{"params": [0], "max_lr": 0.1, "lr": 0.05}]


@pytest.mark.parametrize("stored", [None, 3, [], "x", {"recipe": 3}, {"optimisers": [3]}])
def test_what_is_no_such_file_is_left_for_the_schema(stored):
    for translate in (current_options, current_run, current_state):
        assert translate(stored) == stored


CHECKPOINTS = sorted(set(DEMO.rglob("*.safetensors")) - set(DEMO.glob("*-atlas.safetensors")))


@pytest.mark.parametrize("path", CHECKPOINTS, ids=lambda path: path.stem)
def test_the_shipped_checkpoints_open(path):
    description = load_checkpoint(path).description
    training = description.training
    assert {"lr", "ema"} <= training["recipe"].keys()
    assert not {"peak_rate", "averaged"} & training["recipe"].keys()
    if description.task:  # an encoder-decoder, which has no teachers
        return
    assert len(training["teacher_sha256"]) == (2 if path.stem in TWINS else 0)


def test_an_arm_knows_its_earlier_name():
    for arm in ("lr=0.01", "decoder-lr=3.0", "skip_last_stages", "constant lr", "A"):
        record = current_record({"arm": earlier_arm(arm)})
        assert record["arm"] == arm
