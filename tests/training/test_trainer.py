"""The trainer: it learns, it can be killed, and it says what it did."""

import json
from dataclasses import replace

import pytest
import torch

from deconvviz.checkpoint import load_checkpoint
from deconvviz.data import draw_shapes
from deconvviz.errors import CheckpointError, DataError, SettingError
from deconvviz.training import Recipe, evaluate, read_metrics, train
from deconvviz.training.trainer import _Loop

RECIPE = Recipe(
    model="seed-cnn", epochs=3, batch_size=32, peak_rate=0.03, precision="float32", snapshots=(0, 2)
)


@pytest.fixture(scope="module")
def shapes():
    return draw_shapes(256, seed=1), draw_shapes(64, seed=2)


def run(folder, shapes, recipe=RECIPE):
    return train(recipe, *shapes, folder, progress=False)


def killed_in_epoch(epoch, error, monkeypatch):
    """Let the next run die in the middle of `epoch`."""
    real = _Loop.step

    def step(self, *args):
        if self.now == epoch and self.count == 3:
            raise error
        self.count += 1
        return real(self, *args)

    real_batches = _Loop.batches

    def batches(self, now):
        self.now, self.count = now, 0
        return real_batches(self, now)

    monkeypatch.setattr(_Loop, "step", step)
    monkeypatch.setattr(_Loop, "batches", batches)


def test_it_learns_what_chance_cannot(tmp_path, shapes):
    done = run(tmp_path, shapes, replace(RECIPE, epochs=8, model="vgg", peak_rate=0.1))
    assert done.evaluation.accuracy > 2 / len(shapes[0].classes)
    metrics = read_metrics(tmp_path)
    assert metrics[-1]["train_loss"] < metrics[0]["train_loss"]


def test_a_run_leaves_a_checkpoint_that_measures_as_its_record_says(tmp_path, shapes):
    done = run(tmp_path, shapes, replace(RECIPE, half=True))
    loaded = load_checkpoint(done.checkpoint)
    d = loaded.description
    again = evaluate(loaded.network(), shapes[1], d.mean, d.std)
    assert again.accuracy == d.training["test"]["accuracy"] == done.evaluation.accuracy
    assert again.confusion.tolist() == d.training["test"]["confusion"]
    assert d.data == {"title": shapes[0].title, "fingerprint": shapes[0].fingerprint}
    assert [line["epoch"] for line in d.training["metrics"]] == [1, 2, 3]
    assert f"{again.accuracy:.2%}" in done.checkpoint.with_suffix(".md").read_text()


def test_snapshots_are_the_stages_at_their_epochs(tmp_path, shapes):
    run(tmp_path, shapes)
    names = sorted(p.name for p in (tmp_path / "snapshots").iterdir())
    assert names == ["epoch-0000.safetensors", "epoch-0002.safetensors"]
    first, later = (load_checkpoint(tmp_path / "snapshots" / n) for n in names)
    assert first.description.stages_only
    assert first.weights.keys() == later.weights.keys()
    assert not any(name.startswith("head") for name in first.weights)
    assert not torch.equal(first.weights["stage1.conv.weight"], later.weights["stage1.conv.weight"])


@pytest.mark.parametrize(
    "recipe",
    [
        RECIPE,
        replace(RECIPE, model="vgg", deconv_weight=0.3),
        replace(RECIPE, model="fast", kernel_rate=0.03),
    ],
)
def test_a_killed_run_goes_on_to_bit_equal_weights(tmp_path, shapes, monkeypatch, recipe):
    whole = load_checkpoint(run(tmp_path / "whole", shapes, recipe).checkpoint)
    with monkeypatch.context() as patch:
        killed_in_epoch(2, RuntimeError("killed"), patch)
        with pytest.raises(RuntimeError, match="killed"):
            run(tmp_path / "cut", shapes, recipe)
    taken_up = load_checkpoint(run(tmp_path / "cut", shapes, recipe).checkpoint)
    for name, tensor in whole.weights.items():
        assert torch.equal(taken_up.weights[name], tensor), name
    assert [line["epoch"] for line in read_metrics(tmp_path / "cut")] == [1, 2, 3]


