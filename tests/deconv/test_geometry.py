from hypothesis import given
from hypothesis import strategies as st

from deconvviz.deconv.geometry import HERE, Interval, Step, receptive_fields, windows_below

reaches = st.builds(Interval, st.integers(0, 3), st.integers(-4, 4), st.integers(1, 5))
moving = st.builds(Interval, st.integers(1, 3), st.integers(-4, 4), st.integers(1, 5))
positions = st.integers(-5, 20)


def span(reach: Interval, at: int) -> set[int]:
    first = reach.stride * at + reach.offset
    return set(range(first, first + reach.size))


@given(moving, moving, positions)
def test_composition_covers_what_is_reached_through_the_middle(
    upper: Interval, lower: Interval, at: int
) -> None:
    reached = set().union(*(span(lower, middle) for middle in span(upper, at)))
    whole = span(upper.then(lower), at)
    assert reached <= whole
    assert {min(reached), max(reached)} == {min(whole), max(whole)}


@given(reaches, reaches, st.integers(1, 30), positions)
def test_join_covers_both_inside_the_map(a: Interval, b: Interval, length: int, at: int) -> None:
    inside = set(range(length))
    assert (span(a, at) | span(b, at)) & inside <= span(a.join(b, length), at)


@given(reaches, st.integers(1, 30), positions)
def test_clip_keeps_what_is_inside_the_map(reach: Interval, length: int, at: int) -> None:
    inside = set(range(length))
    assert span(reach, at) & inside <= span(reach.clip(length), at)
    assert reach.clip(length).size <= max(reach.size, length)


# 5x5 convolution, 2x2 pooling, and a second branch of a 3x3 convolution with stride 2 beside it.
STEPS = [
    Step("conv", ("image",), (Interval(1, -2, 5), Interval(1, -2, 5))),
    Step("pool", ("conv",), (Interval(2, 0, 2), Interval(2, 0, 2))),
    Step("side", ("image",), (Interval(2, -1, 3), Interval(2, -1, 3))),
    Step("sum", ("pool", "side"), HERE),
    Step("flat", ("sum",), None),
]
SHAPES = {
    "image": (1, 3, 32, 20),
    "conv": (1, 4, 32, 20),
    "pool": (1, 4, 16, 10),
    "side": (1, 4, 16, 10),
    "sum": (1, 4, 16, 10),
    "flat": (1, 640),
}


def test_receptive_fields_are_hulls_over_all_paths() -> None:
    fields = receptive_fields(STEPS, "image", SHAPES)
    assert fields["image"] == HERE
    assert fields["pool"] == (Interval(2, -2, 6), Interval(2, -2, 6))
    assert fields["sum"] == fields["pool"]
    assert fields["flat"] == (Interval(0, 0, 32), Interval(0, 0, 20))


def test_the_window_of_one_unit_in_the_image_is_its_receptive_field() -> None:
    fields = receptive_fields(STEPS, "image", SHAPES)
    below = {"conv": STEPS[:1], "pool": STEPS[:2], "side": STEPS[2:3], "sum": STEPS[:4]}
    for top, steps in below.items():
        assert windows_below(steps, {top: HERE}, SHAPES)["image"] == fields[top]


def test_windows_of_a_mixing_operation_are_whole_maps() -> None:
    windows = windows_below(STEPS, {"flat": None}, SHAPES)
    assert windows["flat"] is None
    assert windows["sum"] == (Interval(0, 0, 16), Interval(0, 0, 10))
    assert windows["image"] == (Interval(0, 0, 32), Interval(0, 0, 20))


def test_a_window_as_long_as_the_map_is_the_map() -> None:
    start = (Interval(1, 0, 8), Interval(1, 0, 17))
    windows = windows_below(STEPS[:1], {"conv": start}, SHAPES)
    assert windows["image"] == (Interval(1, -2, 12), Interval(0, 0, 20))


def test_the_window_of_one_place_is_what_of_it_lies_on_the_map() -> None:
    corner = (HERE[0].at(0), HERE[1].at(9))
    windows = windows_below(STEPS[:2], {"pool": corner}, SHAPES)
    assert windows["pool"] == (Interval(0, 0, 1), Interval(0, 9, 1))
    assert windows["conv"] == (Interval(0, 0, 2), Interval(0, 18, 2))
    assert windows["image"] == (Interval(0, 0, 4), Interval(0, 16, 4))


def test_a_fixed_window_beside_the_map_keeps_one_position() -> None:
    assert Interval(0, -3, 2).clip(5) == Interval(0, 0, 1)
    assert Interval(0, 7, 2).clip(5) == Interval(0, 4, 1)
