"""What is put on the tape as one operation: the same values, in plainer operations."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from deconvviz.deconv import Deconvnet
from deconvviz.deconv.export import trace
from deconvviz.deconv.ops import channel_linear, channel_norm, gated
from deconvviz.deconv.passes import simplify
from deconvviz.deconv.table import TABLE
from deconvviz.deconv.tape import Operation, Ref, Tape
from tests import oracle
from tests.deconv.comparing import RULES, by_oracle, deviation, run, some_units
from tests.deconv.networks import deconvnet, images_for, network
from tests.deconv.small_networks import Plain

aten = torch.ops.aten


class Mixing(nn.Module):
    """Everything that a pass rewrites once, and what only looks like it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.LayerNorm(8)
        self.wide = nn.Linear(8, 16)
        self.back = nn.Linear(16, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        first, _, third = x.split([2, 3, 3], dim=1)
        x = torch.cat([third, x.chunk(4, dim=1)[-1], first, x.split(5, dim=1)[1][:, :1]], dim=1)
        x = x * torch.sigmoid(x) + x * functional.hardsigmoid(x)
        x = torch.sigmoid(x.mean((2, 3), keepdim=True)).expand_as(x) * x
        last = x.permute(0, 2, 3, 1)
        last = self.back(functional.gelu(self.wide(self.norm(last)))) + last
        rows = last.cumsum(dim=-1)  # knows nothing of channels first
        return torch.add(last, rows).permute(0, 3, 1, 2) * x.cumsum(dim=1)


def both(model: nn.Module, size: tuple[int, int, int]) -> tuple[Tape, Tape]:
    tape = trace(model, size)
    return tape, simplify(tape)


@pytest.mark.parametrize("shape", [(1, 3, 16, 16), (3, 3, 21, 10)])
def test_the_values_are_the_models(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    model = Mixing().double().eval()
    _, tape = both(model, (3, 16, 16))
    images = torch.randn(*shape, dtype=torch.float64)
    torch.testing.assert_close(run(tape, model, images), model(images), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "family",
    [
        "convnext",
        pytest.param("mobilenet_v3", marks=pytest.mark.slow),
        pytest.param("shufflenet_v2", marks=pytest.mark.slow),
    ],
)
def test_families_keep_their_values(family: str) -> None:
    tape, model, images = deconvnet(family)._tape, network(family), images_for(family)
    torch.testing.assert_close(run(tape, model, images), model(images), rtol=1e-10, atol=1e-12)


def test_each_pattern_is_found_and_nothing_else() -> None:
    _, after = both(Mixing(), (3, 16, 16))
    kinds = [op.kind for op in after.operations]
    assert kinds.count("silu") == kinds.count("activation") == 1
    assert kinds.count("gated") == 1
    assert kinds.count("channel_linear") == 2
    assert kinds.count("channel_norm") == 1
    assert not {"split", "split_with_sizes", "chunk", "getitem", "hardsigmoid"} & set(kinds)
    assert kinds.count("permute") == 2  # for the sum that cannot be read otherwise, and back


@pytest.mark.parametrize(
    ("function", "kinds"),
    [
        (lambda x: x * torch.sigmoid(x), ["silu"]),
        (lambda x: torch.sigmoid(x) * x, ["silu"]),
        (lambda x: x / (1 + torch.exp(-x)), ["silu"]),
        (lambda x: x * torch.sigmoid(2 * x), ["activation"]),
        (lambda x: x.relu() * torch.sigmoid(x), ["relu", "sigmoid", "gated"]),
        (lambda x: x * functional.relu6(x + 3) / 6, ["activation"]),
        (lambda x: x * (x > 0), ["relu"]),
        (lambda x: torch.where(x > 0, x, 0.0), ["relu"]),
        (lambda x: torch.maximum(x, torch.zeros_like(x)), ["relu"]),
        (lambda x: 1 / (1 + torch.exp(-x)), ["sigmoid", "mul"]),
        (lambda x: x.sign() * x.abs().relu(), ["clone"]),
        (lambda x: x + x.relu(), ["relu", "add"]),
        (lambda x: x * x.mean((2, 3), keepdim=True).tanh(), ["mean", "tanh", "gated"]),
        (lambda x: x * (x.mean((2, 3), keepdim=True) > 0), ["mean", "gt", "masked"]),
        (lambda x: x * x.mean((2, 3), keepdim=True), ["mean", "gated"]),
        (lambda x: x / x.std((2, 3), keepdim=True), ["std", "reciprocal", "gated"]),
        (lambda x: x * x.roll(1, 2).relu(), ["roll", "relu", "mul"]),
        (lambda x: x / x.exp().mean(1, keepdim=True).relu(), ["exp", "mean", "relu", "div"]),
        (lambda x: torch.stack([x, 2 * x]).sum(0), ["mul", "stack", "sum"]),
        (lambda x: x * x, ["square"]),
        (lambda x: x * x.softmax(1), ["softmax", "mul"]),
        (lambda x: x * 3, ["mul"]),
        (lambda x: x.clamp(min=0).clamp_min_(0), ["relu", "relu"]),
        (lambda x: functional.threshold(x, 0, 0), ["relu"]),
        (lambda x: functional.threshold(x, 0, 1), ["threshold"]),
        (lambda x: x.clamp(0, 3).clamp(max=0).clamp_min(1), ["clamp", "clamp", "clamp_min"]),
        (lambda x: x.permute(0, 2, 3, 1).relu().permute(0, 3, 1, 2), ["relu"]),
        (lambda x: x.permute(0, 2, 3, 1), ["permute"]),
        (lambda x: x.split(2, dim=1)[0] + x.chunk(2, dim=1)[1], ["slice", "slice", "add"]),
        (lambda x: x.split(2, dim=2)[0], ["split"]),
        (lambda x: x[:, 2].unsqueeze(1) * 2, ["slice", "slice", "mul"]),
        (lambda x: x.select(1, 2).unsqueeze(2), ["select", "unsqueeze"]),
        (lambda x: x.select(2, 2).unsqueeze(1), ["select", "unsqueeze"]),
    ],
)
def test_what_becomes_of_a_function(function: Callable[[Tensor], Tensor], kinds: list[str]) -> None:
    model = Plain(function)
    _, tape = both(model, (4, 6, 6))
    assert [op.kind for op in tape.operations] == kinds
    images = torch.randn(2, 4, 6, 6)
    torch.testing.assert_close(run(tape, model, images), model(images))


def permuted(target: object, arguments: dict[str, object]) -> Tape:
    """An operation between a transposition to channels-last and one back."""
    permute, last, first = aten.permute.default, (5, 6, 4), (4, 5, 6)
    to_last = {"self": Ref("x"), "dims": (0, 2, 3, 1)}
    to_first = {"self": Ref("op"), "dims": (0, 3, 1, 2)}
    operations = (
        Operation("last", permute, to_last, ("x",), (), last),
        Operation("op", target, arguments, ("last",), (), last),
        Operation("first", permute, to_first, ("op",), (), first),
        Operation("end", aten.neg.default, {"self": Ref("first")}, ("first",), (), first),
    )
    return Tape(operations, "x", first, {}, {}, {}, {}, fixed_size=False, multiple=1, guards=())


@pytest.mark.parametrize(
    "target",
    [t for t, row in TABLE.items() if row.elementwise and isinstance(t, torch._ops.OpOverload)],
    ids=str,
)
def test_every_elementwise_row_runs_channels_first(target: torch._ops.OpOverload) -> None:
    required = {"threshold": 0.3, "value": -1.0, "p": 0.5, "train": False, "min": 0.1}
    required |= {"dtype": torch.float64, "exponent": 0.5}
    first, *rest = target._schema.arguments
    arguments = {a.name: required.get(a.name, a.default_value) for a in rest}
    before = permuted(target, {first.name: Ref("last"), **arguments})
    after = simplify(before)
    assert [op.target for op in after.operations] == [target, aten.neg.default]
    images = torch.randn(2, 4, 5, 6, dtype=torch.float64)
    model = nn.Identity()
    torch.testing.assert_close(
        run(after, model, images), run(before, model, images), rtol=0, atol=0, equal_nan=True
    )


def test_slopes_along_an_axis_stay_on_that_axis() -> None:
    model = Plain(lambda x: slopes(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) * 2)
    model.slopes = slopes = nn.PReLU(5)  # of the rows, which are axis 1 of channels-last maps
    nn.init.normal_(slopes.weight)
    _, tape = both(model, (4, 5, 6))
    images = torch.randn(2, 4, 5, 6)
    torch.testing.assert_close(run(tape, model, images), model(images))


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_networks_that_change_the_units_of_their_input_are_covered(name: str) -> None:
    """As torchvision's do with its own weights; random ones leave that out."""
    from torchvision.models import get_model

    with torch.device("meta"):
        change = get_model(name, weights=None, init_weights=False, transform_input=True)
    model = Plain(change._transform_input)
    _, tape = both(model, (3, 8, 8))
    assert {op.kind for op in tape.operations} == {"slice", "mul", "add", "cat"}
    images = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(run(tape, model, images), model(images))


def test_what_is_rewritten_keeps_its_line() -> None:
    before, after = both(Mixing(), (3, 16, 16))
    lines = {op.name: op.line for op in before.operations}
    assert all(lines.values())
    for op in after.operations:
        if not op.name.endswith("_last"):  # a transposition that nobody wrote
            assert op.line == lines[op.name.removesuffix("_first")]


def test_operations_of_our_own_are_what_they_say() -> None:
    maps, weight, bias = torch.randn(2, 4, 5, 6), torch.randn(7, 4), torch.randn(7)
    expected = functional.conv2d(maps, weight[:, :, None, None], bias)
    torch.testing.assert_close(channel_linear(maps, weight, bias), expected)
    normed = channel_norm(maps, None, None)
    torch.testing.assert_close(normed.mean(1), torch.zeros(2, 5, 6), atol=1e-6, rtol=0)
    torch.testing.assert_close(gated(maps, maps[:, :, :1, :1]), maps * maps[:, :, :1, :1])


class NormThenBlock(nn.Module):
    """Channels normalised last, and after that a block of its own that is channels last."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 6, 3), nn.LayerNorm(6)
        self.wide, self.last = nn.Linear(6, 6), nn.Conv2d(6, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(self.stem(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        h = functional.gelu(self.wide(h.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)
        return self.last(h)


@pytest.mark.parametrize("rule", RULES)
def test_a_norm_before_a_channels_last_block_equals_the_autograd_oracle(rule: str) -> None:
    torch.manual_seed(0)
    model, images = NormThenBlock().double(), torch.randn(2, 3, 12, 15, dtype=torch.float64)
    net = Deconvnet(model, (3, 12, 15))
    recording = net.record(images, ["last"])
    units = some_units(recording, "last")
    truth = by_oracle(oracle.autograd, model, images, units, rule)
    assert deviation(net.project(recording, units, rule).full(), truth) < 1e-10
