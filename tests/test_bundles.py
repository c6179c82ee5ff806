"""A name or a path -> a network that is ready to be looked at."""

import numpy as np
import pytest
import torch
from PIL import Image

from deconvviz.bundles import DEMOS, Bundle, load
from deconvviz.checkpoint import load_checkpoint
from deconvviz.data import draw_shapes
from deconvviz.errors import CheckpointError, SettingError, UnknownModelError
from deconvviz.training import Recipe, train


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    recipe = Recipe(model="seed-cnn", epochs=1, batch_size=16, precision="float32")
    train(recipe, draw_shapes(64), draw_shapes(16, seed=1), folder, progress=False)
    return folder


def picture(width, height):
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("name", DEMOS)
def test_the_demos_load_with_their_card_and_classify(name):
    bundle = load(name)
    assert bundle.name == name
    assert len(bundle.classes) == 10
    assert bundle.input_size == (3, 32, 32)
    assert not bundle.model.training
    logits = bundle.model(bundle.preprocess(picture(200, 100))[None])
    assert logits.shape == (1, 10)
    assert logits.isfinite().all()
    assert f"{bundle.training['test']['accuracy']:.2%}" in bundle.card


def test_the_demo_was_really_trained():
    """Measured on CIFAR-10, JPEG copy, at the end of training; `evaluate` measures it again."""
    assert load("demo").training["test"]["accuracy"] > 0.89
    assert load("demo").training["test"]["pictures"] == 10_000


def test_the_demo_has_snapshots_whose_features_differ():
    bundle = load("demo")
    assert len(bundle.snapshots) >= 3
    image = bundle.preprocess(picture(32, 32))[None]
    features = [bundle.at_epoch(e).model(image) for e in bundle.snapshots]
    assert all(f.shape == bundle.model.features(image).shape for f in features)
    assert not torch.allclose(features[0], features[-1])
    assert bundle.at_epoch(next(iter(bundle.snapshots))).classes == ()


def test_a_path_loads_with_the_snapshots_of_its_run(run):
    bundle = load(run / "model.safetensors")
    assert bundle.classes == draw_shapes(1).classes
    assert list(bundle.snapshots) == [0, 1]
    with pytest.raises(UnknownModelError, match="no snapshot of epoch 7; kept were: 0, 1"):
        bundle.at_epoch(7)


def test_it_feeds_the_network_as_its_checkpoint_says(run):
    bundle = load(run / "model.safetensors")
    image = picture(300, 200)
    assert bundle.preprocess(image).shape == (3, 32, 32)
    assert bundle.preprocess(image, size=None).shape == (3, 200, 300)
    assert bundle.box(image) == (0, 50, 200, 250)
    described = load_checkpoint(run / "model.safetensors").description
    assert (bundle.intake.mean, bundle.intake.std) == (described.mean, described.std)


def test_the_facts_say_how_good_it_is():
    trained, right = load("demo").facts
    assert "CIFAR-10, JPEG copy" in trained
    assert f"{load('demo').training['test']['accuracy']:.1%}" in right


def test_a_network_of_ones_own_becomes_a_bundle():
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU())
    bundle = Bundle.of(model, (1, 20, 20), (0.5,), (0.25,), name="mine")
    assert not bundle.model.training
    assert (bundle.name, bundle.architecture) == ("mine", "Sequential")
    assert bundle.preprocess(picture(50, 40)).shape == (1, 20, 20)
    changed = Bundle.of(torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU()), (1, 20, 20))
    assert changed.sha256 != bundle.sha256
    assert Bundle.of(model, (1, 20, 20)).sha256 == bundle.sha256


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"input_size": (3, 20, 30)}, "no square"),
        ({"input_size": (1, 20, 20), "mean": (0.5, 0.5, 0.5)}, "do not fit 1 channels"),
        ({"std": (1.0, 0.0, 1.0)}, "std above zero"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(options, told):
    with pytest.raises(SettingError, match=told):
        Bundle.of(torch.nn.Conv2d(3, 4, 3), **options)


def test_unknown_names_and_missing_paths_say_what_there_is(tmp_path):
    with pytest.raises(UnknownModelError, match="no model `dmo`; there are demo, demo-deconv"):
        load("dmo")
    with pytest.raises(SettingError, match="no package"):
        load("demo", input_size=(3, 32, 32))
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        load(tmp_path / "none.safetensors")
    (tmp_path / "bad.pt").write_bytes(b"PK\x03\x04")
    with pytest.raises(CheckpointError, match="no plausible safetensors header"):
        load(tmp_path / "bad.pt")
