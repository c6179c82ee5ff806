"""What follows from gradients, on made-up runs whose answer is known."""

from dataclasses import replace

import pytest

from deconvviz.plots.study.gradients import (
    condition_table,
    cosine_maps,
    norm_maps,
    summary,
    verdict,
)
from deconvviz.study.gradients import Condition, Gradients
from tests.study.gradients.made import SETTING, made, result


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
    assert verdict in summary(result(plain, ours))


def test_who_vanishes_is_named():
    sentence = summary(result((0.1, 1e-9), (0.1, 1e-8)))
    assert "1 of 4 plain networks have them (12 layers without BatchNorm)" in sentence
    assert "of the same depths 1 (12 layers without BatchNorm)" in sentence
    assert "plain 12 layers 1e-09 (1e-09 to 1e-09), then 1e-09" in sentence


def test_seeds_meet_in_their_geometric_mean_and_the_head_does_not_count():
    condition = Condition("plain", 6, norm=False)
    found = Gradients(tuple(made(condition, ratio, 1.0, i) for i, ratio in enumerate((1e-2, 1e-4))))
    start, end = found.ratio(condition), found.ratio(condition, end=True)
    assert (start.mean, start.low, start.high) == pytest.approx((1e-3, 1e-4, 1e-2))
    assert end.mean == pytest.approx(1.0)
    logs = found.log_norms(condition)
    assert logs.shape == (7, 2)
    assert logs[[0, 5, 6], 0].tolist() == pytest.approx([-3.0, 0.0, 9.0])


def test_a_network_that_lets_nothing_through_is_told_and_does_not_count_as_sound():
    """Zero over zero is no ratio of 1, and the logarithm of zero blurs no mean."""
    condition = Condition("plain", 6, norm=False)
    dead = made(condition, 0.0)
    none = replace(dead.stats[0], gradients=(0.0,) * 6 + (1.0,))
    dead = replace(dead, stats={0: none, 10: none})
    found = Gradients((dead, made(condition, 0.1, seed=1), made(condition, 0.1, seed=2)))
    assert (found.ratio(condition).zero, found.trouble(condition)) == (1, "")
    assert found.ratio(condition).mean == pytest.approx(0.1)
    assert found.log_norms(condition)[0, 0] == pytest.approx(-1.0)
    mostly = Gradients((dead, replace(dead, seed=1), made(condition, 0.1, seed=2)))
    assert mostly.trouble(condition) == "vanishing"
    assert Gradients((dead,)).trouble(condition) == "vanishing"
    assert norm_maps(Gradients((dead,))).axes


def test_a_diverged_run_counts_as_far_as_it_came():
    condition = Condition("ddnet", 6, norm=False)
    whole = made(condition, 1e-2, 1e-2, cosine=0.5)
    found = Gradients((whole, made(condition, 1e-4, seed=1, diverged=7, cosine=-0.5)))
    assert found.log_norms(condition)[0].tolist() == pytest.approx([-3.0, -2.0])
    assert found.cosines(condition)[0].tolist() == pytest.approx([0.0, 0.5])
    assert found.ratio(condition, end=True).low == pytest.approx(1e-4)
    assert found.to_dict()["conditions"][0]["diverged at step"] == [None, 7]
    assert "1 diverged, the first at step 7" in summary(found)
    assert norm_maps(found).axes[0].get_xlabel() == "of 2: 1 diverged, the first at step 7\nstep"


def test_a_mean_cosine_stands_beside_its_spread():
    """Half of the layers agree and half oppose: the mean alone would say orthogonal."""
    condition = Condition("ddnet", 6, norm=False, deconv_weight=0.3)
    runs = [made(condition, 0.1, seed=seed, cosine=sign) for seed, sign in enumerate((0.9, -0.9))]
    found = Gradients(tuple(runs))
    one = found.agreement(condition)
    assert (one.mean, one.low, one.high) == pytest.approx((0, -0.9, 0.9), abs=1e-12)
    assert one.count == 2 * 2 * 6  # seeds, steps and layers below the head
    assert one.deviation == pytest.approx(0.9 * (24 / 23) ** 0.5)
    spread = "+0.00 ± 0.92 (-0.90 to +0.90)"
    assert spread in summary(found)
    assert spread in condition_table(found)["cosine"].tolist()
    assert "0.00 ± 0.92\n-0.90 to +0.90" in cosine_maps(found).axes[0].get_title(loc="left")
    numbers = found.to_dict()["conditions"][0]["cosines over layers, steps and seeds"]
    assert numbers["low"] == pytest.approx(-0.9)
    assert str(Gradients((made(condition, 0.1),)).agreement(condition)) == "none"


@pytest.mark.parametrize(
    ("init", "other"), [("pytorch", "He's start"), ("he", "PyTorch's default")]
)
def test_the_conclusion_is_of_its_own_start_and_names_who_did_not_learn(init, other):
    condition = Condition("plain", 12, norm=False)
    setting = replace(SETTING, init=init)
    lost, fine = (replace(made(condition, 1e-5, seed=seed), setting=setting) for seed in range(2))
    flat = {step: replace(one, entropy=2.3026) for step, one in lost.stats.items()}
    lost = replace(lost, stats=flat, stopped=10)
    found = Gradients((lost, fine))
    assert found.learned(condition) == 1
    said = verdict(found)
    assert said.startswith(f"From {'He' if init == 'he' else 'PyTorch'}'s")
    assert "plain, 12 layers without BatchNorm: 1 of 2 runs. That says nothing of " + other in said
    assert condition_table(found)["learned"].tolist() == ["1 of 2; 1 stopped at step 10"]
    assert found.to_dict()["conditions"][0]["learned"] == [False, True]
    assert "all of them learned" in verdict(Gradients((fine,)))
    assert "says nothing" not in verdict(Gradients((fine,)))
