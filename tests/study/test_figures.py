"""Figures of a study: every run where it belongs, and what was not run in words alone."""

import numpy as np
import pytest
from matplotlib.collections import PathCollection

from deconvviz.figures import figure_png
from deconvviz.study import figures, report, sweep
from deconvviz.study.report import BUDGETS, CONTRASTS
from tests.study.samples import record


def arm(name, labels=1000, shift=0.0, seeds=4, **changes):
    return [
        record(
            name, labels, s, 0.6 + s / 100 + shift * (1 + s / 10), subset=f"{labels} {s}", **changes
        )
        for s in range(seeds)
    ]


@pytest.fixture
def told():
    return report(arm("A") + arm("R-all", shift=0.02) + arm("A", 4000) + arm("C", seeds=1))


@pytest.fixture
def levers():
    made = [*arm("kernel=3"), *arm("kernel=5", shift=0.01), *arm("rate=0.01"), *arm("rate=0.1")]
    made += [*arm("rate=1.0"), *arm("labels", 500), *arm("labels", 4000), *arm("pool=max")]
    made += arm("pool=mean", parameters=400_000)
    return sweep(made, [("kernel=3", 1000), ("kernel=5", 1000), ("kernel=7", 1000)])


def dots(axes):
    """The runs that a plot shows, as (n, 2)."""
    found = [c.get_offsets() for c in axes.collections if isinstance(c, PathCollection)]
    return np.concatenate([np.zeros((0, 2)), *map(np.asarray, found)])


def words(figure):
    """All that is written on it."""
    own = [text.get_text() for axes in figure.axes for text in axes.texts]
    ticks = [t.get_text() for axes in figure.axes for t in axes.get_xticklabels()]
    titles = [legend.get_title().get_text() for legend in figure.legends]
    return [*own, *ticks, *titles, figure.get_supxlabel()]


def test_every_pair_is_a_dot_in_its_row_and_nothing_else_is(told):
    figure = figures.paired_differences(told)
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes}
    assert list(panels) == [f"{one} − {other}" for one, other in CONTRASTS]
    shown = dots(panels["R-all − A"])
    assert shown[:, 0] == pytest.approx(
        [100 * d for d in told.contrast("R-all", "A").difference.pairs]
    )
    assert set(np.round(shown[:, 1])) == {BUDGETS.index(1000)}
    assert len(dots(panels["C − A"])) == 1
    assert len(dots(panels["A2 − A"])) == 0
    assert words(figure).count("not run") == len(CONTRASTS) * len(BUDGETS) - 2


def test_the_interval_and_the_aim_are_where_they_are_told(told):
    axes = figures.paired_differences(told).axes[0]
    found = told.contrast("R-all", "A").difference
    ends = [sorted(line.get_xdata()) for line in axes.lines]
    assert any(end == pytest.approx([100 * found.low, 100 * found.high]) for end in ends)
    assert any(end == pytest.approx([1.5, 1.5]) for end in ends)
    low, high = axes.get_xlim()
    assert low < 100 * min(found.low, -0.003)
    assert high > 100 * max(found.high, 0.015)


def test_one_pair_has_a_dot_but_no_interval(told):
    axes = figures.paired_differences(told).axes[3]  # C - A
    lines = [line for line in axes.lines if len(set(line.get_xdata())) > 1]
    assert all(line.get_xdata() == [0, 1] for line in lines)  # what parts the rows


def test_recipe_rows_hold_pairs_or_say_why_not():
    made = arm("best") + arm("without crop", shift=-0.03) + arm("without flip", shift=0.01)
    made.append(record("own", seed=9, subset="other"))
    declared = [("best", 1000), ("without crop", 1000), ("without cutout", 1000)]
    figure = figures.recipe_differences(sweep(made, declared))
    (axes,) = figure.axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["without crop", "without cutout", "without flip", "own"]
    rows, counts = np.unique(np.round(dots(axes)[:, 1]), return_counts=True)
    assert (rows.tolist(), counts.tolist()) == ([0, 2], [4, 4])
    assert {"not run", "no seed in common"} < set(words(figure))


def test_accuracy_by_labels_shows_every_run_and_names_what_is_missing(told):
    figure = figures.accuracy_by_labels(told)
    (axes,) = figure.axes
    shown = dots(axes)
    assert sorted(shown[:, 1]) == pytest.approx(sorted(r.test_accuracy for r in told.records))
    assert sorted(np.round(shown[:, 0])) == [1] * 9 + [2] * 4  # the budget of each
    assert [t for t in words(figure) if "not run" in t] == [
        "500\nnot run",
        "10000\nnot run",
        "50000\nnot run",
        "not run: A2, N, R-lab, C+R",
    ]


def test_curves_by_epoch_are_means(told):
    (axes,) = figures.accuracy_by_epoch(told.at(1000)).axes
    curves = [line.get_ydata() for line in axes.lines]
    expected = np.mean([r.test_accuracy for r in told.cell("A", 1000).records])
    assert len(curves) == 3
    assert curves[0] == pytest.approx([expected / 2, expected])
    assert figures.accuracy_by_epoch(told.at(1000), "train_loss").axes[0].lines[0].get_ydata() == (
        pytest.approx([2, 1])
    )


