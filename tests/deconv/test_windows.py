import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from deconvviz.deconv.geometry import Interval
from deconvviz.deconv.windows import Anchors, Windows, gather, inside

HEIGHT, WIDTH = 7, 9
moving = st.builds(Interval, st.sampled_from([1, 2]), st.integers(-3, 3), st.integers(1, 12))
fixed = st.builds(Interval, st.just(0), st.integers(-3, 3), st.integers(4, 12))  # never off the map
fields = st.tuples(moving | fixed, moving | fixed)


def at(windows: Windows, row: int, maps: Tensor) -> Tensor:
    """A window cut out slowly, position by position, zero outside the map."""
    height, width = windows.size
    top, left = int(windows.top[row]), int(windows.left[row])
    cut = torch.zeros(maps.shape[0], height, width)
    for y in range(height):
        for x in range(width):
            if 0 <= top + y < maps.shape[1] and 0 <= left + x < maps.shape[2]:
                cut[:, y, x] = maps[:, top + y, left + x]
    return cut


def anchors() -> Anchors:
    return Anchors(torch.tensor([1, 0, 1]), torch.tensor([0, 2, 6]), torch.tensor([8, 1, 3]))


@settings(deadline=None)
@given(fields)
def test_reading_is_right_wherever_the_map_is(field: tuple[Interval, Interval]) -> None:
    maps = torch.rand(2, 3, HEIGHT, WIDTH)
    windows = Windows(anchors(), field)
    on_map = inside(windows.top, windows.left, windows.size, (HEIGHT, WIDTH))
    read = windows.read(maps) * on_map
    for row, image in enumerate(windows.anchors.image):
        assert torch.equal(read[row], at(windows, row, maps[image]))


@settings(deadline=None)
@given(fields, fields)
def test_moving_keeps_every_position_in_its_place(
    source: tuple[Interval, Interval], other: tuple[Interval, Interval]
) -> None:
    target = tuple(
        a.clip(length).join(b.clip(length), length)
        for a, b, length in zip(source, other, (HEIGHT, WIDTH), strict=True)
    )
    maps = torch.rand(2, 3, HEIGHT, WIDTH)
    here, there = Windows(anchors(), source), Windows(anchors(), target)
    signal = torch.ones(3, 3, *here.size)  # not zero outside the map, as a convolution leaves it
    on_map = inside(here.top, here.left, here.size, (HEIGHT, WIDTH))
    signal = torch.where(on_map, here.read(maps), signal)
    moved = here.move(signal, there, (1, 3, HEIGHT, WIDTH))
    for row, image in enumerate(here.anchors.image):
        seen = torch.zeros(3, HEIGHT, WIDTH)
        top, left = int(here.top[row]), int(here.left[row])
        ys = slice(max(top, 0), max(top + here.size[0], 0))
        xs = slice(max(left, 0), max(left + here.size[1], 0))
        seen[:, ys, xs] = maps[image][:, ys, xs]
        assert torch.equal(moved[row], at(there, row, seen))


def test_values_without_positions_are_taken_whole() -> None:
    values = torch.rand(2, 5)
    assert torch.equal(Windows(anchors(), None).read(values), values[[1, 0, 1]])
    assert Windows(anchors(), None).move(values, Windows(anchors(), None), (1, 5)) is values


def test_gather_keeps_compact_dtypes() -> None:
    switches = torch.arange(2 * 3 * 4 * 5, dtype=torch.uint8).view(2, 3, 4, 5)
    rows, corner = torch.tensor([1]), torch.tensor([1])
    cut = gather(switches, rows, corner, corner, (2, 3))
    assert torch.equal(cut, switches[1:, :, 1:3, 1:4])
    assert cut.dtype == torch.uint8
