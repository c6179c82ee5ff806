"""Figures of the question: every run where it belongs, and what was not run in words alone."""

import numpy as np
import pytest

from deconvviz.plots.files import figure_png
from deconvviz.plots.study import comparison as figures
from tests.plots.study.drawn import arm, dots, words
from tests.study.samples import helps, record


def test_every_pair_is_a_dot_in_its_row_and_nothing_else_is(compared):
    figure = figures.paired_differences(compared)
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes}
    assert list(panels) == ["R-all − A", "C − A"]  # those of which a pair was run
    shown = dots(panels["R-all − A"])
    assert shown[:, 0] == pytest.approx(
        [100 * d for d in compared.effect("R-all", "A").difference.pairs]
    )
    assert set(np.round(shown[:, 1])) == {0}
    rows = [label.get_text() for label in panels["R-all − A"].get_yticklabels()]
    assert rows == ["1000"]
    assert len(dots(panels["C − A"])) == 1
    assert not any("not run" in text for text in words(figure))


def test_the_interval_and_the_aim_are_where_they_are_told(compared):
    axes = figures.paired_differences(compared).axes[0]
    found = compared.effect("R-all", "A").difference
    ends = [sorted(line.get_xdata()) for line in axes.lines]
    assert any(end == pytest.approx([100 * found.low, 100 * found.high]) for end in ends)
    assert any(end == pytest.approx([1.5, 1.5]) for end in ends)
    low, high = axes.get_xlim()
    assert low < 100 * min(found.low, -0.003)
    assert high > 100 * max(found.high, 0.015)


def test_the_effects_that_decide_stand_below_each_other_with_their_verdicts(compared):
    for columns in (1, 2):
        (axes,) = figures.deciding_differences(compared, columns).axes
        found = compared.effect("R-all", "A").difference
        assert dots(axes)[:, 0] == pytest.approx([100 * d for d in found.pairs])
        ends = [sorted(line.get_xdata()) for line in axes.lines]
        assert any(end == pytest.approx([100 * found.low, 100 * found.high]) for end in ends)
        said = [text.get_text() for text in axes.texts]
        assert said == ["1000 labels: reconstruction beside cross-entropy", "undecided"]


def test_one_pair_has_a_dot_but_no_interval(compared):
    axes = figures.paired_differences(compared).axes[1]  # C - A
    lines = [line for line in axes.lines if len(set(line.get_xdata())) > 1]
    assert all(line.get_xdata() == [0, 1] for line in lines)  # what parts the rows


def test_accuracy_by_labels_shows_every_run_and_names_what_is_missing(compared):
    figure = figures.accuracy_by_labels(compared)
    (axes,) = figure.axes
    shown = dots(axes)
    assert sorted(shown[:, 1]) == pytest.approx(sorted(r.test_accuracy for r in compared.records))
    assert sorted(np.round(shown[:, 0])) == [0] * 9 + [1] * 4  # the budget of each
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert names == ["1000", "4000"]
    assert [t for t in words(figure) if "not run" in t] == ["not run: A2, N, R-lab, C+R"]


def test_curves_by_epoch_are_means(compared):
    (axes,) = figures.accuracy_by_epoch(compared, 1000).axes
    curves = [line.get_ydata() for line in axes.lines]
    expected = np.mean([r.test_accuracy for r in compared.runs("A", 1000)])
    assert len(curves) == 3
    assert curves[0] == pytest.approx([expected / 2, expected])
    assert figures.accuracy_by_epoch(compared, 1000, "train_loss").axes[0].lines[0].get_ydata() == (
        pytest.approx([2, 1])
    )


def test_runs_of_other_lengths_and_metrics_make_a_curve_of_what_there_is():
    long = tuple({"epoch": e, "test_accuracy": e / 10} for e in (1, 2, 3))
    one, other = record(seed=0, epochs=long), record(seed=1, epochs=({"epoch": 1},))
    (axes,) = figures.accuracy_by_epoch(helps([one, other]), 1000).axes
    assert axes.lines[0].get_ydata() == pytest.approx([0.1, 0.2, 0.3])
    figure = figures.accuracy_by_epoch(helps([other]), 1000)
    assert "not run" in words(figure)


def test_gap_and_calibration_show_every_run(compared):
    gap = figures.overfitting(compared)
    assert [axes.get_title(loc="left") for axes in gap.axes] == ["1000 labels", "4000 labels"]
    assert [len(dots(axes)) for axes in gap.axes] == [9, 4]
    first = dots(gap.axes[0])[:4, 0]
    assert first == pytest.approx([100 * r.gap for r in compared.runs("A", 1000)])
    rows = [label.get_text() for label in gap.axes[0].get_yticklabels()]
    assert rows == ["A", "R-all", "C"]
    nll, ece = figures.calibration(compared, 1000).axes
    assert set(dots(nll)[:, 0]) == {1.2}
    assert set(dots(ece)[:, 0]) == {10}
    low, high = nll.get_xlim()
    assert low < 1.2 < high


def test_robustness_begins_with_the_pictures_as_they_are(compared):
    (axes,) = figures.robustness(compared, 1000).axes
    mean = np.mean([r.test_accuracy for r in compared.runs("A", 1000)])
    heights = [line.get_ydata() for line in axes.lines if len(line.get_ydata()) == 6]
    assert heights[0] == pytest.approx([mean, 0.5, 0.4, 0.3, 0.2, 0.15])
    assert axes.get_title(loc="left") == "noise"


def test_runs_without_robustness_are_told_as_not_measured():
    figure = figures.robustness(helps(arm("A", robustness={})), 1000)
    assert "not measured" in words(figure)


@pytest.mark.parametrize("columns", [1, 3])
def test_all_are_drawn_without_runs_too(columns):
    nothing = helps([])
    for figure in (
        figures.paired_differences(nothing, columns),
        figures.deciding_differences(nothing, columns),
        figures.accuracy_by_labels(nothing),
        figures.accuracy_by_epoch(nothing, 500),
        figures.overfitting(nothing, columns),
        figures.calibration(nothing, 500, columns),
        figures.robustness(nothing, 500, columns),
    ):
        assert not any(len(dots(axes)) for axes in figure.axes)
        assert any(word.startswith(("not run", "not measured")) for word in words(figure))
        if columns == 1:
            assert figure_png(figure, dpi=30)


def test_panels_stand_in_the_columns_that_were_asked_for(compared):
    for columns in (1, 2):
        figure = figures.paired_differences(compared, columns)
        assert figure.axes[0].get_subplotspec().get_gridspec().ncols == columns
        assert figure.get_figwidth() < 3.5 * columns
