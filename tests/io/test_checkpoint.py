"""Checkpoints: written whole, checked whole, never run."""

import json
import struct
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from deconvviz.errors import CheckpointError
from deconvviz.io.checkpoint import (
    SCHEMA,
    Description,
    amend_checkpoint,
    load_checkpoint,
    save_checkpoint,
    versions,
)
from deconvviz.models import build

DESCRIPTION = Description(
    model="seed-cnn",
    channels=3,
    size=32,
    classes=("cat", "dog"),
    mean=(0.5, 0.4, 0.3),
    std=(0.2, 0.2, 0.1),
    data={"title": "shapes", "fingerprint": "ab" * 32},
    training={"epochs": 2},
    versions={"deconvviz": "9.9"},
)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return build("seed-cnn", classes=2)


@pytest.fixture
def path(tmp_path, model):
    save_checkpoint(tmp_path / "model.safetensors", model, DESCRIPTION)
    return tmp_path / "model.safetensors"


def rewritten(path, *, weights=None, **fields):
    """The same file with other tensors or another description."""
    stored = dict(load_checkpoint(path).weights)
    text = {"schema": SCHEMA, **vars(DESCRIPTION), **fields}
    stored.update(weights or {})
    save_file(
        {k: v for k, v in stored.items() if v is not None},
        path,
        metadata={"deconvviz": json.dumps(text)},
    )


def refusal(path):
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_what_was_saved_comes_back(path, model):
    loaded = load_checkpoint(path)
    assert loaded.description == DESCRIPTION
    network = loaded.network()
    assert not network.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(network.state_dict()[name], tensor)


def test_half_stores_the_nearest_float16_in_half_the_bytes(path, model, tmp_path):
    save_checkpoint(tmp_path / "half.safetensors", model, DESCRIPTION, fp16=True)
    assert (tmp_path / "half.safetensors").stat().st_size < 0.51 * path.stat().st_size
    stored = load_checkpoint(tmp_path / "half.safetensors").weights
    for name, tensor in model.state_dict().items():
        assert torch.equal(stored[name], tensor.half().float())


def test_a_snapshot_holds_the_stages_alone_and_computes_the_same_features(tmp_path, model):
    only = replace(DESCRIPTION, stages_only=True)
    save_checkpoint(tmp_path / "s.safetensors", model, only)
    stages = load_checkpoint(tmp_path / "s.safetensors").network()
    images = torch.randn(1, 3, 32, 32)
    assert torch.equal(stages(images), model.eval().stages(images))


def test_an_amended_record_leaves_the_weights_as_they_are(path):
    before = load_checkpoint(path)
    robust = [{"norm": "l2", "radius": 0.5, "steps": 20, "pictures": 9, "accuracy": 0.25}]
    description = amend_checkpoint(path, robust=robust, notes="chosen on held-out pictures")
    after = load_checkpoint(path)
    assert after.description == description != before.description
    assert description.training == {
        **before.description.training,
        "robust": robust,
        "notes": "chosen on held-out pictures",
    }
    assert load_file(path).keys() == before.weights.keys()
    assert all(torch.equal(after.weights[name], w) for name, w in before.weights.items())


def test_the_same_content_gives_the_same_sha256_and_another_weight_another(path, model, tmp_path):
    save_checkpoint(tmp_path / "again.safetensors", model, DESCRIPTION)
    first, again = (load_checkpoint(p).sha256 for p in (path, tmp_path / "again.safetensors"))
    model.head.logits.bias.data += 1
    save_checkpoint(path, model, DESCRIPTION)
    assert first == again != load_checkpoint(path).sha256


def test_versions_name_what_a_result_depends_on():
    assert versions().keys() == {"deconvviz", "torch", "python"}


def test_a_missing_file_is_told_how_to_get_one(tmp_path):
    assert "deconvviz train" in refusal(tmp_path / "none.safetensors")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x04K\x01.",  # a pickle
        b"PK\x03\x04" + b"\x00" * 100,  # a zip, as torch.save writes
        struct.pack("<Q", 2**60) + b"{" + b"\x00" * 100,  # a header of an exabyte
        struct.pack("<Q", 0) + b"{}",
        struct.pack("<Q", 900) + b"{}",  # a header longer than the file
    ],
)
def test_what_is_no_safetensors_file_is_refused(tmp_path, content):
    (tmp_path / "x.safetensors").write_bytes(content)
    assert "no plausible safetensors header" in refusal(tmp_path / "x.safetensors")


