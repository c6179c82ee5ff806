"""The occluder covers what it says, and every pixel equally often."""

from itertools import pairwise

import pytest
import torch

from deconvviz.analysis.occlusion import Occluder, places
from deconvviz.errors import SettingError


@pytest.mark.parametrize(
    ("length", "side", "stride"), [(32, 8, 2), (31, 8, 4), (7, 7, 7), (10, 6, 1), (9, 3, 3)]
)
def test_every_pixel_is_covered_equally_often(length, side, stride):
    starts = places(length, side, stride).tolist()
    for pixel in range(length):
        assert sum(top <= pixel < top + side for top in starts) == side // stride
    assert all(top + side > 0 and top < length for top in starts)  # none covers nothing
    assert {b - a for a, b in pairwise(starts)} <= {stride}


def test_it_shows_its_shade_where_it_lies_and_the_picture_elsewhere():
    image = torch.rand(2, 9, 12) + 1
    shade = torch.tensor([-1.0, -2.0])[:, None, None]
    occluder = Occluder.on(image, shade, side=4, stride=2)
    covered = occluder.cover(image, slice(None))
    assert len(covered) == len(occluder) == len(occluder.tops) * len(occluder.lefts)
    corners = [(top, left) for top in occluder.tops.tolist() for left in occluder.lefts.tolist()]
    for one, (top, left) in zip(covered, corners, strict=True):
        expected = image.clone()
        expected[:, max(top, 0) : top + 4, max(left, 0) : left + 4] = shade
        assert torch.equal(one, expected)
    assert torch.equal(occluder.cover(image, slice(5, 8)), covered[5:8])


@pytest.mark.parametrize(
    ("size", "side", "stride"), [((32, 32), 8, 2), ((31, 90), 4, 1), ((8, 8), 4, 1)]
)
def test_it_is_a_quarter_of_the_picture_and_moves_by_a_quarter_of_itself(size, side, stride):
    occluder = Occluder.on(torch.zeros(1, *size), torch.zeros(1, 1, 1))
    assert (occluder.side, occluder.stride) == (side, stride)


@pytest.mark.parametrize(
    ("side", "stride", "says"), [(40, 4, "side must be from 1 to 32"), (8, 3, "got 3")]
)
def test_no_such_occluder_is_refused(side, stride, says):
    with pytest.raises(SettingError, match=says):
        Occluder.on(torch.zeros(1, 32, 32), torch.zeros(1, 1, 1), side, stride)
