import dataclasses

import numpy as np
import pytest
import torch

from deconvviz.deconv import Selection
from deconvviz.errors import SelectionError


@pytest.mark.parametrize(
    "channel", [[4, 5], (4, 5), range(4, 6), torch.tensor([4, 5]), np.array([4, 5], dtype=np.int32)]
)
def test_columns_of_any_kind(channel: object) -> None:
    units = Selection("conv", 0, channel, [1, 2], 3)
    assert len(units) == 2
    for name, column in {"image": [0, 0], "channel": [4, 5], "y": [1, 2], "x": [3, 3]}.items():
        held = getattr(units, name)
        assert held.tolist() == column
        assert held.dtype == torch.int64
    assert units.group is None


def test_lengths() -> None:
    assert len(Selection("conv", 0, 1, 2, 3)) == 1
    assert len(Selection("conv", [], [], [], [])) == 0
    assert len(Selection("conv", 0, [], 0, 0)) == 0


def test_rows_can_be_chosen() -> None:
    units = Selection("conv", [0, 0, 1], [4, 5, 6], 2, 3, group=[1, 1, 2])
    assert units[1].channel.tolist() == [5]
    assert units[1:].group.tolist() == [1, 2]
    assert units[torch.tensor([True, False, True])].channel.tolist() == [4, 6]
    assert [int(unit.channel) for unit in units] == [4, 5, 6]


def test_repr_tells_how_many() -> None:
    assert repr(Selection("conv", 0, 1, 2, 3)) == "Selection(1 unit of `conv`)"
    units = Selection("conv", 0, [1, 2, 3], 2, 3, group=[0, 0, 1])
    assert repr(units) == "Selection(3 units of `conv` in 2 groups)"


def test_it_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Selection("conv", 0, 1, 2, 3).layer = "other"


def test_weights_are_numbers_of_their_own_and_follow_their_rows() -> None:
    units = Selection("fc", 0, [1, 2, 3], 0, 0, group=0, weight=[1, -0.5, 0])
    assert units.weight is not None
    assert units[1:].weight.tolist() == [-0.5, 0]
    assert Selection("fc", 0, [1, 2], 0, 0, weight=2).weight.tolist() == [2, 2]
    for wrong in (float("nan"), "a", [[1.0]]):
        with pytest.raises(SelectionError, match="`weight` must"):
            Selection("fc", 0, 1, 0, 0, weight=wrong)
    with pytest.raises(SelectionError, match="2 of weight"):
        Selection("fc", 0, [1, 2, 3], 0, 0, weight=[1, 2])


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (([0, 1], [1, 2, 3], 0, 0), "equally many of each, but there are 2 of image, 3 of channel"),
        ((0, 1.5, 0, 0), "`channel` must hold integers, but it holds torch.float32"),
        ((0, 1, True, 0), "`y` must hold integers, but it holds torch.bool"),
        ((0, 1, 0, [[1, 2]]), r"`x` must be one row of integers, not \(1, 2\)"),
        (("a", 1, 0, 0), "`image` must hold integers, but it is 'a'"),
        ((0, 1, 0, None), "`x` must hold integers, but it is None"),
    ],
)
def test_refusals(columns: tuple[object, ...], told: str) -> None:
    with pytest.raises(SelectionError, match=told):
        Selection("conv", *columns)