def test_200_000_tensors_are_refused_before_they_are_read(tmp_path):
    header = {
        f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(200_000)
    }
    text = json.dumps(header).encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    assert "no plausible safetensors header" in refusal(tmp_path / "x.safetensors")


@pytest.mark.parametrize("offsets", [[[0, 4], [8, 12]], [[0, 4], [2, 6]]])
def test_holes_and_overlaps_are_refused(tmp_path, offsets):
    header = {
        name: {"dtype": "F32", "shape": [1], "data_offsets": where}
        for name, where in zip("ab", offsets, strict=True)
    }
    text = json.dumps(header).encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(12))
    assert "damaged" in refusal(tmp_path / "x.safetensors")


def test_a_file_cut_short_is_refused(path):
    path.write_bytes(path.read_bytes()[:-100])
    assert "damaged" in refusal(path)


def test_a_foreign_safetensors_file_is_refused(tmp_path):
    save_file({"weight": torch.zeros(2)}, tmp_path / "x.safetensors")
    assert "without deconvviz's description" in refusal(tmp_path / "x.safetensors")


def test_another_schema_names_both_and_the_version_that_made_it(path):
    rewritten(path, schema=7)
    assert f"schema 7, this version reads {SCHEMA}" in (message := refusal(path))
    assert "9.9" in message


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"model": "lenet"}, "no model `lenet`"),
        ({"model": 5}, "model must be a valid string"),
        ({"size": 10**9}, "size must be <= 4096"),
        ({"size": 16.5}, "size"),
        ({"size": float("inf")}, "size"),
        ({"size": "big"}, "size must be a valid integer"),
        ({"std": (0.0, 1.0, 1.0)}, "std.0 must be > 0"),
        ({"mean": (0.5,)}, "mean and std"),
        ({"mean": (float("nan"), 0.0, 0.0)}, "mean.0 must be a finite number"),
        ({"mean": (float("inf"), 0.0, 0.0)}, "mean.0 must be a finite number"),
        ({"mean": ("0.1", 0.0, 0.0)}, "mean.0 must be a valid number"),
        ({"classes": ()}, "classes"),
        ({"classes": "abcdef"}, "classes must be a valid"),
        ({"data": {}}, "data.title is missing"),
        ({"versions": 5}, "versions"),
        ({"training": None}, "training"),
        ({"training": {"test": {"accuracy": "x"}}}, "training.test"),
        ({"training": {"ensemble": 5}}, "training.teacher_sha256"),
        ({"training": {"recipe": 5}}, "training.recipe"),
        ({"training": {"recipe": {"deconv_weight": "x"}}}, "training.recipe.deconv_weight"),
        ({"training": {"metrics": [3]}}, "training.metrics.0"),
        ({"colour": "red"}, "colour is not an option"),
    ],
)
def test_an_invalid_description_is_refused_in_one_sentence(path, fields, says):
    rewritten(path, **fields)
    message = refusal(path)
    assert says in message
    assert len(message) < 400


@pytest.mark.parametrize("text", ["[" * 90_000 + "]" * 90_000, "{", "[]", "3", '{"size": 1e400}'])
def test_a_description_that_is_no_object_is_refused(path, text):
    weights = dict(load_checkpoint(path).weights)
    save_file(weights, path, metadata={"deconvviz": text})
    assert "description" in refusal(path)


def test_a_diverged_run_can_still_be_read(path):
    rewritten(path, training={"metrics": [{"epoch": 1, "test_loss": float("nan")}]})
    (line,) = load_checkpoint(path).description.training["metrics"]
    assert line["test_loss"] != line["test_loss"]


def test_missing_unexpected_and_misshapen_weights_are_named(path):
    original = path.read_bytes()
    rewritten(path, weights={"stage1.conv.weight": None, "head.logits.bias": None})
    assert "lacks `head.logits.bias` and 1 more" in refusal(path)
    path.write_bytes(original)
    rewritten(path, weights={"extra": torch.zeros(1)})
    assert "has unexpected `extra`" in refusal(path)
    path.write_bytes(original)
    rewritten(path, weights={"head.logits.bias": torch.zeros(3)})
    assert "`head.logits.bias` is [3], not [2]" in refusal(path)


def test_values_that_are_not_finite_and_whole_numbers_are_refused_by_name(path):
    original = path.read_bytes()
    rewritten(path, weights={"head.logits.bias": torch.tensor([0.0, float("nan")])})
    assert "`head.logits.bias` holds values that are not finite" in refusal(path)
    path.write_bytes(original)
    rewritten(path, weights={"head.logits.bias": torch.tensor([0, 1])})
    assert "`head.logits.bias` has the wrong type, torch.int64" in refusal(path)
