"""What excites units while they learn, against each snapshot looked at alone."""

import json
from dataclasses import replace

import pytest
import torch

from deconvviz.analysis.evolution import EvolutionOptions, evolution
from deconvviz.deconv import Deconvnet, Selection
from deconvviz.errors import DataError, SelectionError, SettingError, UnknownLayerError
from deconvviz.io.checkpoint import Description, save_checkpoint
from deconvviz.io.data import Dataset, draw_shapes
from deconvviz.io.zoo import load
from deconvviz.models import build
from deconvviz.training import Recipe, train

LAYERS = ("stage1.relu2", "stage3.relu1")


@pytest.fixture(scope="module")
def shapes():
    return draw_shapes(50, seed=4)


@pytest.fixture(scope="module")
def bundle(shapes, tmp_path_factory):
    recipe = Recipe(model="vgg:12,16,24", epochs=4, batch_size=25, snapshots=(0, 1, 2, 3))
    run = train(recipe, shapes, shapes, tmp_path_factory.mktemp("run"), progress=False)
    return load(run.checkpoint)


@pytest.fixture(scope="module")
def found(bundle, shapes):
    return evolution(bundle, shapes, EvolutionOptions(layers=LAYERS, units=3))


def run_of(folder, *changes):
    """A run of 2 epochs of an untrained network, one change of its weights an epoch."""
    torch.manual_seed(0)
    model = build("seed-cnn")
    description = Description(
        model="seed-cnn",
        channels=3,
        size=32,
        classes=tuple("abcdefghij"),
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        data={"title": "nothing", "fingerprint": "0" * 64},
        training={"epochs": len(changes)},
    )
    for epoch, change in enumerate(changes, 1):
        with torch.no_grad():
            change(model.stage1.conv)
        path = folder / "snapshots" / f"epoch-{epoch:04d}.safetensors"
        save_checkpoint(path, model, replace(description, stages_only=True))
    save_checkpoint(folder / "model.safetensors", model, description)
    return load(folder / "model.safetensors")


def stay(conv):
    conv.bias.zero_()


def turn_around(conv):
    conv.weight.neg_()


def die(conv):
    conv.bias[:5] = -1e6


def test_columns_are_the_snapshots_and_then_the_network(found):
    assert found.epochs == (0, 1, 2, 3, 4)
    assert [history.layer for history in found.histories] == list(LAYERS)


@pytest.mark.parametrize("column", [1, 4])
def test_the_strongest_pictures_are_those_of_one_slow_pass(bundle, shapes, found, column):
    then = bundle if column == 4 else bundle.at_epoch(found.epochs[column])
    with torch.no_grad():
        maps = then.model.stage1(bundle.preprocessing.normalised(shapes.images))
    value, picture = maps.amax((2, 3)).max(0)
    history = found.histories[0]
    torch.testing.assert_close(history.activation[:, column], value, atol=1e-4, rtol=1e-4)
    assert torch.equal(history.picture[:, column], picture.where(value > 0, -1))


def test_projections_are_those_of_each_snapshot_alone(bundle, shapes, found):
    history, column = found.histories[1], 2
    net = Deconvnet(bundle.at_epoch(2).model)
    for row, unit in enumerate(history.units.tolist()):
        picture = int(history.picture[unit, column])
        image = bundle.preprocessing.normalised(shapes.images[picture][None])
        recording = net.record(image, [LAYERS[1]])
        peaks = recording.peaks(LAYERS[1])
        at = int(peaks.y[0, unit]), int(peaks.x[0, unit])
        ours = net.project(recording, Selection(LAYERS[1], 0, unit, *at))
        torch.testing.assert_close(
            history.projections[row, column], ours.pixels[0], atol=1e-5, rtol=1e-4
        )
        assert torch.equal(history.boxes[row, column], ours.boxes[0])


def test_a_network_that_stays_as_it_is_never_jumps(tmp_path, shapes):
    same = evolution(run_of(tmp_path, stay, stay, stay), shapes, EvolutionOptions(units=2))
    assert same.epochs == (1, 2, 3)
    assert not any(history.changed.any() for history in same.histories)
    assert not any(history.stable_since.any() for history in same.histories)
    assert "changed in 0% of the steps" in same.summary()


def test_kernels_that_turn_around_jump_once_and_dead_units_answer_nothing(tmp_path, shapes):
    first = "stage1.relu"
    run = run_of(tmp_path, stay, turn_around, die, stay)
    turned = evolution(run, shapes, units={first: [0, 30]})
    (history,) = turned.histories
    # in some picture both a kernel and its negative may be strongest
    assert history.changed[5:, 0].double().mean() > 0.8
    assert not history.changed[5:, 1:].any()
    assert history.picture[:5, 2].tolist() == [-1] * 5
    assert not history.projections[0, 2].any()
    assert history.projections[1, 2].any()
    assert history.stable_since[5:].max() == 1
    turned.figure()


def test_it_is_saved_with_all_units_in_numbers(found, tmp_path):
    numbers, picture = found.save(tmp_path)
    stored = json.loads(numbers.read_text())
    assert len(stored["histories"][1]["picture"]) == 16
    assert stored["histories"][1]["share_stable"][-1] == 1
    assert picture.stat().st_size > 10_000


def test_the_choice_of_units_follows_the_seed(bundle, shapes, found):
    few, options = shapes.subset(range(3)), EvolutionOptions(layers=LAYERS[:1], units=3)
    again, other = (evolution(bundle, few, options, seed=seed) for seed in (0, 1))
    assert torch.equal(again.histories[0].units, found.histories[0].units)
    assert not torch.equal(other.histories[0].units, found.histories[0].units)


def test_wrong_input_is_refused(bundle, shapes):
    with pytest.raises(SettingError, match="no snapshots"):
        evolution(load("demo"), shapes)
    with pytest.raises(UnknownLayerError, match=r"head.logits"):
        evolution(bundle, shapes, EvolutionOptions(layers=("head.logits",)))
    with pytest.raises(SelectionError, match="no unit 12"):
        evolution(bundle, shapes, units={LAYERS[0]: [12]})
    with pytest.raises(SelectionError, match="no unit chosen"):
        evolution(bundle, shapes, units={LAYERS[0]: []})
    with pytest.raises(SettingError, match="units"):
        EvolutionOptions(units=0)
    grey = Dataset(shapes.images[:, :1], shapes.labels, shapes.classes, "grey")
    with pytest.raises(DataError, match="1 channels"):
        evolution(bundle, grey)
