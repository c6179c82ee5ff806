"""Networks by name or path."""

import pytest
import torch

from deconvviz.errors import CheckpointError, SettingError, UnknownModelError
from deconvviz.io.checkpoint import load_checkpoint
from deconvviz.io.data import draw_shapes
from deconvviz.io.zoo import DEMOS, load
from deconvviz.training import Recipe, train


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    recipe = Recipe(model="seed-cnn", epochs=1, batch_size=16, precision="float32")
    train(recipe, draw_shapes(64), draw_shapes(16, seed=1), folder, progress=False)
    return folder


@pytest.mark.parametrize("name", DEMOS)
def test_the_demos_load_with_their_card_and_classify(name):
    bundle = load(name)
    assert bundle.name == name
    classes, side = (20, 128) if name == "demo-photos" else (10, 32)
    assert len(bundle.classes) == classes
    assert bundle.input_size == (3, side, side)
    assert not bundle.model.training
    logits = bundle.model(torch.rand(1, *bundle.input_size))
    assert logits.shape == (1, classes)
    assert logits.isfinite().all()
    assert f"{bundle.training['test']['accuracy']:.2%}" in bundle.card


@pytest.mark.parametrize(
    ("name", "accuracy", "pictures"), [("demo", 0.86, 10_000), ("demo-photos", 0.7, 5_879)]
)
def test_the_demos_were_really_trained(name, accuracy, pictures):
    """Measured at the end of training; `evaluate` measures it again."""
    test = load(name).training["test"]
    assert (test["accuracy"] > accuracy, test["pictures"]) == (True, pictures)


def test_the_first_demo_has_snapshots_whose_features_differ():
    bundle = load("demo-photos")
    assert len(bundle.snapshots) >= 3
    image = torch.rand(1, *bundle.input_size)
    features = [bundle.at_epoch(e).model(image) for e in bundle.snapshots]
    assert all(f.shape == bundle.model.stages(image).shape for f in features)
    assert not torch.allclose(features[0], features[-1])
    assert bundle.at_epoch(next(iter(bundle.snapshots))).classes == ()


def test_a_path_loads_with_the_snapshots_of_its_run(run):
    bundle = load(run / "model.safetensors")
    assert bundle.classes == draw_shapes(1).classes
    assert list(bundle.snapshots) == [0, 1]
    with pytest.raises(UnknownModelError, match="no snapshot of epoch 7; it has 0, 1"):
        bundle.at_epoch(7)


def test_a_checkpoint_says_what_its_network_takes(run):
    bundle = load(run / "model.safetensors")
    described = load_checkpoint(run / "model.safetensors").description
    assert bundle.input_size == (3, 32, 32)
    assert (bundle.preprocessing.mean, bundle.preprocessing.std) == (described.mean, described.std)


def test_unknown_names_and_missing_paths_say_what_there_is(tmp_path):
    with pytest.raises(UnknownModelError, match="no model `dmo`; there are demo-photos, demo, "):
        load("dmo")
    with pytest.raises(SettingError, match="package"):
        load("demo", input_size=(3, 32, 32))
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        load(tmp_path / "none.safetensors")
    (tmp_path / "bad.pt").write_bytes(b"PK\x03\x04")
    with pytest.raises(CheckpointError, match="no plausible safetensors header"):
        load(tmp_path / "bad.pt")
