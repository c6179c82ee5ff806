"""How runs are made, kept and refused."""

import json
import math
from itertools import product

import pytest
import torch

from deconvviz.errors import DataError, DeconvvizError, SettingError, StudyError
from deconvviz.io.data import Dataset, draw_shapes
from deconvviz.study.gradients import Arm, gradients
from deconvviz.study.gradients import run as module

DATA = draw_shapes(24, size=8)
SMALL = {"depths": (6,), "seeds": (0,), "steps_per_epoch": (1, 2), "width": 2, "batch_size": 4}


def test_it_trains_each_network_once_and_goes_on_where_it_was(tmp_path, monkeypatch):
    heard = []
    first = gradients(DATA, tmp_path, **SMALL, progress=lambda *words: heard.append(words))
    assert [trace.arm for trace in first.traces] == [
        Arm(name, 6, norm, weight)
        for weight, norm, name in product((0.0, 0.3), (False, True), ("plain", "ddnet"))
    ]
    assert heard[-1] == ("gradients", 16, 16)
    done = [words[1] for words in heard]
    assert done == sorted(done)
    files = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(files) == 8
    trained = []
    follow = module.follow
    monkeypatch.setattr(module, "follow", lambda *a: trained.append(a[0]) or follow(*a))
    assert str(gradients(DATA, tmp_path, **SMALL)) == str(first)
    assert trained == []
    lost = next(iter(files))
    lost.unlink()
    assert str(gradients(DATA, tmp_path, **SMALL)) == str(first)
    assert [arm.file_name(0) for arm in trained] == [lost.name]
    assert lost.read_bytes() == files[lost]


def test_a_result_is_written_with_both_figures(tmp_path):
    found = gradients(DATA, tmp_path / "runs", **SMALL)
    numbers, picture = found.save(tmp_path)
    told = json.loads(numbers.read_text(), parse_constant=pytest.fail)
    assert {len(arm["log10 of gradient norms"]) for arm in told["arms"]} == {7}
    assert told["steps_per_epoch"] == [0, 1, 2]
    assert "Trained on both losses, the cosine" in told["summary"]
    for path in (picture, tmp_path / "gradients-cosines.png"):
        assert path.stat().st_size > 1000
    alone = gradients(DATA, tmp_path / "runs", **SMALL, deconv_weight=0)
    assert len(alone.arms) == 4
    assert "both losses" not in alone.summary()
    assert alone.cosine_figure().axes


def test_runs_of_another_setting_are_refused(tmp_path):
    gradients(DATA, tmp_path, **SMALL, deconv_weight=0)
    with pytest.raises(StudyError, match=r"plain-6-bare-0-0.json is of a run with rate 0.01, not"):
        gradients(DATA, tmp_path, **SMALL, deconv_weight=0, rate=0.5)
    other = draw_shapes(24, size=8, seed=9)
    with pytest.raises(StudyError, match="run with fingerprint"):
        gradients(other, tmp_path, **SMALL, deconv_weight=0)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"depths": (7,)}, SettingError, "no depth 7; there are 6, 12, 20"),
        ({"depths": ()}, SettingError, "no depth; there are 6, 12, 20"),
        ({"depths": (6, 20)}, DataError, "squares of a multiple of 32"),
        ({"seeds": ()}, SettingError, "give one or more, from 0 up"),
        ({"steps_per_epoch": ()}, SettingError, "from 1 up"),
        ({"steps_per_epoch": (-1, 4)}, SettingError, "from 1 up"),
        ({"rate": 0}, SettingError, "the rate above 0"),
        ({"deconv_weight": math.nan}, SettingError, "the weight is 0 or more"),
        ({"batch_size": 1}, SettingError, "a batch has 2 pictures or more"),
        ({"start": "zeros"}, SettingError, "no start `zeros`; there are pytorch, he"),
        ({"width": 0}, SettingError, "the width is 1 or more"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, options, error, says):
    with pytest.raises(error, match=says):
        gradients(DATA, tmp_path, **(SMALL | options))
    assert not list(tmp_path.iterdir())


def test_pictures_that_teach_nothing_are_refused(tmp_path):
    flat = Dataset(torch.full_like(DATA.images, 7), DATA.labels, DATA.classes, "flat")
    for data in (flat, DATA.subset([0]), DATA.subset([])):
        with pytest.raises(DeconvvizError, match="teach nothing"):
            gradients(data, tmp_path, **SMALL)
