"""Cells of runs: numbers by hand, and records that must not stand beside each other."""

import json
import math

import pytest

from deconvviz.errors import StudyError
from deconvviz.study.cells import (
    ACCURACY,
    COSTS,
    GAP,
    NLL,
    Cell,
    corruption,
    corruptions,
    difference,
    gather,
    points,
    table,
)
from tests.study.samples import record


def test_a_cell_tells_mean_deviation_and_runs():
    cell = Cell("A", 1000, (record(seed=0, accuracy=0.60), record(seed=1, accuracy=0.62)))
    assert cell.spread(ACCURACY).mean == pytest.approx(0.61)
    assert cell.spread(ACCURACY).deviation == pytest.approx(0.01 * math.sqrt(2))
    assert cell.told(ACCURACY) == "61.00 ± 1.41 (2)"
    assert cell.told(GAP) == "38.00 ± 1.41 (2)"
    assert cell.told(NLL) == "1.200 (2)"  # without a spread there is none to tell
    assert cell.told(corruption("noise")) == "31.00 (2)"  # of 0.5, 0.4, 0.3, 0.2, 0.15
    assert Cell("A", 1000, cell.records[:1]).told(ACCURACY) == "60.00 (1)"


def test_one_run_during_which_the_machine_stood_still_does_not_spoil_the_time():
    time = COSTS[-1]
    assert time.title == "time, s (median, range)"
    runs = tuple(record(seed=i, seconds=s) for i, s in enumerate((70.2, 1342.0, 69.0)))
    assert Cell("A", 4000, runs).told(time) == "70, 69 to 1342 (3)"
    assert Cell("A", 4000, runs[:1]).told(time) == "70 (1)"


def test_what_is_missing_is_told_apart_from_zero():
    bare = record(robustness={"blur": ()})
    assert Cell("A", 1000).told(ACCURACY) == "not run"
    assert Cell("A", 1000, (bare,)).told(corruption("noise")) == "not measured"
    assert Cell("A", 1000, (bare,)).told(corruption("blur")) == "not measured"
    assert Cell("A", 1000, (record(accuracy=0.0),)).told(ACCURACY) == "0.00 (1)"
    assert corruptions([bare, record()]) == ("blur", "noise")


def test_facts_are_plain_and_complete():
    facts = Cell("A", 1000, (record(seed=3), record(seed=5, accuracy=0.7))).to_dict()
    assert json.loads(json.dumps(facts)) == facts
    assert (facts["arm"], facts["labels"], facts["runs"], facts["seeds"]) == ("A", 1000, 2, [3, 5])
    assert facts["test accuracy"]["values"] == [0.6, 0.7]
    assert facts["multiply-adds in training"]["mean"] == 40_000_000
    assert facts["accuracy under noise"]["deviation"] == 0
    assert "test accuracy" not in Cell("A", 1000).to_dict()


def test_gathering_puts_every_run_in_its_cell_whatever_the_order():
    made = [record(arm, n, seed) for arm in ("B", "A") for n in (4000, 1000) for seed in (10, 2)]
    cells = gather(made, ["A", "C"], [500])
    assert [arm for arm, labels in cells if labels == 500] == ["A", "C", "B"]
    assert [labels for arm, labels in cells if arm == "C"] == [500, 1000, 4000]
    assert [r.seed for r in cells["B", 4000].records] == [2, 10]
    assert sum(len(cell.records) for cell in cells.values()) == len(made)
    assert gather([]) == {}


def test_pairs_are_of_equal_seeds():
    ours = Cell("A", 1000, tuple(record(seed=s, accuracy=0.6 + s / 100) for s in (1, 2, 5)))
    theirs = Cell("B", 1000, tuple(record("B", seed=s, accuracy=0.6) for s in (0, 1, 5, 6)))
    assert difference(ours, theirs).pairs == pytest.approx((0.01, 0.05))
    assert difference(ours, Cell("B", 1000)) is None
    assert difference(ours, Cell("B", 1000, (record("B", seed=9),))) is None
    assert difference(ours, theirs, corruption("fog")) is None


@pytest.mark.parametrize(
    ("one", "other", "word"),
    [
        ({"arm": "A"}, {"arm": "C", "study": "levers"}, "studies"),
        (
            {"arm": "A", "data": {"test": "x"}},
            {"arm": "C", "data": {"test": "y"}},
            "test pictures",
        ),
        (
            {"arm": "A", "configuration": {"rate": 1, "recipe": {"seed": 0, "momentum": 0.9}}},
            {
                "arm": "A",
                "seed": 1,
                "configuration": {"rate": 1, "recipe": {"seed": 1, "momentum": 0.8}},
            },
            "configurations",
        ),
        ({"arm": "A", "subset": "x"}, {"arm": "C", "subset": "y"}, "labelled pictures"),
    ],
)
def test_what_does_not_belong_together_is_refused_by_name(one, other, word):
    one, other = record(**one), record(**other)
    with pytest.raises(StudyError, match=word) as refusal:
        gather([one, other])
    assert one.file_name in str(refusal.value)
    assert other.file_name in str(refusal.value)


def test_one_run_twice_and_numbers_that_are_none_are_refused():
    with pytest.raises(StudyError, match=r"A-1000-0\.json is there twice"):
        gather([record(), record(seed=1), record(accuracy=0.7)])
    with pytest.raises(StudyError, match=r"A-1000-0\.json holds a measurement that is no number"):
        gather([record(nll=math.nan)])
    with pytest.raises(StudyError, match="no number"):
        gather([record(robustness={"noise": (0.5, math.inf)})])


def test_seeds_budgets_and_arms_may_differ():
    made = [
        record("A", seed=0, configuration={"rate": 1, "recipe": {"seed": 0}}, subset="x"),
        record("A", seed=1, configuration={"rate": 1, "recipe": {"seed": 1}}, subset="y"),
        record("A", 4000, 0, configuration={"rate": 2}, subset="z"),
        record("C", seed=0, configuration={"rate": 3}, subset="x"),
    ]
    assert len(gather(made)) == 4


def test_words_and_tables():
    assert points(0.0123) == "+1.23"
    assert points(-0.0005) == "-0.05"
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"
