"""What follows from gradients, on made-up runs whose answer is known, and how runs are kept."""

import json
import math
from dataclasses import replace
from itertools import product

import pytest
import torch

from deconvviz.data import Dataset, draw_shapes
from deconvviz.errors import DataError, DeconvvizError, SettingError, StudyError
from deconvviz.study import gradients as module
from deconvviz.study.gradients import Gradients, gradients
from deconvviz.study.traces import Arm, Moment, Setting, Trace

DATA = draw_shapes(24, size=8)
SETTING = Setting("made up", "", 0, (0.5,), (0.5,), 2, "pytorch", 0.1, 4, (0, 10))
SMALL = {"depths": (6,), "seeds": (0,), "steps": (1, 2), "width": 2, "batch_size": 4}


def made(arm, start, end=None, seed=0, cosine=math.nan, diverged=None):
    """A run whose gradients fall evenly from 1 at the last layer to `start` or `end` at the first.

    The head's gradient is huge, which must not count.
    """

    def moment(ratio):
        norms = [ratio ** (1 - i / (arm.depth - 1)) for i in range(arm.depth)]
        row = (1.0,) * (arm.depth + 1)
        return Moment(2.0, math.nan, (*norms, 1e9), row, (*(cosine,) * arm.depth, math.nan))

    moments = {0: moment(start)}
    if diverged is None:
        moments[10] = moment(start if end is None else end)
    names = (*(f"layer{i}" for i in range(arm.depth)), "head")
    return Trace(arm, seed, names, moments, diverged, SETTING, {}, "a CPU")


def result(plain, ours):
    """Of depth 6 and 12 without BatchNorm with these ratios, and healthy ones with it."""
    traces = [
        made(Arm(name, depth, norm), 1.0 if norm else ratio)
        for norm, (name, ratios) in product((False, True), (("plain", plain), ("ddnet", ours)))
        for depth, ratio in zip((6, 12), ratios, strict=True)
    ]
    return Gradients(tuple(traces))


@pytest.mark.parametrize(
    ("plain", "ours", "verdict"),
    [
        ((1e-5, 1e-9), (0.5, 2.0), "network cures vanishing and exploding"),
        ((1e-5, 1e-9), (1e-4, 1e-8), "network does not cure vanishing or exploding"),
        ((1e-2, 1e5), (1e-2, 1e4), "network does not cure vanishing or exploding"),
        ((1e-5, 1e-9), (0.5, 1e-8), "network cures only a part of"),
        ((0.1, 0.1), (0.1, 0.1), "network cannot be seen to cure"),
    ],
)
def test_the_verdict_is_about_the_networks_in_which_the_plain_ones_fail(plain, ours, verdict):
    assert verdict in result(plain, ours).sentence()


def test_who_vanishes_is_named():
    sentence = result((0.1, 1e-9), (0.1, 1e-8)).sentence()
    assert "1 of 4 plain networks have them (12 layers without BatchNorm)" in sentence
    assert "of the same depths 1 (12 layers without BatchNorm)" in sentence
    assert "plain 12 layers 1e-09 (1e-09 to 1e-09), then 1e-09" in sentence


def test_seeds_meet_in_their_geometric_mean_and_the_head_does_not_count():
    arm = Arm("plain", 6, norm=False)
    found = Gradients(tuple(made(arm, ratio, 1.0, i) for i, ratio in enumerate((1e-2, 1e-4))))
    start, end = found.spread(arm), found.spread(arm, end=True)
    assert (start.mean, start.low, start.high) == pytest.approx((1e-3, 1e-4, 1e-2))
    assert end.mean == pytest.approx(1.0)
    logs = found.log_norms(arm)
    assert logs.shape == (7, 2)
    assert logs[[0, 5, 6], 0].tolist() == pytest.approx([-3.0, 0.0, 9.0])


def test_a_network_that_lets_nothing_through_is_told_and_does_not_count_as_sound():
    """Zero over zero is no ratio of 1, and the logarithm of zero blurs no mean."""
    arm = Arm("plain", 6, norm=False)
    dead = made(arm, 0.0)
    none = replace(dead.moments[0], gradients=(0.0,) * 6 + (1.0,))
    dead = replace(dead, moments={0: none, 10: none})
    found = Gradients((dead, made(arm, 0.1, seed=1), made(arm, 0.1, seed=2)))
    assert (found.spread(arm).dead, found.trouble(arm)) == (1, "")
    assert found.spread(arm).mean == pytest.approx(0.1)
    assert found.log_norms(arm)[0, 0] == pytest.approx(-1.0)
    mostly = Gradients((dead, replace(dead, seed=1), made(arm, 0.1, seed=2)))
    assert mostly.trouble(arm) == "vanishing"
    assert Gradients((dead,)).trouble(arm) == "vanishing"
    assert Gradients((dead,)).figure().axes


def test_a_diverged_run_counts_as_far_as_it_came():
    arm = Arm("ddnet", 6, norm=False)
    whole = made(arm, 1e-2, 1e-2, cosine=0.5)
    found = Gradients((whole, made(arm, 1e-4, seed=1, diverged=7, cosine=-0.5)))
    assert found.log_norms(arm)[0].tolist() == pytest.approx([-3.0, -2.0])
    assert found.cosines(arm)[0].tolist() == pytest.approx([0.0, 0.5])
    assert found.spread(arm, end=True).low == pytest.approx(1e-4)
    assert found.facts()["arms"][0]["diverged at step"] == [None, 7]
    assert "1 diverged, the first at step 7" in found.sentence()
    assert found.figure().axes[0].get_xlabel() == "of 2: 1 diverged, the first at step 7\nstep"


def test_all_panels_have_one_scale_and_show_the_norms():
    found = result((0.1, 1e-9), (0.1, 1e-8))
    panels = [axes for axes in found.figure("#123456").axes if axes.images]
    assert len(panels) == 8
    low, high = zip(*(axes.images[0].get_clim() for axes in panels), strict=True)
    assert (min(low), max(high)) == (max(low), min(high)) == pytest.approx((-9.0, 9.0))
    shown = torch.as_tensor(panels[0].images[0].get_array().data)
    assert torch.equal(shown, found.log_norms(Arm("plain", 6, norm=False)))


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
    assert told["steps"] == [0, 1, 2]
    assert "Trained on both losses, the cosine" in told["finding"]
    for path in (picture, tmp_path / "gradients-cosines.png"):
        assert path.stat().st_size > 1000
    alone = gradients(DATA, tmp_path / "runs", **SMALL, deconv_weight=0)
    assert len(alone.arms) == 4
    assert "both losses" not in alone.sentence()
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
        ({"steps": ()}, SettingError, "from 1 up"),
        ({"steps": (-1, 4)}, SettingError, "from 1 up"),
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
