"""How traces are made, kept and refused."""

import math
from dataclasses import replace
from itertools import product

import pytest
import torch

from deconvviz.errors import DataError, DeconvvizError, SettingError
from deconvviz.io.data import Dataset, draw_shapes
from deconvviz.plots.gradients import cosine_maps, summary
from deconvviz.study.gradients import Condition, GradientOptions, collect, gradients, read_gradients
from deconvviz.study.gradients.trace import trace_file

DATA = draw_shapes(24, size=8)
SMALL = {"depths": (6,), "seeds": (0,), "steps": (1, 2), "width": 2, "batch_size": 4}


def test_it_trains_each_network_once_and_goes_on_where_it_was(tmp_path, monkeypatch):
    path, heard = tmp_path / "gradients.jsonl", []
    first = gradients(
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
    assert gradients(DATA, path, GradientOptions(**SMALL)) == first
    assert trained == []
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[1:]) + "\n")
    assert gradients(DATA, path, GradientOptions(**SMALL)) == first
    assert trained == [first.conditions[0]]
    assert path.read_text().splitlines() == [*lines[1:], lines[0]]


def test_without_a_second_loss_there_are_cosines_of_ddnet_alone(tmp_path):
    found = gradients(DATA, tmp_path / "gradients.jsonl", GradientOptions(**SMALL, deconv_weight=0))
    assert len(found.conditions) == 4
    assert "both losses" not in summary(found)
    assert cosine_maps(found).axes


def test_runs_of_another_setting_are_another_result(tmp_path):
    path = tmp_path / "gradients.jsonl"
    one = gradients(DATA, path, GradientOptions(**SMALL, deconv_weight=0))
    other = gradients(DATA, path, GradientOptions(**SMALL, deconv_weight=0, lr=0.5))
    assert other.setting == replace(one.setting, lr=0.5)
    assert read_gradients(path) == (one, other)
    assert len(trace_file(path).read()) == 8


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
        ({"init": "zeros"}, SettingError, "init must be 'pytorch' or 'he'"),
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
