"""How traces are made, kept and refused."""

import json
import math
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import torch

from deconvviz.errors import DataError, DeconvvizError, SettingError
from deconvviz.io.data import Dataset, draw_shapes, stratified_subset
from deconvviz.plots.study.gradients import cosine_maps, markdown_report, summary
from deconvviz.study.gradients import Condition, GradientOptions, collect, gradients, read_gradients
from deconvviz.study.gradients.trace import trace_file

DATA = draw_shapes(24, size=8)
RESULTS = Path(__file__).parents[3] / "results" / "gradients.jsonl"
SMALL = {
    "depths": (6,),
    "seeds": (0,),
    "steps": (1, 2),
    "width": 2,
    "batch_size": 4,
    "init": ("pytorch",),
    "epochs": 0,
}


def test_it_trains_each_network_once_and_goes_on_where_it_was(tmp_path, monkeypatch):
    path, heard = tmp_path / "gradients.jsonl", []
    (first,) = gradients(
        DATA, path, GradientOptions(**SMALL), progress=lambda *words: heard.append(words)
    )
    assert first.conditions == tuple(
        Condition(name, 6, norm, weight)
        for weight, norm, name in product((0.0, 0.3), (False, True), ("plain", "ddnet"))
    )
    assert heard[-1] == ("gradients", 8000, 8000)
    done = [words[1] for words in heard]
    assert done == sorted(done)
    assert read_gradients(path) == (first,)
    trained, follow = [], collect.follow
    monkeypatch.setattr(collect, "follow", lambda *a: trained.append(a[0]) or follow(*a))
    assert gradients(DATA, path, GradientOptions(**SMALL)) == (first,)
    assert trained == []
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[1:]) + "\n")
    assert gradients(DATA, path, GradientOptions(**SMALL)) == (first,)
    assert trained == [first.conditions[0]]
    assert path.read_text().splitlines() == [*lines[1:], lines[0]]


def test_without_a_second_loss_there_are_cosines_of_ddnet_alone(tmp_path):
    path = tmp_path / "gradients.jsonl"
    (found,) = gradients(DATA, path, GradientOptions(**SMALL, deconv_weight=0))
    assert len(found.conditions) == 4
    assert "trained on both losses" not in summary(found)
    assert cosine_maps(found).axes


def test_runs_of_another_setting_are_another_result(tmp_path):
    path = tmp_path / "gradients.jsonl"
    (one,) = gradients(DATA, path, GradientOptions(**SMALL, deconv_weight=0))
    (other,) = gradients(DATA, path, GradientOptions(**SMALL, deconv_weight=0, lr=0.5))
    assert other.setting == replace(one.setting, lr=0.5)
    assert read_gradients(path) == (one, other)
    assert len(trace_file(path).read()) == 8


def test_epochs_of_a_part_of_the_pictures_from_both_starts(tmp_path):
    path = tmp_path / "gradients.jsonl"
    few = {**SMALL, "init": ("pytorch", "he"), "pictures": 18, "epochs": 6, "deconv_weight": 0}
    found = gradients(DATA, path, GradientOptions(**few, patience=0))
    assert [one.setting.init for one in found] == ["pytorch", "he"]
    for one in found:
        # 18 pictures are four whole batches: ends of epochs 1, 2, 5 and 6
        assert one.setting.steps == (0, 1, 2, 4, 8, 20, 24)
        assert (one.setting.pictures, one.setting.epochs, one.setting.classes) == (18, 6, 6)
        assert one.setting.fingerprint == stratified_subset(DATA, 18).fingerprint
        assert {len(trace.losses) for trace in one.traces} == {6}
        assert {trace.stopped for trace in one.traces} == {None}
    assert read_gradients(path) == found


def test_an_early_end_leaves_whole_comparisons(tmp_path):
    path = tmp_path / "gradients.jsonl"
    both = {**SMALL, "init": ("pytorch", "he"), "seeds": (0, 1)}
    gradients(DATA, path, GradientOptions(**both))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["seed"] for line in lines] == [0] * 16 + [1] * 16
    assert {line["setting"]["init"] for line in lines[:16]} == {"pytorch", "he"}


def test_the_declared_form_is_ten_epochs_from_both_starts():
    chosen = GradientOptions()
    assert (chosen.init, chosen.epochs, chosen.pictures) == (("pytorch", "he"), 10, 10_000)
    assert (chosen.seeds, chosen.depths, chosen.patience) == ((0, 1, 2), (6, 12, 20), 5)


def test_records_of_older_versions_are_of_drawn_batches_and_say_nothing_of_epochs():
    """The committed 72 runs: 200 steps from PyTorch's start, and they stay as they were."""
    old = [one for one in read_gradients(RESULTS) if not one.setting.epochs]
    (found,) = old
    assert (len(found.traces), found.setting.steps[-1], found.setting.init) == (72, 200, "pytorch")
    assert {(run.losses, run.stopped) for run in found.traces} == {((), None)}
    text = markdown_report(old)
    assert "## PyTorch's default initial weights, 200 steps, 50000 pictures" in text
    # S3: what is far from each other is not shown as its mean alone
    assert "-0.01 ± 0.49 (-0.99 to +0.96)" in text
    assert "plain, 20 layers without BatchNorm: 3 of 3 runs" in text
    assert "That says nothing of He's start" in text


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"depths": (7,)}, SettingError, "depth"),
        ({"depths": ()}, SettingError, "no depths"),
        ({"depths": (6, 20)}, DataError, "multiple of 32"),
        ({"seeds": ()}, SettingError, "no depths or seeds"),
        ({"steps": ()}, SettingError, "steps"),
        ({"steps": (-1, 4)}, SettingError, "steps"),
        ({"lr": 0}, SettingError, "lr must be > 0"),
        ({"deconv_weight": math.nan}, SettingError, "deconv_weight"),
        ({"batch_size": 1}, SettingError, "batch_size must be >= 2"),
        ({"init": ("zeros",)}, SettingError, "init.0 must be 'pytorch' or 'he'"),
        ({"init": ()}, SettingError, "no initial weights"),
        ({"epochs": -1}, SettingError, "epochs must be >= 0"),
        ({"width": 0}, SettingError, "width must be >= 1"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, options, error, says):
    with pytest.raises(error, match=says):
        gradients(DATA, tmp_path / "gradients.jsonl", GradientOptions(**(SMALL | options)))
    assert not list(tmp_path.iterdir())


def test_pictures_without_contrast_are_refused(tmp_path):
    flat = Dataset(torch.full_like(DATA.images, 7), DATA.labels, DATA.classes, "flat")
    for data in (flat, DATA.subset([0]), DATA.subset([])):
        with pytest.raises(DeconvvizError, match=r"give pictures that differ|must"):
            gradients(data, tmp_path / "gradients.jsonl", GradientOptions(**SMALL))
