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


def test_it_prints_as_a_table_of_its_rows() -> None:
    units = Selection("conv", 0, [1, 20, 3], 2, 3, group=[0, 0, 1], weight=[1, -0.5, 2])
    assert repr(units).splitlines() == [
        "Selection(3 units of `conv` in 2 groups)",
        "  image  channel  y  x  group  weight",
        "      0        1  2  3      0       1",
        "      0       20  2  3      0    -0.5",
        "      0        3  2  3      1       2",
    ]
    assert str(units) == repr(units)
    assert repr(units[:0]) == "Selection(0 units of `conv` in 0 groups)"
    assert repr(Selection("conv", 0, 1, 2, 3)).startswith("Selection(1 unit of `conv`)\n")


@pytest.mark.parametrize(("rows", "lines", "last"), [(10, 12, "9"), (64, 13, "… 54 more")])
def test_of_many_rows_it_prints_the_first_ten(rows: int, lines: int, last: str) -> None:
    printed = repr(Selection("conv", 0, 3, 4, range(rows))).splitlines()
    assert len(printed) == lines
    assert printed[11].split()[-1] == "9"
    assert printed[-1].endswith(last)


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
    ("columns", "reason"),
    [
        (([0, 1], [1, 2, 3], 0, 0), "2 of image, 3 of channel"),
        ((0, 1.5, 0, 0), "`channel` .* torch.float32"),
        ((0, 1, True, 0), "`y` .* torch.bool"),
        ((0, 1, 0, [[1, 2]]), r"`x` .* \(1, 2\)"),
        (("a", 1, 0, 0), "`image` .* 'a'"),
        ((0, 1, 0, None), "`x` .* None"),
    ],
)
def test_refusals(columns: tuple[object, ...], reason: str) -> None:
    with pytest.raises(SelectionError, match=reason):
        Selection("conv", *columns)
