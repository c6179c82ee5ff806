"""Metrics of runs by hand, and what is missing is not zero."""

import pytest

from deconvviz.plots.study.tables import cell, points
from deconvviz.study.metrics import ACCURACY, COSTS, GAP, NLL, corruption_metrics
from tests.study.samples import record


def test_a_cell_has_mean_deviation_and_runs():
    runs = (record(seed=0, accuracy=0.60), record(seed=1, accuracy=0.62))
    noise = corruption_metrics(runs)["noise"]
    assert cell(ACCURACY, runs) == "61.00 ± 1.41 (2)"
    assert cell(GAP, runs) == "38.00 ± 1.41 (2)"
    assert cell(NLL, runs) == "1.200 (2)"  # without a spread there is none to show
    assert cell(noise, runs) == "31.00 (2)"  # of 0.5, 0.4, 0.3, 0.2, 0.15
    assert cell(ACCURACY, runs[:1]) == "60.00 (1)"


def test_one_run_during_which_the_machine_stood_still_does_not_spoil_the_time():
    time = COSTS[-1]
    assert time.title == "time, s (median, range)"
    runs = tuple(record(seed=i, seconds=s) for i, s in enumerate((70.2, 1342.0, 69.0)))
    assert cell(time, runs) == "70, 69 to 1342 (3)"
    assert cell(time, runs[:1]) == "70 (1)"


def test_what_is_missing_is_told_apart_from_zero():
    bare = record(robustness={"blur": ()})
    metrics = corruption_metrics([bare, record()])
    assert list(metrics) == ["noise", "blur"]
    assert cell(ACCURACY, ()) == "not run"
    assert cell(metrics["noise"], (bare,)) == "not measured"
    assert cell(metrics["blur"], (bare,)) == "not measured"
    assert cell(ACCURACY, (record(accuracy=0.0),)) == "0.00 (1)"


def test_the_gap_is_training_less_test_accuracy():
    assert record(accuracy=0.7, train_accuracy=0.95).gap == pytest.approx(0.25)


def test_points_are_shares_times_a_hundred():
    assert points(0.0123) == "+1.23"
    assert points(-0.0005) == "−0.05"