def test_ctrl_c_leaves_a_checkpoint_of_the_last_whole_epoch(tmp_path, shapes, monkeypatch):
    with monkeypatch.context() as patch:
        killed_in_epoch(3, KeyboardInterrupt(), patch)
        done = run(tmp_path, shapes)
    assert done.epochs == 2
    snapshot = load_checkpoint(tmp_path / "snapshots" / "epoch-0002.safetensors").weights
    stopped = load_checkpoint(done.checkpoint)
    assert all(torch.equal(stopped.weights[name], snapshot[name]) for name in snapshot)
    assert stopped.description.training["epochs"] == 2
    assert run(tmp_path, shapes).epochs == 3


def test_a_line_of_metrics_that_the_state_does_not_know_is_dropped(tmp_path, shapes):
    run(tmp_path, shapes, replace(RECIPE, epochs=1))
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"epoch": 2}) + '\n{"epoch": 3, "tr')
    run(tmp_path, shapes, replace(RECIPE, epochs=1))
    assert [line["epoch"] for line in read_metrics(tmp_path)] == [1]


def test_a_folder_of_another_recipe_or_other_data_is_refused(tmp_path, shapes):
    run(tmp_path, shapes, replace(RECIPE, epochs=1))
    with pytest.raises(CheckpointError, match="another recipe or other data"):
        run(tmp_path, shapes, replace(RECIPE, epochs=1, seed=1))
    with pytest.raises(CheckpointError, match="another recipe or other data"):
        run(tmp_path, (draw_shapes(256, seed=3), shapes[1]), replace(RECIPE, epochs=1))


def test_a_run_from_before_a_setting_was_there_goes_on_as_with_its_default(tmp_path, shapes):
    run(tmp_path, shapes, replace(RECIPE, epochs=1))
    config = tmp_path / "config.json"
    old = json.loads(config.read_text())
    del old["recipe"]["largest_rms"]
    config.write_text(json.dumps(old))
    with pytest.raises(CheckpointError, match="another recipe or other data"):
        run(tmp_path, shapes, replace(RECIPE, epochs=1, largest_rms=0.1))
    assert run(tmp_path, shapes, replace(RECIPE, epochs=1)).epochs == 1


@pytest.mark.parametrize("deconv_weight", [0.0, 0.3])
def test_no_kernel_grows_beyond_the_radius_and_without_one_some_do(tmp_path, shapes, deconv_weight):
    def longest(radius):
        wanted = replace(RECIPE, epochs=1, largest_rms=radius, deconv_weight=deconv_weight)
        weights = load_checkpoint(run(tmp_path / f"{radius}", shapes, wanted).checkpoint).weights
        kernels = [tensor for tensor in weights.values() if tensor.dim() == 4]
        return max(float(kernel.pow(2).mean((1, 2, 3)).sqrt().max()) for kernel in kernels)

    assert longest(0.0) > 0.11
    assert 0.09 < longest(0.1) <= 0.1 + 1e-6


def test_fewer_pictures_than_a_batch_are_refused(tmp_path, shapes):
    with pytest.raises(DataError, match="256 training pictures are fewer than one batch of 512"):
        run(tmp_path, shapes, replace(RECIPE, batch_size=512))


def test_rates_rise_to_their_peaks_and_fall_to_nothing():
    recipe = replace(RECIPE, warmup=0.25)
    paces = [recipe.pace(progress) for progress in (0, 0.125, 0.25, 0.625, 1)]
    assert paces == pytest.approx([0, 0.5, 1, 0.5, 0])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"precision": "int4"}, "no precision `int4`; there are auto, bf16, float32"),
        ({"epochs": 0}, "epochs 0 cannot be; it is 1 or more"),
        ({"batch_size": 1}, "batch_size 1 cannot be"),
        ({"peak_rate": float("nan")}, "peak_rate nan cannot be"),
        ({"largest_rms": -0.1}, "largest_rms -0.1 cannot be; it is 0.0 or more"),
        ({"largest_rms": 0.1, "kernel_rate": 0.03}, "both set how long kernels are; set one"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(settings, says):
    with pytest.raises(SettingError, match=says):
        replace(RECIPE, **settings)
