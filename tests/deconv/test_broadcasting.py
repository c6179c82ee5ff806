"""Operands of different shapes: every branch gets its signal in its own shape."""

from collections.abc import Callable, Iterable
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from deconvviz.deconv import Deconvnet, Selection
from tests import oracle
from tests.deconv.comparing import RULES, by_oracle, deviation, some_units

Join = Callable[[Tensor, Tensor], Tensor]


class Joined(nn.Module):
    """Two branches, of which each is a map, or one number along some axes."""

    def __init__(self, axes: tuple[int, ...], other_axes: tuple[int, ...]) -> None:
        super().__init__()
        self.axes, self.other_axes = axes, other_axes
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU())
        self.one = nn.Conv2d(6, 6, 3, padding=1)
        self.other = nn.Conv2d(6, 6, 1)
        self.factor = nn.Parameter(torch.randn(6, 1, 1))
        self.last = nn.ModuleDict({name: nn.Conv2d(6, 4, 3, padding=1) for name in JOINS})

    def forward(self, x: Tensor) -> list[Tensor]:
        h = self.stem(x)
        one, other = self.one(h), self.other(h)
        one = one.mean(self.axes, keepdim=True) if self.axes else one
        other = other.mean(self.other_axes, keepdim=True) if self.other_axes else other
        # Large enough to have positions, whatever the branches are.
        return [last(JOINS[n](one, other) + self.factor * h) for n, last in self.last.items()]


JOINS: dict[str, Join] = {
    "sum": lambda a, b: a + b,
    "difference": lambda a, b: torch.sub(a, b, alpha=2),
    "gate": lambda a, b: a * torch.sigmoid(b),
    "gate_first": lambda a, b: torch.sigmoid(a) * b,
}


def check(model: nn.Module, layers: Iterable[str], size: tuple[int, int, int]) -> None:
    model, images = model.double().eval(), torch.randn(2, *size, dtype=torch.float64)
    net = Deconvnet(model, size)
    for layer, rule in product(layers, RULES):
        recording = net.record(images, [layer])
        units = some_units(recording, layer)
        truth = by_oracle(oracle.autograd, model, images, units, rule)
        ours = net.project(recording, units, rule).full()
        assert deviation(ours, truth) < 1e-10, (layer, rule)
        alone = net.project(recording, units[:1], rule).full()  # in a window of its own
        assert deviation(alone, truth[:1]) < 1e-10, (layer, rule)


@pytest.mark.parametrize("other_axes", [(), (1,), (3,), (2, 3)], ids=str)
@pytest.mark.parametrize("axes", [(), (2,), (2, 3), (1, 3)], ids=str)
def test_two_branches_of_any_shapes(axes: tuple[int, ...], other_axes: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    check(Joined(axes, other_axes), [f"last.{join}" for join in JOINS], (3, 13, 17))


class Widths(nn.Module):
    """A matrix of one column, with one of many."""

    def __init__(self, join: Join) -> None:
        super().__init__()
        self.join = join
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.one, self.many, self.last = nn.Linear(6, 1), nn.Linear(6, 5), nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x).flatten(1)
        return self.last(self.join(self.one(h), self.many(h)))


@pytest.mark.parametrize("join", JOINS)
def test_matrices_of_different_widths(join: str) -> None:
    torch.manual_seed(0)
    check(Widths(JOINS[join]), ["last"], (3, 9, 9))


class Weighed(nn.Module):
    """A small map, times weights of its own for every channel and position."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU())
        self.weight = nn.Parameter(torch.randn(6, 7, 7))
        self.last = nn.Conv2d(6, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x).mean((2, 3), keepdim=True)
        return self.last(h * self.weight + self.weight)


def test_a_small_map_times_larger_weights() -> None:
    torch.manual_seed(0)
    check(Weighed(), ["last"], (3, 9, 9))


@pytest.mark.parametrize(("weight", "times"), [([1, -1], 0), ([1, 1], 2), ([0.5, 2], 2.5)])
@pytest.mark.parametrize("layer", ["stem.1", "last"])
def test_a_unit_that_stands_twice_in_a_group_adds_up(
    layer: str, weight: list[float], times: float
) -> None:
    torch.manual_seed(0)
    net = Deconvnet(Widths(JOINS["sum"]).double(), (3, 9, 9))
    recording = net.record(torch.randn(1, 3, 9, 9, dtype=torch.float64), [layer])
    unit = recording.strongest(layer, 1)
    twice = Selection(
        layer, 0, unit.channel.repeat(2), unit.y.repeat(2), unit.x.repeat(2), group=0, weight=weight
    )
    ours, alone = net.project(recording, twice).pixels, net.project(recording, unit).pixels
    torch.testing.assert_close(ours, alone * times)
    assert alone.abs().max() > 0
