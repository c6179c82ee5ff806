"""Restoration runs: they learn, they can be killed, and they say what they did."""

import json
from dataclasses import replace
from functools import partial

import pytest
import torch

from deconvviz.errors import CheckpointError
from deconvviz.io.checkpoint import load_checkpoint
from deconvviz.io.zoo import load
from deconvviz.networks import build
from deconvviz.restoration import RestorationRecipe, train_restoration
from deconvviz.restoration.pictures import Denoising, SuperResolution
from deconvviz.restoration.train import RestorationTrainer
from deconvviz.training import read_metrics

RECIPE = RestorationRecipe(
    network="fsrcnn:scale=2:features=8:shrunk=4:layers=1",
    epochs=2,
    steps_per_epoch=4,
    batch_size=4,
    patch=8,
    lr=3e-3,
)


@pytest.fixture
def learn(shapes):
    def run(folder, recipe=RECIPE, **options):
        task = SuperResolution(recipe, *shapes)
        return train_restoration(recipe, folder, task=task, progress=False, **options)

    return run


def killed_after(steps):
    """A callback that kills a run after some steps."""

    def kill(_title, done, _total):
        if done == steps:
            raise RuntimeError("killed")

    return kill


@pytest.mark.parametrize("ema", [True, False])
def test_a_run_that_was_killed_ends_with_bit_equal_weights(tmp_path, learn, ema):
    recipe = replace(RECIPE, ema=ema, fp16=False)
    whole = load_checkpoint(learn(tmp_path / "whole", recipe).checkpoint)
    with pytest.raises(RuntimeError, match="killed"):
        learn(tmp_path / "cut", recipe, callback=killed_after(6))
    cut = load_checkpoint(learn(tmp_path / "cut", recipe).checkpoint)
    assert whole.weights.keys() == cut.weights.keys()
    for name, tensor in whole.weights.items():
        assert torch.equal(cut.weights[name], tensor), name
    figures = [
        [{k: v for k, v in line.items() if k != "seconds"} for line in read_metrics(tmp_path / run)]
        for run in ("whole", "cut")
    ]
    assert figures[0] == figures[1]
    assert len(figures[0]) == 2


def test_a_run_learns(tmp_path, shapes):
    recipe = replace(
        RECIPE, network="half:width=16:blocks=1", channels=3, steps_per_epoch=60, patch=24, lr=1e-2
    )
    task = Denoising(recipe, *shapes)
    done = train_restoration(recipe, tmp_path, task=task, progress=False)
    untrained = task.validate(build(recipe.network, channels=3))
    assert done.held_out["psnr_25"] > untrained["psnr_25"] + 3


def test_the_checkpoint_measures_as_its_record_says_and_opens_as_a_network(tmp_path, learn, shapes):
    done = learn(tmp_path)
    checkpoint = load_checkpoint(done.checkpoint)
    task = SuperResolution(RECIPE, *shapes)
    assert checkpoint.description.training["held_out"] == task.validate(checkpoint.network())
    assert checkpoint.description.task == "sr"
    bundle = load(done.checkpoint)
    assert bundle.classes == ()
    assert bundle.model(torch.zeros(1, 1, 9, 7)).shape == (1, 1, 18, 14)
    assert "psnr" in (tmp_path / "model.md").read_text("utf-8")


def test_another_recipe_is_refused_and_the_same_one_continues(tmp_path, learn):
    learn(tmp_path)
    with pytest.raises(CheckpointError, match=r"lr was 0\.003"):
        learn(tmp_path, replace(RECIPE, lr=1e-3))
    assert learn(tmp_path).epochs == 2


def test_a_run_of_an_earlier_version_continues(tmp_path, learn):
    first = learn(tmp_path / "first", replace(RECIPE, fp16=False)).checkpoint
    recipe = replace(RECIPE, init=str(first))
    with pytest.raises(RuntimeError, match="killed"):
        learn(tmp_path / "run", recipe, callback=killed_after(6))
    path = tmp_path / "run" / "config.json"
    stored = json.loads(path.read_text("utf-8"))
    stored["recipe"]["init_from"] = stored["recipe"].pop("init")  # its name of then
    path.write_text(json.dumps(stored), "utf-8")
    assert learn(tmp_path / "run", recipe).epochs == 2
    assert "init_from" not in path.read_text("utf-8")
    with pytest.raises(CheckpointError, match=r"init was .*; the checkpoint to start from differs"):
        learn(tmp_path / "run", replace(recipe, init=""))
    assert "started from the weights of" in (tmp_path / "run" / "model.md").read_text("utf-8")


def test_initial_weights_come_from_a_checkpoint_where_they_fit(tmp_path, learn, shapes):
    first = learn(tmp_path / "x2", replace(RECIPE, fp16=False)).checkpoint
    network = "fsrcnn:scale=3:features=8:shrunk=4:layers=1"
    recipe = replace(RECIPE, network=network, init=str(first), lr=0.0, ema=False)
    made = partial(RestorationTrainer, device=torch.device("cpu"))
    task = SuperResolution(recipe, *shapes)
    before = load_checkpoint(first).weights
    after = made(recipe, tmp_path / "x3", task).model.state_dict()
    assert torch.equal(
        after["features.extract.conv.weight"], before["features.extract.conv.weight"]
    )
    other = made(replace(recipe, init=""), tmp_path / "none", task).model.state_dict()
    assert not torch.equal(
        other["features.extract.conv.weight"], before["features.extract.conv.weight"]
    )
