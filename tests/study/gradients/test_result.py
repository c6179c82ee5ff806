"""What follows from gradients, on made-up runs whose answer is known."""

from dataclasses import replace

import pytest

from deconvviz.study.gradients import Arm, Gradients
from tests.study.gradients.made import made, result


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
    assert verdict in result(plain, ours).summary()


def test_who_vanishes_is_named():
    sentence = result((0.1, 1e-9), (0.1, 1e-8)).summary()
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
    assert found.to_dict()["arms"][0]["diverged at step"] == [None, 7]
    assert "1 diverged, the first at step 7" in found.summary()
    assert found.figure().axes[0].get_xlabel() == "of 2: 1 diverged, the first at step 7\nstep"
