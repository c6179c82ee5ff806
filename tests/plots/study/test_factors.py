"""Figures of a sweep: every run at its value, costs below, and what was not run in words."""

import numpy as np
import pytest

from deconvviz.plots.files import figure_png
from deconvviz.plots.study import factors as figures
from tests.plots.study.drawn import arm, dots, words
from tests.study.samples import record, sweep


def test_recipe_rows_hold_pairs_or_say_why_not():
    made = arm("best") + arm("without crop", shift=-0.03) + arm("without flip", shift=0.01)
    made.append(record("own", seed=9, subset="other"))
    declared = [("best", 1000), ("without crop", 1000), ("without cutout", 1000)]
    figure = figures.sweep_differences(sweep(made, declared))
    (axes,) = figure.axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["without crop", "without cutout", "without flip", "own"]
    rows, counts = np.unique(np.round(dots(axes)[:, 1]), return_counts=True)
    assert (rows.tolist(), counts.tolist()) == ([0, 2], [4, 4])
    assert {"not run", "no seed in common"} < set(words(figure))


def test_a_factor_stands_at_its_numbers_and_shows_every_run(swept):
    figure = figures.factor_curves(swept)
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes}
    assert list(panels) == ["kernel", "lr", "classifier, by number of labels", "pool"]
    assert panels["kernel"].get_xticks().tolist() == [3, 5, 7]
    assert panels["lr"].get_xscale() == "log"
    assert panels["lr"].get_xticks() == pytest.approx([0.01, 0.1, 1])
    assert panels["classifier, by number of labels"].get_xticks().tolist() == [500, 4000]
    assert panels["pool"].get_xticks().tolist() == [0, 1]  # words, at equal steps
    assert [len(dots(axes)) for axes in panels.values()] == [8, 12, 8, 8]
    assert "7\nnot run" in words(figure)
    for axes in panels.values():
        low, high = axes.get_xlim()
        assert low < min(axes.get_xticks())
        assert high > max(axes.get_xticks())


def test_costs_stand_below_where_they_differ_and_once_where_they_do_not(swept):
    panels = {axes.get_title(loc="left"): axes for axes in figures.factor_curves(swept).axes}
    below = [label.get_text() for label in panels["pool"].get_xticklabels()]
    assert below == ["max\n0.31 M\n40 M\n100 s", "mean\n0.40 M\n40 M\n100 s"]
    assert [
        label.get_text() for label in panels["classifier, by number of labels"].get_xticklabels()
    ] == [
        "500\n100 s",
        "4000\n100 s",
    ]
    assert (
        panels["classifier, by number of labels"].get_xlabel()
        == "each 0.31 M parameters, 40 M multiply-adds"
    )


def test_factors_share_a_scale_so_that_steeper_is_stronger(swept):
    *factors, classifier = sorted(
        figures.factor_curves(swept).axes,
        key=lambda axes: "by number" in axes.get_title(loc="left"),
    )
    assert len({axes.get_ylim() for axes in factors}) == 1
    low, high = factors[0].get_ylim()
    shown = np.concatenate([dots(axes)[:, 1] for axes in factors])
    assert low < shown.min() <= shown.max() < high
    assert classifier.get_ylim() != (low, high)


def test_budgets_of_one_factor_are_curves_of_their_own():
    made = [*arm("lr=1"), *arm("lr=2"), *arm("lr=1", 4000), *arm("lr=2", 4000)]
    figure = figures.factor_curves(sweep(made))
    assert [t.strip() for t in words(figure)[:2]] == ["1000 labels", "4000 labels"]
    assert len(dots(figure.axes[0])) == 16


def test_what_decoders_leave_is_drawn_for_the_factors_that_had_one():
    left = {3: 0.3, 5: 0.2}
    made = [*arm("kernel=3"), *arm("kernel=5")]
    for side, error in left.items():
        epochs = ({"epoch": 1, "test_accuracy": 0.5, "reconstruction_error": error},)
        made += arm(f"decoder-kernel={side}", epochs=epochs)
    (axes,) = figures.reconstruction_curves(sweep(made)).axes
    assert axes.get_title(loc="left") == "decoder kernel"
    assert axes.get_ylabel() == "reconstruction error"
    shown = dots(axes)
    assert {(x, round(y, 3)) for x, y in shown} == set(left.items())
    assert len(shown) == 8


def test_numbers_too_near_to_be_read_stand_at_equal_steps():
    made = [r for value in (1, 2, 3, 30, 31) for r in arm(f"depth={value}", seeds=1)]
    (axes,) = figures.factor_curves(sweep(made)).axes
    assert axes.get_xticks().tolist() == [0, 1, 2, 3, 4]
    assert [t.get_text()[:2].strip() for t in axes.get_xticklabels()] == ["1", "2", "3", "30", "31"]


@pytest.mark.parametrize("columns", [1, 3])
def test_all_are_drawn_without_runs_too(columns):
    for figure in (
        figures.factor_curves(sweep([]), columns),
        figures.reconstruction_curves(sweep([]), columns),
        figures.sweep_differences(sweep([])),
        figures.sweep_differences(sweep([], [("best", 1000), ("without crop", 1000)])),
    ):
        assert not any(len(dots(axes)) for axes in figure.axes)
        assert any(word.startswith("not run") for word in words(figure))
        assert figure_png(figure, dpi=30)


def test_panels_stand_in_the_columns_that_were_asked_for(swept):
    for columns in (1, 2):
        panels = figures.factor_curves(swept, columns).axes
        assert panels[0].get_subplotspec().get_gridspec().ncols == columns
    assert figure_png(figures.factor_curves(swept, 1), dpi=30)


def test_changes_are_ranked_and_the_first_arm_by_another_name_is_left_out():
    made = [*arm("best"), *arm("worse", shift=-0.1), *arm("better", shift=0.03), *arm("same")]
    declared = [("best", 1000), ("worse", 1000), ("better", 1000), ("same", 1000)]
    report = sweep(made, declared)
    (axes,) = figures.ranked_differences(report).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["better", "worse"]
    marks = [line.get_xdata() for line in axes.lines if line.get_marker() == "o"]
    means = [
        100 * report.effect(name, "best", 1000).difference.mean for name in ("better", "worse")
    ]
    assert [float(mark[0]) for mark in marks] == pytest.approx(means)
    assert "not run" in words(figures.ranked_differences(sweep([])))
