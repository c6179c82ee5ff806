"""An examination in words follows from its numbers; its panel holds every control."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

from deconvviz.analysis.trust import TrustOptions, examine
from deconvviz.analysis.trust.checks import CascadeStep, Control, Similarity
from deconvviz.deconv import Deconvnet
from deconvviz.io.images import photograph
from deconvviz.io.zoo import load
from deconvviz.plots.display import display
from deconvviz.plots.trust import (
    LEGEND,
    _numbers,
    figure,
    headline,
    similar_controls,
    story,
    summary,
    unit_title,
    verdict,
)
from deconvviz.units import Unit


@pytest.fixture(scope="module")
def found():
    bundle = load("demo")
    net, cat = Deconvnet(bundle.model), bundle.preprocess(photograph("cat").image)
    unit = Unit.at_peak(net.record(cat[None], ["stage3.relu1"]), "stage3.relu1")
    return examine(net, cat, unit.selection, TrustOptions(networks=1, repeats=2, points=4))


def control(kept):
    return Control(Similarity(kept, 0, kept, 0, 8), None)


def made(found, own, last, edges=0.0, others=0.0):
    """The examination with a cascade of two steps, and controls that keep given shares."""
    cascade = (CascadeStep(("c2",), control(own)), CascadeStep(("c1",), control(last)))
    return replace(
        found,
        chance=control(0),
        cascade=cascade,
        edges=control(edges),
        edges_chance=Similarity(0, 0.1, 0, 0.1, 8),
        other_units=control(others),
        random_starts=control(others),
        random_switches=None,
    )


@pytest.mark.parametrize(
    ("own", "last", "edges", "outcome", "says"),
    [
        (0.9, 0.8, 0.5, "image", "mostly the image's own edges (rank correlation with them 0.50)"),
        (0.9, 0.8, 0.1, "image", "mostly the image's own: shuffling all kernels below"),
        (
            0.6,
            0.1,
            0.5,
            "layers_below",
            "not specific to this unit: shuffling the unit's own kernels",
        ),
        (0.3, 0.1, 0.5, "partly_unit", "depends partly on this unit's own kernels"),
        (
            0.1,
            0.1,
            0.5,
            "unit",
            "on this unit's own kernels: shuffling the unit's own kernels (c2)",
        ),
    ],
)
def test_the_verdict_follows_the_cascade(found, own, last, edges, outcome, says):
    trust = made(found, own, last, edges)
    assert trust.outcome == outcome
    assert says in verdict(trust)
    shown = last if outcome == "image" else own
    numbers = f"(rank correlation {shown:.2f}, SSIM {shown:.2f}; by chance 0.00, 0.00)"
    assert numbers in verdict(trust)
    assert verdict(trust).count(". ") == 0


def test_where_no_shuffled_unit_was_active_the_outcome_is_inconclusive(found):
    trust = made(found, float("nan"), 0.1)
    assert trust.outcome == "inconclusive"
    assert "shows nothing here" in verdict(trust)


@pytest.mark.parametrize(
    ("own", "last", "says"),
    [
        (0.19, 0.0, "depends partly or strongly on this unit"),
        (0.19, 0.39, "depends not at all or strongly on this unit"),
    ],
)
def test_a_verdict_that_other_networks_may_change_is_not_settled(found, own, last, says):
    def spread(kept):
        networks = tuple(Similarity(kept + d, 0, kept + d, 0, 8) for d in (-0.05, 0.05))
        return replace(control(kept), networks=networks)

    cascade = (CascadeStep(("c2",), spread(own)), CascadeStep(("c1",), spread(last)))
    chance = replace(control(0), networks=(Similarity(0, 0, 0, 0, 8),))
    trust = replace(made(found, own, last), cascade=cascade, chance=chance)
    assert trust.outcome == "between"
    assert says in headline(trust)
    assert "is not settled" in verdict(trust)
    assert "(± 10%)" in headline(trust)


def test_controls_that_give_much_the_same_are_named(found):
    trust = made(found, 0.9, 0.1, others=0.5)
    assert similar_controls(trust) == ["other units", "random starts"]
    same = "Other units (50% left) and random starts (50% left) give much the same picture."
    assert same in summary(trust)


def test_every_control_with_pictures_is_in_the_summary(found):
    trust = replace(made(found, 0.9, 0.1, others=0.5), random_switches=control(0.2))
    assert "much the same picture. Random switches (20% left) do not." in summary(trust)
    trust = replace(made(found, 0.9, 0.1, others=0.3), random_switches=control(0.2))
    assert (
        "Other units (30% left), random starts (30% left) and random switches (20% left) do not "
        "give much the same picture."
    ) in summary(trust)
    nothing = control(float("nan"))
    trust = replace(made(found, 0.9, 0.1, others=0.5), random_starts=nothing, other_units=None)
    assert "much the same picture" not in summary(trust)


@pytest.mark.parametrize(
    ("insertion", "deletion", "says"),
    [
        (0.8, 0.1, "carry the unit's activation"),
        (0.8, 0.5, "suffice for the activation"),
        (0.5, 0.1, "needs the pixels"),
        (0.5, 0.5, "no more of the activation than any others"),
    ],
)
def test_insertion_and_deletion_are_compared_with_random_orders(found, insertion, deletion, says):
    curves = replace(
        found.curves,
        insertion=replace(found.curves.insertion, area=insertion, chance=0.5, spread=0.1),
        deletion=replace(found.curves.deletion, area=deletion, chance=0.5, spread=0.1),
    )
    said = summary(replace(found, curves=curves))
    assert says in said
    assert f"insertion {insertion:.2f}, of deletion {deletion:.2f}; of random orders 0.50" in said


def test_numbers_that_are_not_there_are_not_shown():
    nan = float("nan")
    assert _numbers(Similarity(0.5, 0, 0.25, 0, 1)) == "rank correlation 0.50, SSIM 0.25"
    assert _numbers(Similarity(0.5, 0, nan, 0, 1)) == "rank correlation 0.50"
    assert _numbers(Similarity(nan, 0, nan, 0, 0)) == "none"


def test_units_have_titles():
    one = Unit("c", 3, 1, 2)
    assert unit_title([one], (4, 4)) == "Unit 3 of c, row 1, column 2"
    assert unit_title([one, one], (4, 4)) == "2 units of c together"
    assert unit_title([Unit("fc", 3, 0, 0)], (1, 1)) == "Unit 3 of fc"


def letters(panel):
    every = [text for axes in panel.axes for text in [*axes.texts, axes.title, axes.xaxis.label]]
    every += [axes._left_title for axes in panel.axes]
    return [text for text in [*every, *panel.texts] if text.get_text()]


def test_every_control_has_its_picture(found):
    panel = figure(found, "#123456")
    pictures = [axes for axes in panel.axes if axes.images]
    assert len(pictures) == 9
    said = " ".join(text.get_text() for text in letters(panel))
    for word in ("another unit", "random start", "random switches", "own kernels", "chance"):
        assert word in said
    assert verdict(found).split(":")[0] in said.replace("\n", " ")
    assert "symmetric about grey" in said.replace("\n", " ")


def test_names_of_layers_and_legends_lie_beside_the_curves_and_the_words(found):
    long = (CascadeStep(("features.stage3.block2.conv1",), control(0.5)),) * 4
    panel = figure(replace(found, cascade=long))
    FigureCanvasAgg(panel).draw()
    *_, words = panel.texts
    caption = words.get_window_extent()
    *_, cascade, curves = panel.axes
    for label in cascade.get_xticklabels():
        box = label.get_window_extent()
        assert box.y0 >= caption.y1
        assert box.x0 >= panel.bbox.x0
    assert curves.xaxis.label.get_window_extent().y0 >= caption.y1
    for axes in (cascade, curves):
        box = axes.get_legend().get_window_extent()
        assert box.y0 >= axes.bbox.y1
        assert box.x1 <= panel.bbox.x1
        assert box.y1 <= axes._left_title.get_window_extent().y0 + 1


def test_letters_have_the_ink_and_stay_on_the_page(found):
    panel = figure(found, "#123456")
    canvas = FigureCanvasAgg(panel)
    canvas.draw()
    page = panel.bbox
    for text in letters(panel):
        assert to_hex(text.get_color()) == "#123456"
        box = text.get_window_extent()
        assert box.x0 >= page.x0 - 1
        assert box.x1 <= page.x1 + 1
        assert box.y0 >= page.y0 - 1
        assert box.y1 <= page.y1 + 1


def test_a_control_that_is_not_there_leaves_its_place_empty(found):
    nothing = Control(Similarity(float("nan"), 0, float("nan"), 0, 0), None)
    panel = figure(
        replace(found, other_units=None, random_switches=None, random_starts=nothing), "black"
    )
    assert sum(bool(axes.images) for axes in panel.axes) == 6
    said = [text.get_text() for text in letters(panel)]
    assert said.count("there is none") == 3


@pytest.mark.parametrize(
    ("own", "last", "says"),
    [
        (0.9, 0.8, "says little about the network: 80% of it is left"),
        (0.6, 0.1, "says little about this unit: 60% of it is left"),
        (0.3, 0.1, "depends partly on this unit: 30% of it is left"),
        (0.1, 0.1, "depends strongly on this unit: only 10% of it is left"),
        (-0.1, 0.1, "only 0% of it"),
        (float("nan"), 0.1, "shows nothing here"),
    ],
)
def test_the_headline_is_the_verdict_in_plain_words(found, own, last, says):
    assert says in headline(made(found, own, last))
    assert "learned" not in headline(made(found, own, last))  # random weights have such a verdict


def test_what_is_left_is_the_mean_of_the_two_measures_that_the_legend_names(found):
    trust = made(found, 0.3, 0.1)
    first = replace(trust.cascade[0], control=Control(Similarity(0.5, 0, 0.1, 0, 8), None))
    trust = replace(trust, cascade=(first, trust.cascade[1]))
    assert "30% of it is left" in headline(trust)
    assert "the mean of two measures" in LEGEND
    assert LEGEND.index("rank correlation") < LEGEND.index("SSIM")


def test_a_bar_is_what_a_control_keeps_beyond_its_chance_level(found):
    trust = made(found, 0.6, 0.1, edges=0.3, others=0.2)
    *pictures, axes = story(trust, "#123456").axes
    titles = [one.get_title() for one in pictures]
    assert titles == ["what it sees", "its picture", "shuffled", "another unit"]
    assert np.array_equal(pictures[1].images[0].get_array(), display(trust.pixels))
    names = [label.get_text() for label in axes.get_yticklabels()]
    widths = [bar.get_width() for bar in axes.patches]
    assert dict(zip(names, widths, strict=True)) == pytest.approx(
        {
            "own kernels shuffled": 0.6,
            "all kernels shuffled": 0.1,
            "another unit": 0.2,
            "random start values": 0.2,
            "random switches": 0,
            "the photograph's edges": 0.3,
        }
    )
    said = [text.get_text() for text in axes.texts]
    assert said == ["60%", "10%", "20%", "20%", "there is none", "30%", "some", "much"]
