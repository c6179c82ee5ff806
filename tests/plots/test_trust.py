"""The panel holds every control, in the ink that was asked for, and nothing runs off it."""

from dataclasses import replace

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

from deconvviz.analysis.trust import Control, Likeness, examine
from deconvviz.plots.trust import panel


@pytest.fixture(scope="module")
def found(demo):
    net, cat = demo
    recording = net.record(cat[None], ["stage3.relu1"])
    return examine(net, cat, recording.strongest("stage3.relu1", 1), networks=1, repeats=2, steps=4)


def letters(figure):
    every = [text for axes in figure.axes for text in [*axes.texts, axes.title, axes.xaxis.label]]
    every += [axes._left_title for axes in figure.axes]
    return [text for text in [*every, *figure.texts] if text.get_text()]


def test_every_control_has_its_picture(found):
    figure = panel(found, "#123456")
    pictures = [axes for axes in figure.axes if axes.images]
    assert len(pictures) == 9
    said = " ".join(text.get_text() for text in letters(figure))
    for word in ("another unit", "random start", "random switches", "own kernels", "chance"):
        assert word in said
    assert found.verdict.split(":")[0] in said.replace("\n", " ")
    assert "symmetric about grey" in said.replace("\n", " ")


def test_letters_have_the_ink_and_stay_on_the_page(found):
    figure = panel(found, "#123456")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    page = figure.bbox
    for text in letters(figure):
        assert to_hex(text.get_color()) == "#123456"
        box = text.get_window_extent()
        assert box.x0 >= page.x0 - 1
        assert box.x1 <= page.x1 + 1
        assert box.y0 >= page.y0 - 1
        assert box.y1 <= page.y1 + 1


def test_a_control_that_is_not_there_leaves_its_place_empty(found):
    nothing = Control(Likeness(float("nan"), 0, float("nan"), 0, 0), None)
    figure = panel(replace(found, units=None, switches=None, seed=nothing), "black")
    assert sum(bool(axes.images) for axes in figure.axes) == 6
    said = [text.get_text() for text in letters(figure)]
    assert said.count("there is none") == 3
