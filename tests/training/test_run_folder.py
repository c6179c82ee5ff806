"""The files of a run: written, read, and refused in one sentence where they are damaged."""

import json
import os
from dataclasses import replace

import pytest
import torch

from deconvviz.errors import BusyError, CheckpointError
from deconvviz.io import legacy
from deconvviz.io.checkpoint import load_checkpoint
from deconvviz.io.data import draw_shapes
from deconvviz.io.files import only_writer
from deconvviz.training import Recipe, read_metrics, train
from deconvviz.training.run_folder import read_config, restore_metrics

RECIPE = Recipe(
    model="vgg:4,8",
    epochs=2,
    steps_per_epoch=2,
    batch_size=16,
    unlabelled_batch=16,
    lr=0.03,
    precision="float32",
    snapshots=(),
    deconv_weight=0.3,
    consistency_weight=1.0,
    max_kernel_rms=0.1,
)


def learn(folder, recipe=RECIPE, **options):
    data = draw_shapes(32, seed=1), draw_shapes(16, seed=2)
    more = draw_shapes(48, seed=3)
    return train(recipe, *data, folder, unlabelled=more, progress=False, **options)


def stop_after_an_epoch(_, done, __):
    if done == 3:
        raise KeyboardInterrupt


def under_old_names(stored, names):
    old = {new: old for old, new in names.items() if isinstance(new, str)}
    return {
        old.get(name, name): under_old_names(value, names.get(name, {}))
        if isinstance(value, dict)
        else value
        for name, value in stored.items()
    }


def make_old(folder):
    """Rewrite a run as version 0.1 wrote it."""
    config = json.loads((folder / "config.json").read_text())
    recipe = under_old_names(config["recipe"], legacy._OPTIONS)
    config["recipe"], config["ensemble"] = recipe, config.pop("teacher_sha256")
    (folder / "config.json").write_text(json.dumps(config))
    state = torch.load(folder / "state.pt", weights_only=True)
    state["parts"], state["teacher"] = state.pop("objective"), state.pop("ema")
    for group in (group for one in state["optimisers"] for group in one["param_groups"]):
        group["peak"] = group.pop("max_lr")
    torch.save(state, folder / "state.pt")


def test_a_run_of_version_0_1_goes_on_to_bit_equal_weights(tmp_path):
    whole = learn(tmp_path / "whole")
    assert learn(tmp_path / "old", callback=stop_after_an_epoch).epochs == 1
    make_old(tmp_path / "old")
    assert "peak_rate" in (tmp_path / "old" / "config.json").read_text()
    resumed = learn(tmp_path / "old")
    weights = [load_checkpoint(run.checkpoint).weights for run in (whole, resumed)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert [line["epoch"] for line in read_metrics(tmp_path / "old")] == [1, 2]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "finished"
    learn(folder, replace(RECIPE, epochs=1))
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def folder(finished, tmp_path):
    for name, content in finished.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def refusal(folder):
    with pytest.raises(CheckpointError) as caught:
        learn(folder, replace(RECIPE, epochs=1))
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


@pytest.mark.parametrize("content", ["", "{}", "[]", "3", "{", '{"recipe": {}, "data": 5}'])
def test_a_damaged_config_is_refused_with_what_to_do(folder, content):
    (folder / "config.json").write_text(content)
    message = refusal(folder)
    assert "config.json" in message
    assert "restore this file, or train in another folder" in message


@pytest.mark.parametrize("line", ["3", "[]", "{}", '{"epoch": "1"}', '{"epoch": {}}', "x"])
def test_a_damaged_line_of_metrics_is_refused_with_what_to_do(folder, line):
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(line + "\n")
    message = refusal(folder)
    assert "metrics.jsonl, line 2" in message
    assert "delete state.pt beside it to train again" in message
    (folder / "state.pt").unlink()
    assert learn(folder, replace(RECIPE, epochs=1)).epochs == 1
    assert [line["epoch"] for line in read_metrics(folder)] == [1]


def cut(content):
    return content[: len(content) // 2]


def without_momentum(content):
    return _changed(content, lambda state: state.pop("optimisers"))


def without_a_weight(content):
    return _changed(content, lambda state: state["objective"].popitem())


def with_words(content):
    return _changed(content, lambda state: state.update(epoch="one"))


def _changed(content, change):
    import io

    state = torch.load(io.BytesIO(content), weights_only=True)
    change(state)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda _: b"\x80\x02r\xff\xff\xff\x7f.",
        lambda _: b"some text",
        cut,
        without_momentum,
        without_a_weight,
        with_words,
    ],
)
def test_a_damaged_state_is_refused_with_what_to_do(folder, damage):
    path = folder / "state.pt"
    path.write_bytes(damage(path.read_bytes()))
    message = refusal(folder)
    assert "state.pt is damaged" in message
    assert "delete it to train again from the start" in message
    path.unlink()
    assert learn(folder, replace(RECIPE, epochs=1)).epochs == 1
    assert [line["epoch"] for line in read_metrics(folder)] == [1]


def test_another_precision_is_refused_and_auto_keeps_that_of_the_run(folder):
    recipe = replace(RECIPE, epochs=1)
    learn(folder, replace(recipe, precision="auto"))
    assert read_config(folder / "config.json").recipe.precision == "float32"
    with pytest.raises(CheckpointError, match="precision was float32"):
        learn(folder, replace(recipe, precision="bf16"))


def test_a_half_written_last_line_and_later_epochs_are_dropped(tmp_path):
    assert read_metrics(tmp_path) == []
    lines = "".join(json.dumps({"epoch": n, "train_loss": 0.5}) + "\n" for n in (1, 2, 3))
    (tmp_path / "metrics.jsonl").write_text(lines + '{"epoch": 4')
    assert [line["epoch"] for line in read_metrics(tmp_path)] == [1, 2, 3]
    restore_metrics(tmp_path, 2)
    assert [line["epoch"] for line in read_metrics(tmp_path)] == [1, 2]


def test_an_epoch_that_two_runs_wrote_is_there_once_and_one_without_a_line_is_named(tmp_path):
    line = '{"epoch": 1, "train_loss": 0.5}\n'
    (tmp_path / "metrics.jsonl").write_text(2 * line)
    restore_metrics(tmp_path, 1)
    assert (tmp_path / "metrics.jsonl").read_text() == line
    with pytest.raises(CheckpointError, match=r"no line of epoch 2; restore it, or delete"):
        restore_metrics(tmp_path, 2)
    restore_metrics(tmp_path, 0)
    assert read_metrics(tmp_path) == []


def test_a_folder_has_one_run_at_a_time(folder):
    recipe = replace(RECIPE, epochs=1)
    with only_writer(folder), pytest.raises(BusyError, match=f"process {os.getpid()}, started"):
        learn(folder, recipe)
    learn(folder, recipe)
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_a_missing_config_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="no config at"):
        read_config(tmp_path / "config.json")
