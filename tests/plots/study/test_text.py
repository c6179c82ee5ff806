"""Words for a reader who knows none of the study's: they follow from the runs."""

import pytest

from deconvviz.plots.study import effect_table, metric_table, run_only, sweep_table
from deconvviz.plots.study.text import headline, missing, plain, sweep_headline
from deconvviz.study.metrics import ACCURACY
from tests.plots.study.drawn import arm
from tests.study.samples import helps, sweep


def paired(shift, labels=1000, seeds=10):
    return [*arm("A", labels, 0, seeds), *arm("R-all", labels, shift, seeds)]


@pytest.mark.parametrize(
    ("shift", "begins", "says"),
    [
        (0.05, "In part", "a gain"),
        (-0.05, "No gain was shown, and in part a loss", "a loss"),
    ],
)
def test_the_headline_has_the_shares_that_were_right(shift, begins, says):
    report = helps(paired(shift))
    ours, theirs = (
        sum(r.test_accuracy for r in report.runs(name, 1000)) / 10 for name in ("R-all", "A")
    )
    said = headline(report)
    assert said.startswith(begins)
    assert f"{ours:.1%} of the pictures right with it, {theirs:.1%} without" in said
    assert says in plain(report)
    assert "10 pairs" in plain(report)


def test_what_is_undecided_is_neither_gain_nor_loss():
    report = helps(paired(0.01, seeds=3))
    assert headline(report).startswith("No gain was shown")
    assert "too uncertain to be called a gain or a loss" in plain(report)


def test_other_budgets_are_told_but_do_not_answer():
    report = helps(paired(-0.05, labels=4000))
    assert headline(report).startswith("Not known")
    assert "ith 4000 labelled pictures the difference is −" in plain(report)
    assert plain(helps([])) == ""


def test_one_pair_has_no_interval():
    assert "interval" not in plain(helps(paired(0.05, seeds=1)))


def test_the_largest_changes_of_a_sweep_are_named():
    made = [*arm("best"), *arm("better", shift=0.03), *arm("worse", shift=-0.1)]
    report = sweep(made, [("best", 1000), ("better", 1000), ("worse", 1000)])
    said = sweep_headline(report)
    assert "“better” gains most, +3" in said
    assert "“worse” loses most, −11" in said
    assert "61.5% of the test pictures" in said
    assert "was not run" in sweep_headline(sweep([]))


def test_what_was_not_run_is_left_out_and_named(compared):
    assert missing(compared) == (
        "Not run, and left out: 500, 10000, 50000 labels; A2, N, R-lab, C+R."
    )
    shown = run_only(metric_table(compared, ACCURACY))
    assert list(shown["arm"]) == ["A", "R-all", "C"]
    assert list(shown.columns) == ["arm", "1000 labels", "4000 labels"]
    effects = run_only(effect_table(compared))
    assert list(effects["contrast"]) == ["R-all − A", "C − A"]
    whole = sweep([*arm("best"), *arm("other")], [("best", 1000)])
    assert run_only(sweep_table(whole)).equals(sweep_table(whole))
    assert missing(whole) == ""
    assert len(run_only(sweep_table(sweep(arm("best"), [("best", 1000), ("x", 1000)])))) == 1
