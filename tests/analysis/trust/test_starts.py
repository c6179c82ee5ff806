"""Other units and random starts: where they start and with what."""

import pytest
import torch
from torch import nn

from deconvviz.analysis.trust.checks import one_per_image, select_other_units, select_random_starts
from deconvviz.deconv import Deconvnet, Selection

PLACE = (3, 5)


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def recording():
    torch.manual_seed(0)
    net = Deconvnet(nn.Sequential(nn.Conv2d(3, 20, 3, padding=1), nn.ReLU()), (3, 8, 8))
    return net.record(torch.randn(2, 3, 8, 8), ["0", "1"])


def test_other_units_are_all_active_ones_but_itself(recording):
    active = recording["1"][0, :, *PLACE].nonzero().flatten().tolist()
    like = Selection("1", 0, active[0], *PLACE)
    others = select_other_units(recording, like, 1, 99, draws())
    assert sorted(others.channel.tolist()) == active[1:]
    assert len(others.group.unique()) == len(others) == len(active) - 1
    assert set(others.y.tolist()), set(others.x.tolist()) == ({3}, {5})
    some = select_other_units(recording, like, 1, 99, draws(), itself=True)
    assert sorted(some.channel.tolist()) == active


def test_at_most_so_many_and_each_seed_its_own(recording):
    like = Selection("1", 0, 0, *PLACE)
    few = [
        select_other_units(recording, like, 1, 3, draws(seed)).channel.tolist()
        for seed in (0, 0, 1)
    ]
    assert len(few[0]) == 3
    assert few[0] == few[1] != few[2]


@pytest.mark.parametrize("sign", [1, -1])
def test_all_start_with_the_sign_that_was_asked_for(recording, sign):
    others = select_other_units(recording, Selection("0", 0, 2, *PLACE), sign, 99, draws())
    assert len(others) == 19
    starts = recording.values(others) * others.weight
    assert (starts.sign() == sign).all()
    torch.testing.assert_close(starts.abs().float(), recording.values(others).abs())


def test_of_several_each_gives_way_to_another(recording):
    like = Selection("0", 0, [1, 4, 4], [3, 3, 2], [5, 5, 5], group=0, weight=[1, -2, 1])
    others = select_other_units(recording, like, 1, 99, draws())
    rows = others.channel.view(-1, 3)
    assert len(rows) == 19
    assert (rows != like.channel).all()
    assert torch.equal(rows[:, 1], rows[:, 2])
    assert (rows[:, 0] != rows[:, 1]).all()
    totals = (recording.values(others) * others.weight).view(-1, 3).sum(1)
    assert (totals > 0).all()
    assert torch.equal(others.y.view(-1, 3), like.y.expand(19, 3))


def test_a_layer_of_one_unit_has_no_others(identity, blob):
    recording = identity.record(blob[None], ["0"])
    assert len(select_other_units(recording, Selection("0", 0, 0, 1, 1), 1, 9, draws())) == 0


def test_random_starts_are_of_every_unit_and_positive(recording):
    like = Selection("1", 0, [1, 4, 4], [3, 3, 2], [5, 5, 5], group=0)
    starts = select_random_starts(recording, like, 4, draws())
    for group in range(4):
        rows = starts[starts.group == group]
        units = set(zip(rows.channel.tolist(), rows.y.tolist(), rows.x.tolist(), strict=True))
        assert len(rows) == 40
        assert units == {(c, y, 5) for c in range(20) for y in (2, 3)}
    assert ((starts.weight > 0) & (starts.weight < 1)).all()
    assert len(starts.weight.unique()) == 160


def test_once_an_image_is_the_same_start_in_each():
    like = Selection("1", 0, [1, 4], [3, 2], [5, 5], group=0, weight=[1, -2])
    every = one_per_image(like, 3)
    assert every.image.tolist() == every.group.tolist() == [0, 0, 1, 1, 2, 2]
    assert every.channel.tolist() == [1, 4] * 3
    assert every.weight.tolist() == [1, -2] * 3
