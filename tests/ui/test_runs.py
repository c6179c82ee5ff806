"""Runs beside each other: what their checkpoints tell, and in what their recipes differ."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from deconvviz.errors import CheckpointError
from deconvviz.io.checkpoint import save_checkpoint
from deconvviz.io.zoo import load
from deconvviz.training import DecoderConfig, Recipe
from deconvviz.training.recipe import to_dict
from deconvviz.ui.runs import OwnRun, different, progress_curves, read_run, read_upload
from tests.ui.conftest import described

METRICS = [
    {
        "epoch": epoch,
        "train_loss": 1.5 / epoch,
        "train_accuracy": 0.3 * epoch,
        "test_loss": 1.6 / epoch,
        "test_accuracy": 0.25 * epoch,
        "seconds": epoch,
    }
    for epoch in (1, 2, 3)
]
TRAINING = {
    "recipe": to_dict(Recipe(model="plain:4/8", deconv_weight=0.5)),
    "epochs": 3,
    "pictures": 60,
    "device": "cpu",
    "seconds": 3.0,
    "metrics": METRICS,
    "test": {"title": "shapes", "pictures": 10, "accuracy": 0.7, "confusion": [[7, 3], [0, 0]]},
}


def checkpoint(folder, **training):
    path = folder / "model.safetensors"
    description = described("plain:4/8", **training)
    save_checkpoint(path, description.build(), description)
    return path


def run(name="mine", recipe=None, **changes):
    stored = to_dict(Recipe()) if recipe is None else recipe
    values = OwnRun(name, "here", "vgg", "shapes", 60, 3, 0.7, "10 pictures", stored, METRICS)
    return replace(values, **changes)


def test_the_row_has_the_numbers_of_the_checkpoint(tmp_path):
    found = read_run(checkpoint(tmp_path, **TRAINING), "mine", "here")
    assert found.row["test accuracy"] == pytest.approx(70)
    assert found.row["measured on"] == "10 pictures of shapes"
    assert found.row["labels"] == 60
    assert found.row["decoder's weight"] == 0.5
    assert [line["epoch"] for line in found.metrics] == [1, 2, 3]


def test_the_demos_tell_of_themselves():
    demo = load("demo")
    found = OwnRun.of(demo, "comes along")
    assert found.accuracy == demo.training["test"]["accuracy"]
    assert found.epochs == len(found.metrics)


@pytest.mark.parametrize("missing", ["test", "metrics", "recipe"])
def test_a_checkpoint_without_a_test_is_refused_by_its_name(tmp_path, missing):
    part = {key: value for key, value in TRAINING.items() if key != missing}
    path = checkpoint(tmp_path, **part)
    with pytest.raises(CheckpointError, match="`mine` has no complete test"):
        read_run(path, "mine", "here")


def test_metrics_without_accuracies_are_refused(tmp_path):
    path = checkpoint(tmp_path, **{**TRAINING, "metrics": [{"epoch": 1}]})
    with pytest.raises(CheckpointError, match="no complete test"):
        read_run(path, "mine", "here")


def test_an_upload_is_named_by_its_own_name(tmp_path):
    content = checkpoint(tmp_path, **TRAINING).read_bytes()
    found = read_upload(content, "../../x/run.safetensors")
    assert found.name == "run.safetensors"
    assert found.origin == "uploaded"
    assert len(read_upload(content, "a" * 10_000).name) == 80


def test_a_refused_upload_gets_a_sentence_that_knows_nothing_of_where_it_lay(tmp_path):
    other = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(2)}, other)
    for content in (b"", b"\x80\x04pickle", other.read_bytes()):
        with pytest.raises(CheckpointError) as refusal:
            read_upload(content, "C:\\runs\\mine.pt")
        assert "`mine.pt`" in str(refusal.value)
        assert "/tmp" not in str(refusal.value).replace("mine.pt", "")


def test_equal_recipes_differ_in_nothing():
    assert different(run("a"), run("b")) == []


def test_every_changed_option_is_told_with_both_values_and_no_other():
    changed = to_dict(Recipe(lr=0.5, decoder=DecoderConfig(kernel=3, switches=True), snapshots=()))
    rows = {row["option"]: (row["a"], row["b"]) for row in different(run("a", changed), run("b"))}
    assert rows == {
        "lr": ("0.5", "0.125"),
        "decoder.kernel": ("3", "4"),
        "decoder.switches": ("yes", "no"),
        "snapshots": ("none", "0, 1, 2, 5, 10, 20, 50, 100"),
    }


def test_what_an_older_run_had_no_option_for_was_done_as_the_default_says():
    old = {"lr": 0.125, "augmentation": {"crop": 4, "cutout": 8, "flip": True}}
    assert different(run("a", old), run("b")) == []


def test_an_option_that_this_version_lacks_is_told_too():
    rows = different(run("a", {**to_dict(Recipe()), "spell": 3}), run("b"))
    assert rows == [{"option": "spell", "a": "3", "b": "–"}]


def test_the_curves_are_those_of_the_metrics():
    accuracy, loss = progress_curves(METRICS).axes
    assert list(accuracy.lines[0].get_ydata()) == [0.25, 0.5, 0.75]
    assert list(loss.lines[1].get_ydata()) == [1.5, 0.75, 0.5]
