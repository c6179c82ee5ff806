"""Runs beside each other: what their checkpoints tell, and in what their recipes differ."""

import pytest
import torch
from safetensors.torch import save_file

from deconvviz.errors import CheckpointError, DeconvvizError
from deconvviz.io.checkpoint import save_checkpoint
from deconvviz.io.zoo import load
from deconvviz.schema import to_dict
from deconvviz.training import DecoderConfig, Recipe
from deconvviz.ui.own_runs import demo_runs
from deconvviz.ui.runs import (
    OwnRun,
    conclusion,
    different,
    read_run,
    read_upload,
    summary,
)
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


def run(name="mine", recipe=None, accuracy=0.7, title="shapes", **changes):
    stored = to_dict(Recipe()) if recipe is None else {"deconv_weight": 0.0, **recipe}
    test = {**TRAINING["test"], "accuracy": accuracy, "title": title}
    training = {**TRAINING, "recipe": stored, "test": test, **changes}
    return OwnRun(name, "here", "vgg", "shapes", ("cat", "dog"), training)


def test_the_row_has_the_numbers_of_the_checkpoint(tmp_path):
    found = read_run(checkpoint(tmp_path, **TRAINING), "mine", "here")
    assert found.row["test accuracy"] == pytest.approx(70)
    assert found.row["measured on"] == "10 pictures of shapes"
    assert found.row["labels"] == 60
    assert found.row["decoder's weight"] == 0.5
    assert [line["epoch"] for line in found.metrics] == [1, 2, 3]


def test_the_demos_are_runs_too():
    demo = load("demo")
    found = demo_runs()["demo"]
    assert found.accuracy == demo.training["test"]["accuracy"]
    assert len(found.metrics) == demo.training["recipe"]["epochs"]  # of the last training
    assert found.evaluation.accuracy == pytest.approx(found.accuracy)


@pytest.mark.parametrize("missing", ["test", "metrics", "recipe"])
def test_a_checkpoint_without_a_test_is_refused_by_its_name(tmp_path, missing):
    part = {key: value for key, value in TRAINING.items() if key != missing}
    path = checkpoint(tmp_path, **part)
    with pytest.raises(CheckpointError, match="`mine` has no complete test"):
        read_run(path, "mine", "here")


@pytest.mark.parametrize(
    "changes",
    [
        {"metrics": [{"epoch": 1, "test_accuracy": "much", "train_accuracy": 0.1}]},
        {"metrics": [{"epoch": 1}]},
        {"recipe": {**TRAINING["recipe"], "deconv_weight": "some"}},
        {"test": {"title": "shapes", "pictures": None, "accuracy": 0.5}},
        {"test": {"title": "shapes", "pictures": 10, "accuracy": 1.5}},
        {"metrics": []},
        {"epochs": "many"},
    ],
)
def test_a_record_with_words_for_numbers_is_refused(tmp_path, changes):
    with pytest.raises(DeconvvizError):
        read_run(checkpoint(tmp_path, **{**TRAINING, **changes}), "mine", "here")


def test_an_upload_is_named_by_its_own_name(tmp_path):
    content = checkpoint(tmp_path, **TRAINING).read_bytes()
    found = read_upload(content, "../../x/run.safetensors")
    assert found.name == "run.safetensors"
    assert found.origin == "uploaded"
    assert len(read_upload(content, "a" * 10_000).name) <= 60
    assert read_upload(content, "`![x](http://x)<b>`.safetensors").name.isprintable()
    assert not set("`![]<>|*$") & set(read_upload(content, "`![x](//y)<b>$`.safetensors").name)


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
    old = {"peak_rate": 0.125, "augmentation": {"crop": 4, "cutout": 8, "flip": True}}
    assert different(run("a", old), run("b")) == []


@pytest.mark.parametrize(
    ("twin", "said"), [(0.915, "**0.50** percentage points above"), (0.908, "**0.20**")]
)
def test_a_difference_under_one_point_is_called_no_evidence_either_way(twin, said):
    text = conclusion(run("demo", accuracy=0.91), run("twin", accuracy=twin))
    assert said in text
    assert "no evidence that the decoder helps or harms" in text
    assert "nor is it evidence that it does nothing" in text


def test_a_larger_difference_is_still_only_one_pair():
    text = conclusion(run("demo", accuracy=0.91), run("twin", accuracy=0.88))
    assert "**3.00** percentage points below" in text
    assert "one pair of runs" in text
    assert "no evidence that" not in text


def test_equal_networks_are_called_equal():
    assert "equally accurate" in conclusion(run("demo"), run("twin"))


def test_the_jpeg_copy_is_named_only_where_it_was_used():
    copy = "CIFAR-10, JPEG copy"
    text = conclusion(run("demo", title=copy), run("twin", title=copy))
    assert "not to be compared with published figures" in text
    text = conclusion(run("demo"), run("twin"))
    assert "JPEG" not in text
    assert "no fair pair" not in text


def test_unequal_training_is_no_fair_pair():
    assert "no fair pair" in conclusion(run("demo"), run("twin", epochs=30))


def test_decisions_that_were_not_kept_are_refused():
    test = {"title": "shapes", "pictures": 10, "accuracy": 0.5}
    with pytest.raises(CheckpointError, match="no complete test"):
        _ = run(test=test).evaluation


def test_the_summary_says_how_good_the_network_is(make_network):
    text = summary(make_network("vgg", **TRAINING).bundle)
    assert "**70.0%** of 10 test pictures" in text
    assert "3 epochs" in text
    text = summary(make_network("vgg", epochs=1).bundle)
    assert "1 epoch" in text
    assert "%" not in text
