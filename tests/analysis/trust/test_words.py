"""What is said follows from the numbers, by the stated thresholds."""

from dataclasses import replace

import pytest

from deconvviz.analysis.trust import Control, Likeness, Stage, examine
from deconvviz.analysis.trust.words import alike, numbers, sentence, unit_of, verdict
from deconvviz.deconv import Layer, Selection


@pytest.fixture(scope="module")
def found(demo):
    net, cat = demo
    recording = net.record(cat[None], ["stage2.relu2"])
    return examine(net, cat, recording.strongest("stage2.relu2", 1), networks=1, repeats=2, steps=4)


def control(kept):
    return Control(Likeness(kept, 0, kept, 0, 8), None)


def told(found, own, last, edges=0.0, others=0.0):
    stages = (Stage(("c2",), control(own)), Stage(("c1",), control(last)))
    return replace(
        found,
        chance=control(0),
        stages=stages,
        edges=control(edges),
        edges_chance=Likeness(0, 0.1, 0, 0.1, 8),
        units=control(others),
        seed=control(others),
        switches=None,
    )


@pytest.mark.parametrize(
    ("own", "last", "edges", "finding", "says"),
    [
        (0.9, 0.8, 0.5, "image", "mostly the image's own edges (rank correlation with them 0.50)"),
        (0.9, 0.8, 0.1, "image", "mostly the image's own: shuffling all kernels below"),
        (0.6, 0.1, 0.5, "layers below", "hardly this unit's own: shuffling the unit's own kernels"),
        (0.3, 0.1, 0.5, "partly the unit", "in part this unit's own"),
        (0.1, 0.1, 0.5, "the unit", "is this unit's own: shuffling the unit's own kernels (c2)"),
    ],
)
def test_the_verdict_follows_the_cascade(found, own, last, edges, finding, says):
    trust = told(found, own, last, edges)
    assert trust.finding == finding
    assert says in verdict(trust)
    shown = last if finding == "image" else own
    assert f"(rank correlation {shown:.2f}, SSIM {shown:.2f}; by chance 0.00, 0.00)" in verdict(
        trust
    )
    assert verdict(trust).count(". ") == 0


def test_where_no_drawn_unit_was_active_nothing_is_told(found):
    nan = float("nan")
    trust = told(found, nan, 0.1)
    assert trust.finding == "untold"
    assert "tells nothing here" in verdict(trust)


def test_controls_that_give_much_the_same_are_named(found):
    assert alike(told(found, 0.9, 0.1, others=0.5)) == ["other units", "random starts"]
    assert "Other units and random starts give much the same picture." in sentence(
        told(found, 0.9, 0.1, others=0.5)
    )
    assert "much the same" not in sentence(told(found, 0.9, 0.1, others=0.3))


@pytest.mark.parametrize(
    ("insertion", "deletion", "says"),
    [
        (0.8, 0.1, "carry the unit's activation"),
        (0.8, 0.5, "suffice for the activation"),
        (0.5, 0.1, "needs the pixels"),
        (0.5, 0.5, "no more of the activation than any others"),
    ],
)
def test_insertion_and_deletion_are_told_against_random_orders(found, insertion, deletion, says):
    curves = replace(
        found.curves,
        insertion=replace(found.curves.insertion, area=insertion, chance=0.5, spread=0.1),
        deletion=replace(found.curves.deletion, area=deletion, chance=0.5, spread=0.1),
    )
    said = sentence(replace(found, curves=curves))
    assert says in said
    assert f"insertion {insertion:.2f}, of deletion {deletion:.2f}; of random orders 0.50" in said


def test_numbers_that_are_not_there_are_not_shown():
    nan = float("nan")
    assert numbers(Likeness(0.5, 0, 0.25, 0, 1)) == "rank correlation 0.50, SSIM 0.25"
    assert numbers(Likeness(0.5, 0, nan, 0, 1)) == "rank correlation 0.50"
    assert numbers(Likeness(nan, 0, nan, 0, 0)) == "none"


def test_units_have_names():
    maps = Layer(8, (4, 4), (1, 1), (3, 3), (-1, -1))
    assert unit_of(Selection("c", 0, 3, 1, 2), maps) == "unit 3 of c, row 1, column 2"
    assert unit_of(Selection("c", 0, [3, 4], 1, 2, group=0), maps) == "2 units of c together"
    linear = Layer(8, (1, 1), (0, 0), (9, 9), (0, 0))
    assert unit_of(Selection("fc", 0, 3, 0, 0), linear) == "unit 3 of fc"
