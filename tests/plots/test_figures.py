"""Pictures of results: every pixel and every point where it belongs."""

import sys
from io import BytesIO

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from PIL import Image

from deconvviz.plots import figures
from tests.plots.test_arrays import random_picture

RUNS = {
    "a": [
        {"epoch": 1, "test_accuracy": 0.5, "train_accuracy": 0.4},
        {"epoch": 2, "test_accuracy": 0.7, "train_accuracy": 0.6},
        {"epoch": 3, "test_accuracy": 0.8, "train_accuracy": 0.75},
    ],
    "b": [{"epoch": 1, "test_accuracy": 0.6, "train_accuracy": 0.5}],
}


def test_the_transparent_parts_of_a_picture_on_a_sheet_show_what_is_behind_it():
    clear = np.zeros((8, 8, 4), np.uint8)
    figure = figures.contact_sheet([[clear]], [""], "", columns=1)
    assert not np.asarray(Image.open(BytesIO(figures.figure_png(figure, dpi=50))))[..., 3].any()


def test_learning_curves_have_the_numbers_of_the_record():
    axes = figures.learning_curves(RUNS).axes[0]
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    assert lines["a, test"] == [[1, 0.5], [2, 0.7], [3, 0.8]]
    assert lines["b, training"] == [[1, 0.5]]


def test_learning_curves_of_the_loss_have_its_numbers():
    metrics = [{"epoch": epoch, "test_loss": 1 / epoch, "train_loss": 2.0} for epoch in (1, 2)]
    axes = figures.learning_curves({"a": metrics}, measure="loss").axes[0]
    assert [line.get_ydata().tolist() for line in axes.lines] == [[1, 0.5], [2, 2]]


def test_per_class_dots_stand_at_their_accuracy_on_their_class():
    results = {"a": {"cat": 0.5, "dog": 0.9}, "b": {"cat": 0.6, "dog": 0.8}}
    axes = figures.per_class_accuracy(results).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["cat", "dog"]  # the easiest on top
    for dots, result in zip(axes.collections, results.values(), strict=True):
        for x, y in dots.get_offsets():
            assert x == result[names[int(y)]]


def test_a_confusion_matrix_is_in_percent_of_each_true_class():
    axes = figures.confusion_matrix([[8, 2], [0, 50]], ["cat", "dog"]).axes[0]
    texts = {(t.get_position()[1], t.get_position()[0]): t.get_text() for t in axes.texts}
    assert texts == {(0, 0): "80", (0, 1): "20", (1, 1): "100"}


def test_a_class_without_pictures_and_a_perfect_result_are_no_division_by_zero():
    figures.figure_png(figures.confusion_matrix([[0, 0], [0, 5]], ["none", "all"]))


@pytest.mark.parametrize("ink", ["#222222", "#eeeeee"])
def test_figures_are_see_through_and_written_in_the_given_ink(ink):
    figure = figures.learning_curves(RUNS, ink)
    image = Image.open(BytesIO(figures.figure_png(figure, dpi=60)))
    assert image.mode == "RGBA"
    assert image.getpixel((0, 0))[3] == 0
    axes = figure.axes[0]
    assert axes.xaxis.label.get_color() == ink
    assert {to_hex(text.get_color()) for text in axes.get_legend().get_texts()} == {ink}


def test_the_gallery_shows_every_picture_of_every_row():
    units = [("unit 1", random_picture(4, 4), random_picture(4, 4, 1))] * 2
    row = (random_picture(9, 12), "something", units)
    figure = figures.gallery([row, row, row], ["low", "high"])
    assert sum(len(axes.images) for axes in figure.axes) == 3 * (1 + 2 * 2)
    assert len(figures.figure_png(figure, dpi=50)) > 1000


LONG = "unit 1234, row 1000, column 1000, image 99999, and more to break, with more"


@pytest.mark.parametrize("beside", [1, 2])
@pytest.mark.parametrize("shape", [(4, 4), (9, 2), (2, 30), (300, 200)])
@pytest.mark.parametrize("count", [1, 5])
def test_on_a_contact_sheet_nothing_runs_into_anything_else(count, shape, beside):
    cells = [[random_picture(*shape)] * beside] * count
    figure = figures.contact_sheet(cells, [LONG] * count, "words " * 80, columns=3)
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    title = [axes._left_title for axes in figure.axes[::beside]]
    parts = [*figure.axes, *title, *figure.texts]
    extents = [part.get_window_extent(renderer).shrunk(0.99, 0.99) for part in parts]
    assert len(extents) == count * beside + count + 1
    for i, extent in enumerate(extents):
        assert figure.bbox.x0 <= extent.x0 <= extent.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= extent.y0 <= extent.y1 <= figure.bbox.y1
        assert not extent.count_overlaps(extents[i + 1 :])


def test_a_title_is_broken_after_commas_only():
    figure = figures.contact_sheet([[random_picture(4, 4)]], [LONG], "", columns=1)
    lines = figure.axes[0].get_title("left").splitlines()
    assert len(lines) > 1
    assert " ".join(" ".join(lines).split()) == LONG
    assert all(line.endswith(",") for line in lines[:-1])


def test_letters_on_a_contact_sheet_are_as_given_and_no_formula():
    figure = figures.contact_sheet(
        [[random_picture(4, 4)]], ["$a$"], r"$\\b", columns=1, ink="#111111"
    )
    assert figures.figure_png(figure, dpi=50)
    assert to_hex(figure.texts[0].get_color()) == "#111111"


def test_no_figure_is_kept_by_pyplot():
    figures.figure_png(figures.learning_curves(RUNS), dpi=50)
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []
