"""Deconvolution without labels: what goes in, what should come back."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from deconvviz.io.checkpoint import load_checkpoint
from deconvviz.io.data import draw_shapes
from deconvviz.restoration import RestorationRecipe, train_restoration
from deconvviz.restoration.unsupervised import (
    AutoEncoding,
    Supervised,
    blurred,
    restored,
)
from deconvviz.training import read_metrics

RECIPE = RestorationRecipe(
    task="autoencode",
    network="autoencoder:decoder=untied",
    loss="l1",
    epochs=2,
    steps_per_epoch=15,
    batch_size=8,
    patch=16,
    lr=3e-3,
    fp16=False,
)


@pytest.fixture(scope="module")
def pictures():
    return draw_shapes(36, size=16, seed=0), draw_shapes(12, size=16, seed=1)


def test_reduced_pictures_are_pillows(pictures):
    images = pictures[0].images[:3]
    for ours, original in zip(blurred(images), images, strict=True):
        image = Image.fromarray(original.permute(1, 2, 0).numpy())
        small = image.resize((4, 4), Image.Resampling.BICUBIC)
        large = small.resize((16, 16), Image.Resampling.BICUBIC)
        assert np.array_equal(ours.permute(1, 2, 0).numpy(), np.asarray(large))


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_inputs_are_the_targets_or_their_reduced_copies(pictures, share):
    task = AutoEncoding(replace(RECIPE, reduced=share), *pictures)
    originals = task.inputs(task.training.images)
    copies = task.inputs(blurred(task.training.images))
    reduced = mirrored = count = 0
    for batch in task.batches(1):
        for given, target in zip(batch.inputs, batch.targets, strict=True):
            both = [i for i in range(36) if torch.equal(originals[i], target)]
            flipped = [i for i in range(36) if torch.equal(originals[i].flip(-1), target)]
            at = (both + flipped)[0]
            copy = copies[at] if both else copies[at].flip(-1)
            assert torch.equal(given, target) or torch.equal(given, copy)
            reduced += torch.equal(given, copy)
            mirrored += bool(flipped)
            count += 1
    assert reduced / count == pytest.approx(share, abs=0.2)
    assert 0.3 < mirrored / count < 0.7


def test_an_auto_encoder_learns_and_its_record_is_of_the_stored_network(tmp_path, pictures):
    task = AutoEncoding(RECIPE, *pictures)
    done = train_restoration(RECIPE, tmp_path, task=task, progress=False)
    lines = read_metrics(tmp_path)
    assert lines[-1]["mae"] < lines[0]["mae"]
    described = load_checkpoint(done.checkpoint).description
    network = load_checkpoint(done.checkpoint).network()
    back = restored(network, task.held_out.images, described.mean, described.std)
    error = (back - task.held_out.images.float()).abs().mean()
    assert done.held_out["mae"] == pytest.approx(float(error), abs=1e-3)
    assert back.min() >= 0
    assert back.max() <= 255


def test_a_classifier_learns_from_a_share_of_the_labels(tmp_path, pictures):
    recipe = replace(RECIPE, task="classify", network="autoencoder:decoder=classes", epochs=3)
    task = Supervised(recipe, *pictures)
    batches = list(task.batches(1))
    assert batches[0].inputs.shape == (8, 3, 16, 16)
    done = train_restoration(recipe, tmp_path, task=task, progress=False)
    lines = read_metrics(tmp_path)
    assert lines[-1]["train_loss"] < lines[0]["train_loss"]
    network = load_checkpoint(done.checkpoint).network()
    with torch.no_grad():
        decided = network((task.held_out.images.float() / 255 - 0.5) / 0.25).argmax(1)
    right = (decided == task.held_out.labels).double().mean()
    assert done.held_out["accuracy"] == right