def test_runs_of_other_lengths_and_metrics_make_a_curve_of_what_there_is():
    long = tuple({"epoch": e, "test_accuracy": e / 10} for e in (1, 2, 3))
    one, other = record(seed=0, epochs=long), record(seed=1, epochs=({"epoch": 1},))
    (axes,) = figures.accuracy_by_epoch(report([one, other]).at(1000)).axes
    assert axes.lines[0].get_ydata() == pytest.approx([0.1, 0.2, 0.3])
    figure = figures.accuracy_by_epoch(report([other]).at(1000))
    assert "not run" in words(figure)


def test_gap_and_calibration_show_every_run(told):
    gap = figures.overfitting(told)
    assert [axes.get_title(loc="left") for axes in gap.axes] == ["1000 labels", "4000 labels"]
    assert [len(dots(axes)) for axes in gap.axes] == [9, 4]
    first = dots(gap.axes[0])[:4, 0]
    assert first == pytest.approx([100 * r.gap for r in told.cell("A", 1000).records])
    assert gap.get_supxlabel() == "not run: 500, 10000, 50000 labels"
    nll, ece = figures.calibration(told.at(1000)).axes
    assert set(dots(nll)[:, 0]) == {1.2}
    assert set(dots(ece)[:, 0]) == {10}
    low, high = nll.get_xlim()
    assert low < 1.2 < high


def test_robustness_begins_with_the_pictures_as_they_are(told):
    (axes,) = figures.robustness(told.at(1000)).axes
    mean = np.mean([r.test_accuracy for r in told.cell("A", 1000).records])
    heights = [line.get_ydata() for line in axes.lines if len(line.get_ydata()) == 6]
    assert heights[0] == pytest.approx([mean, 0.5, 0.4, 0.3, 0.2, 0.15])
    assert axes.get_title(loc="left") == "noise"


def test_runs_without_robustness_are_told_as_not_measured():
    figure = figures.robustness(report(arm("A", robustness={})).at(1000))
    assert "not measured" in words(figure)


def test_a_factor_stands_at_its_numbers_and_shows_every_run(levers):
    figure = figures.sweep_curves(levers)
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes}
    assert list(panels) == ["kernel", "rate", "labels", "pool"]
    assert panels["kernel"].get_xticks().tolist() == [3, 5, 7]
    assert panels["rate"].get_xscale() == "log"
    assert panels["rate"].get_xticks() == pytest.approx([0.01, 0.1, 1])
    assert panels["labels"].get_xticks().tolist() == [500, 4000]
    assert panels["pool"].get_xticks().tolist() == [0, 1]  # words, at equal steps
    assert [len(dots(axes)) for axes in panels.values()] == [8, 12, 8, 8]
    assert "7\nnot run" in words(figure)
    for axes in panels.values():
        low, high = axes.get_xlim()
        assert low < min(axes.get_xticks())
        assert high > max(axes.get_xticks())


def test_costs_stand_below_where_they_differ_and_once_where_they_do_not(levers):
    panels = {axes.get_title(loc="left"): axes for axes in figures.sweep_curves(levers).axes}
    below = [label.get_text() for label in panels["pool"].get_xticklabels()]
    assert below == ["max\n0.31 M\n40 M\n100 s", "mean\n0.40 M\n40 M\n100 s"]
    assert [label.get_text() for label in panels["labels"].get_xticklabels()] == [
        "500\n100 s",
        "4000\n100 s",
    ]
    assert panels["labels"].get_xlabel() == "each 0.31 M parameters, 40 M multiply-adds"


def test_budgets_of_one_factor_are_curves_of_their_own():
    made = [*arm("rate=1"), *arm("rate=2"), *arm("rate=1", 4000), *arm("rate=2", 4000)]
    figure = figures.sweep_curves(sweep(made))
    assert [t.strip() for t in words(figure)[:2]] == ["1000 labels", "4000 labels"]
    assert len(dots(figure.axes[0])) == 16


def test_what_decoders_leave_is_drawn_for_the_levers_that_had_one():
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
    (axes,) = figures.sweep_curves(sweep(made)).axes
    assert axes.get_xticks().tolist() == [0, 1, 2, 3, 4]
    assert [t.get_text()[:2].strip() for t in axes.get_xticklabels()] == ["1", "2", "3", "30", "31"]


@pytest.mark.parametrize("columns", [1, 3])
def test_all_are_drawn_without_runs_too(columns):
    nothing = report([])
    for figure in (
        figures.paired_differences(nothing, columns),
        figures.accuracy_by_labels(nothing),
        figures.accuracy_by_epoch(nothing.at(500)),
        figures.overfitting(nothing, columns),
        figures.calibration(nothing.at(500), columns),
        figures.robustness(nothing.at(500), columns),
        figures.sweep_curves(sweep([]), columns),
        figures.reconstruction_curves(sweep([]), columns),
        figures.recipe_differences(sweep([])),
        figures.recipe_differences(sweep([], [("best", 1000), ("without crop", 1000)])),
    ):
        assert not any(len(dots(axes)) for axes in figure.axes)
        assert any(word.startswith(("not run", "not measured")) for word in words(figure))
        if columns == 1:
            assert figure_png(figure, dpi=30)


def test_panels_stand_in_the_columns_that_were_asked_for(told, levers):
    for columns in (1, 2):
        panels = figures.sweep_curves(levers, columns).axes
        assert panels[0].get_subplotspec().get_gridspec().ncols == columns
        assert figures.paired_differences(told, columns).get_figwidth() < 3.5 * columns
    assert figure_png(figures.sweep_curves(levers, 1), dpi=30)
