"""Ablation on drawn shapes: what is compared is alike, what was done is kept."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from torch import nn

from deconvviz.errors import DeconvvizError, SettingError, StudyError, UnknownModelError
from deconvviz.io.data import draw_shapes
from deconvviz.io.zoo import load
from deconvviz.models import build
from deconvviz.plots.study import save, summary
from deconvviz.study import run
from deconvviz.study.ablation import SEEDS, VARIANTS, ablation
from deconvviz.study.record import read_records
from deconvviz.training import Recipe
from deconvviz.training.cost import multiply_adds
from tests.study.samples import record, sweep

TWO = {"full": "plain:8/8+16", "no hidden layer": "plain:8/8"}
RECIPE = Recipe(epochs=2, batch_size=32, precision="float32", snapshots=())


@pytest.fixture(scope="module")
def data():
    return draw_shapes(120, size=16, seed=0), draw_shapes(60, size=16, seed=1)


@pytest.fixture(scope="module")
def done(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ablation")
    return folder, ablation(*data, folder, variants=TWO, recipe=RECIPE, seeds=(0, 3))


def test_every_variant_is_trained_with_every_seed_and_measured_as_it_is_stored(data, done):
    folder, found = done
    assert [(r.arm, r.seed) for r in found.records] == [
        ("full", 0), ("full", 3), ("no hidden layer", 0), ("no hidden layer", 3)
    ]  # fmt: skip
    for one in found.records:
        stem = f"{one.arm.replace(' ', '-')}-{one.seed}"
        bundle = load(folder / stem / "model.safetensors")
        assert bundle.architecture == TWO[one.arm] == one.configuration["recipe"]["model"]
        shares = one.train_accuracy, one.test_accuracy
        for pictures, share in zip(data, shares, strict=True):
            logits = bundle.model(bundle.preprocessing.normalised(pictures.images))
            right = (logits.argmax(1) == pictures.labels).float().mean()
            assert share == pytest.approx(float(right), abs=1e-6)


def test_sizes_are_those_of_the_layers_written_out(done):
    """3x3 kernels on 16x16 and 8x8 maps; BatchNorm has two numbers a map."""
    _, found = done
    kernels, maps = 9 * 3 * 8 + 9 * 8 * 8, 2 * 8 + 2 * 8
    work = 256 * 9 * 3 * 8 + 64 * 9 * 8 * 8
    full, plain = found.records[0], found.records[2]
    assert full.parameters == kernels + maps + (128 * 16 + 16) + (16 * 6 + 6)
    assert full.multiply_adds == work + 128 * 16 + 16 * 6
    assert plain.parameters == kernels + maps + (128 * 6 + 6)
    assert plain.multiply_adds == work + 128 * 6


def test_multiply_adds_of_a_strided_convolution():
    model = nn.Conv2d(2, 5, 3, stride=2)  # 15 x 15 -> 7 x 7
    assert multiply_adds(model, (2, 15, 15)) == 49 * 5 * 2 * 9


def test_a_trial_that_is_there_is_not_trained_again(data, done, monkeypatch):
    folder, found = done
    monkeypatch.setattr(run, "train", None)
    again = ablation(*data, folder, variants=TWO, recipe=RECIPE, seeds=(0, 3))
    assert again == found


def test_a_new_variant_joins_those_that_are_there(data, done, monkeypatch):
    folder, found = done
    trained = []
    real = run.train
    monkeypatch.setattr(
        run, "train", lambda recipe, *a, **k: trained.append(recipe) or real(recipe, *a, **k)
    )
    more = ablation(*data, folder, variants={**TWO, "wide": "plain:16"}, recipe=RECIPE, seeds=(0,))
    assert [(one.model, one.seed) for one in trained] == [("plain:16", 0)]
    assert more.records[:2] == (found.records[0], found.records[2])


def test_after_an_interruption_the_same_call_goes_on(data, tmp_path, monkeypatch):
    """Ctrl-C in the second variant: the first is kept, the second goes on where it was."""
    real, calls = run.train, []

    def stopping(recipe, *args, **options):
        calls.append(recipe.model)
        done = real(recipe, *args, **options)
        return replace(done, epochs=1) if calls == list(TWO.values()) else done

    monkeypatch.setattr(run, "train", stopping)
    with pytest.raises(KeyboardInterrupt):
        ablation(*data, tmp_path, variants=TWO, recipe=RECIPE, seeds=(0,))
    assert [one.arm for one in read_records(tmp_path / "ablation.jsonl")] == ["full"]
    whole = ablation(*data, tmp_path, variants=TWO, recipe=RECIPE, seeds=(0,))
    assert calls == ["plain:8/8+16", "plain:8/8", "plain:8/8"]
    assert len(whole.records) == 2


def test_a_run_of_another_recipe_or_of_other_data_is_refused(data, done):
    folder, _ = done
    with pytest.raises(StudyError, match="epochs was 2, not 1"):
        ablation(*data, folder, variants=TWO, recipe=replace(RECIPE, epochs=1), seeds=(0, 3))
    with pytest.raises(StudyError, match="fingerprint differs"):
        ablation(data[0], data[0], folder, variants=TWO, recipe=RECIPE, seeds=(0, 3))


def test_runs_of_older_versions_are_measured_and_not_trained_again(data, done, tmp_path):
    """They had a file a trial beside the same folders."""
    folder, found = done
    for old in folder.glob("*-*"):
        shutil.copytree(old, tmp_path / old.name)
    (tmp_path / "full-0.json").write_text('{"variant": "full"}')
    weights = {path: path.read_bytes() for path in tmp_path.glob("*/metrics.jsonl")}
    again = ablation(*data, tmp_path, variants=TWO, recipe=RECIPE, seeds=(0, 3))
    assert again == found
    assert {path: path.read_bytes() for path in weights} == weights


def test_the_finding_has_paired_changes_and_is_saved(tmp_path):
    accuracies = {"base": (0.8, 0.7), "less": (0.75, 0.63)}
    found = sweep(
        [
            record(arm, seed=seed, accuracy=share, data={"test_pictures": 400, "title": "drawn"})
            for arm, shares in accuracies.items()
            for seed, share in enumerate(shares)
        ]
    )
    text = summary(found)
    assert "less −6.00 (−18.71 to +6.71)" in text  # 12.7062 * 0.01, t of one degree of freedom
    assert "75.00 ± 7.07 (2)" in text
    assert "standard error of 2.0" in text  # sqrt(0.2 * 0.8 / 400)
    numbers, picture, ranking = save(found, tmp_path)
    assert ranking.name == f"{found.plan.name}-ranking.png"
    assert json.loads(numbers.read_text())["summary"] == text
    assert picture.stat().st_size > 1000


def test_every_declared_variant_can_be_built_and_differs_from_the_first():
    first, *others = (build(model) for model in VARIANTS.values())
    counts = {sum(weight.numel() for weight in model.parameters()) for model in (first, *others)}
    assert len(counts) == len(VARIANTS)
    assert next(iter(VARIANTS)) == "full"
    assert len(SEEDS) == 3
    for model in (first, *others):
        assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"variants": {}}, SettingError, "arms"),
        ({"seeds": ()}, SettingError, "seeds"),
        ({"seeds": (1, 1)}, SettingError, "seeds must be different"),
        ({"recipe": Recipe()}, DeconvvizError, "precision"),
        ({"variants": {"a": "plain:8", "b": "lenet"}}, UnknownModelError, "no model `lenet`"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_trained(data, tmp_path, options, error, says):
    with pytest.raises(error, match=says):
        ablation(*data, tmp_path, **{"recipe": RECIPE, "variants": TWO, **options})
    assert not list(tmp_path.iterdir())
