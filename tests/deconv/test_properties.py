"""What must be true of every projection, whatever the units."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from deconvviz.deconv import Deconvnet, Recording, Selection
from tests import oracle
from tests.deconv.comparing import RULES
from tests.deconv.networks import deconvnet, images_for, network

COLUMNS = st.tuples(
    st.integers(0, 1), st.integers(0, 63), st.integers(0, 5), st.integers(0, 9), st.integers(0, 3)
)
PROPERTY_LAYER = "2.5"  # of "average": stride 4, and its windows reach over every edge


def property_case() -> tuple[Deconvnet, Recording]:
    net = deconvnet("average")
    return net, net.record(images_for("average"), [PROPERTY_LAYER, "2.3"])


def selected(rows: list[tuple[int, ...]], layer: str = PROPERTY_LAYER) -> Selection:
    image, channel, y, x, _ = zip(*rows, strict=True)
    return Selection(layer, image, channel, y, x)


@settings(max_examples=10, deadline=None)
@given(rows=st.lists(COLUMNS, min_size=1, max_size=6), rule=st.sampled_from(RULES))
def test_one_call_equals_one_call_a_unit(rows: list[tuple[int, ...]], rule: str) -> None:
    net, recording = property_case()
    units = selected(rows)
    together = net.project(recording, units, rule, start="one").full()
    alone = [net.project(recording, unit, rule, start="one").full() for unit in units]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-10, atol=1e-14)


@settings(max_examples=10, deadline=None)
@given(rows=st.lists(COLUMNS, min_size=1, max_size=8, unique=True), rule=st.sampled_from(RULES))
def test_a_group_starts_together(rows: list[tuple[int, ...]], rule: str) -> None:
    net, recording = property_case()
    rows = list({row[:4]: row for row in rows}.values())
    group = [row[4] * 2 + row[0] for row in rows]  # never two images in one
    one = selected(rows)
    units = Selection(one.layer, one.image, one.channel, one.y, one.x, group)
    projection = net.project(recording, units, rule)
    numbers = sorted(set(group))
    assert len(projection) == len(numbers)

    def start(value: Tensor) -> Tensor:
        begin = torch.zeros_like(value)
        for row, number in zip(rows, group, strict=True):
            _, c, y, x, _ = row
            begin[numbers.index(number), c, y, x] = value[numbers.index(number), c, y, x]
        return begin

    images = images_for("average")[projection.image]
    truth = oracle.plain(network("average"), images, PROPERTY_LAYER, start, rule).detach()
    torch.testing.assert_close(projection.full(), truth, rtol=1e-10, atol=1e-12)


@settings(max_examples=10, deadline=None)
@given(row=COLUMNS, rule=st.sampled_from(RULES))
def test_a_window_is_the_crop_of_the_full_map(row: tuple[int, ...], rule: str) -> None:
    net, recording = property_case()
    unit = selected([row], "2.3")
    projection = net.project(recording, unit, rule, start="one")

    def start(value: Tensor) -> Tensor:
        return oracle.units_at(value, torch.tensor([0]), unit.channel, unit.y, unit.x, "one")

    image = images_for("average")[unit.image]
    truth = oracle.plain(network("average"), image, "2.3", start, rule).detach()
    height, width = projection.pixels.shape[2:]
    padded = nn.functional.pad(truth, (width, width, height, height))
    top, left = int(projection.boxes[0, 0]) + height, int(projection.boxes[0, 1]) + width
    crop = padded[:, :, top : top + height, left : left + width]
    torch.testing.assert_close(projection.pixels, crop, rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(projection.full(), truth, rtol=1e-10, atol=1e-14)


SHIFTED = [
    *(("maximum", layer) for layer in ("0.5", "1.2", "1.6", "2.5")),
    *(("odd", layer) for layer in ("2", "3", "5", "7")),
    *(("resnet", layer) for layer in ("layer1.0.bn1", "layer2.0")),
    ("densenet", "features.denseblock1.denselayer2.conv2"),
]


@settings(max_examples=20, deadline=None)
@given(
    place=st.sampled_from(SHIFTED),
    rule=st.sampled_from(RULES),
    steps=st.tuples(st.integers(-2, 2), st.integers(-2, 2)),
    channel=st.integers(0, 5),
)
def test_a_shift_by_strides_moves_the_window_by_as_much(
    place: tuple[str, str], rule: str, steps: tuple[int, int], channel: int
) -> None:
    """Where no edge of the picture is in sight."""
    family, layer = place
    net = deconvnet(family)
    info, size = net.layers[layer], (120, 112)
    torch.manual_seed(0)
    picture = torch.randn(1, images_for(family).shape[1], *size, dtype=torch.float64)
    shift = tuple(n * stride for n, stride in zip(steps, info.stride, strict=True))
    middle = [
        (length // 2 - field // 2 - offset) // stride
        for length, field, offset, stride in zip(
            size, info.receptive_field, info.offset, info.stride, strict=True
        )
    ]
    moved = [position + n for position, n in zip(middle, steps, strict=True)]
    here, there = (
        net.project(net.record(images, [layer]), Selection(layer, 0, channel, *at), rule, "one")
        for images, at in ((picture, middle), (picture.roll(shift, dims=(2, 3)), moved))
    )
    assert here.boxes.min() >= 0
    assert there.boxes.min() >= 0
    assert torch.equal(there.boxes, here.boxes + torch.tensor([*shift, *shift]))
    torch.testing.assert_close(here.pixels, there.pixels, rtol=1e-10, atol=1e-14)


TINY = 1e-300  # below it float64 loses digits
WEIGHTS = st.lists(st.floats(-3, 3), min_size=4, max_size=4)


def weighted(layer: str, weights: list[float]) -> Selection:
    """Three neighbours, and one far from them, start together."""
    y, x = [2, 2, 3, 5], [4, 5, 4, 9]
    return Selection(layer, 1, [0, 3, 3, 7], y, x, group=0, weight=weights)


@settings(max_examples=10, deadline=None)
@given(weights=WEIGHTS, place=st.sampled_from([("2.3", "gradient"), *(("0.1", r) for r in RULES)]))
def test_linear_where_nothing_is_rectified(weights: list[float], place: tuple[str, str]) -> None:
    """Under the gradient everywhere, under every rule below the first activation."""
    layer, rule = place
    net = deconvnet("average")
    recording = net.record(images_for("average"), [layer])
    together = weighted(layer, weights)
    alone = Selection(layer, together.image, together.channel, together.y, together.x)
    pictures = net.project(recording, alone, rule).full()
    sum_of_all = (together.weight[:, None, None, None] * pictures).sum(0, keepdim=True)
    joint = net.project(recording, together, rule).full()
    torch.testing.assert_close(joint, sum_of_all, rtol=1e-10, atol=1e-12)


@settings(max_examples=10, deadline=None)
@given(weights=WEIGHTS, times=st.floats(0.01, 100), rule=st.sampled_from(RULES))
def test_a_start_that_is_times_as_strong_gives_a_picture_that_is(
    weights: list[float], times: float, rule: str
) -> None:
    net, recording = property_case()
    once = net.project(recording, weighted("2.3", weights), rule).pixels
    stronger = weighted("2.3", [times * weight for weight in weights])
    scale = float(once.abs().max()) * times
    torch.testing.assert_close(
        net.project(recording, stronger, rule).pixels,
        once * times,
        rtol=0,
        atol=1e-12 * scale + TINY,
    )


@pytest.mark.parametrize("rule", RULES)
def test_a_zero_start_gives_exactly_zero(rule: str) -> None:
    net, recording = property_case()
    dead = (recording[PROPERTY_LAYER] == 0).nonzero()[:5].T
    projection = net.project(recording, Selection(PROPERTY_LAYER, *dead), rule)
    assert torch.equal(projection.pixels, torch.zeros_like(projection.pixels))


def test_a_negative_activation_keeps_its_sign() -> None:
    net, recording = property_case()
    maps = recording["2.3"]
    _, channel, y, x = (maps == maps[0].min()).nonzero()[0].tolist()
    unit = Selection("2.3", 0, channel, y, x)
    own, one = (
        net.project(recording, unit, "gradient", start).pixels for start in ("activation", "one")
    )
    torch.testing.assert_close(own, one * maps[0].min(), rtol=1e-10, atol=1e-14)
    assert maps[0].min() < 0
