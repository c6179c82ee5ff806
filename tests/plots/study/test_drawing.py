"""What all figures of a study share."""

from matplotlib.figure import Figure

from deconvviz.plots.study import drawing
from deconvviz.study import find_plan

ARMS = [arm.name for arm in find_plan("helps").arms]


def test_arms_of_the_question_never_change_their_style_and_no_two_share_one():
    alone = {arm: drawing.styles_of([arm])[arm] for arm in ARMS}
    assert drawing.styles_of(["kernel=3", *reversed(ARMS)]).items() >= alone.items()
    assert len({style.colour for style in alone.values()}) == len(ARMS)
    assert len({style.marker for style in alone.values()}) == len(ARMS)


def test_what_is_drawn_lies_within_the_limits():
    low, high = drawing.limits_of([], [0.03, None])
    assert low < 0
    assert high > 3


def test_a_title_is_written_as_it_is():
    axes = Figure().add_subplot()
    drawing.write_title(axes, "$5 and $6", "black")
    assert axes.get_title(loc="left") == "$5 and $6"
    assert not axes._left_title.get_parse_math()
