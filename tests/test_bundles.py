"""A name or a path -> a network that is ready to be looked at."""

import numpy as np
import pytest
import torch
from PIL import Image

from deconvviz.bundles import DEMOS, load
from deconvviz.data import draw_shapes
from deconvviz.errors import CheckpointError, UnknownModelError
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


def test_a_picture_of_the_trained_size_passes_untouched(run):
    bundle = load(run / "model.safetensors")
    image = picture(32, 32)
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).double() / 255
    mean, std = (
        torch.tensor(v).double().view(3, 1, 1)
        for v in (bundle.description.mean, bundle.description.std)
    )
    assert torch.allclose(bundle.preprocess(image).double(), (pixels - mean) / std, atol=1e-5)


@pytest.mark.parametrize(("width", "height"), [(300, 200), (200, 300), (64, 64), (20, 10)])
def test_any_picture_becomes_the_central_square_that_box_says(run, width, height):
    bundle = load(run / "model.safetensors")
    image = picture(width, height)
    top, left, bottom, right = bundle.box(image)
    assert bottom - top == right - left == min(width, height)
    assert (top, left) == ((height - bottom + top) // 2, (width - right + left) // 2)
    seen = bundle.preprocess(image)
    assert seen.shape == (3, 32, 32)
    cut = image.crop((left, top, right, bottom))
    assert torch.equal(seen, bundle.preprocess(cut))


def test_a_picture_keeps_its_size_where_that_is_asked_for(run):
    bundle = load(run / "model.safetensors")
    assert bundle.preprocess(picture(70, 50), size=None).shape == (3, 50, 70)
    assert bundle.preprocess(picture(70, 50), size=48).shape == (3, 48, 48)


def test_unknown_names_and_missing_paths_say_what_there_is(tmp_path):
    with pytest.raises(UnknownModelError, match="no model `dmo`; there are demo, demo-deconv"):
        load("dmo")
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        load(tmp_path / "none.safetensors")
    (tmp_path / "bad.pt").write_bytes(b"PK\x03\x04")
    with pytest.raises(CheckpointError, match="no plausible safetensors header"):
        load(tmp_path / "bad.pt")
