"""A tape is compared with its model before anything is shown; a broken one is caught by name."""

import copy
import random
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from deconvviz.deconv import Deconvnet, deconvnet
from deconvviz.deconv.table import TABLE
from deconvviz.deconv.table.activation import SmoothActivation
from deconvviz.deconv.table.convolution import Convolution
from deconvviz.deconv.tape import Call, Tape
from deconvviz.errors import SelfCheckError
from deconvviz.models import seed_cnn
from tests.deconv.comparing import fingerprint
from tests.deconv.networks import network
from tests.deconv.small_networks import (
    Branches,
    Counting,
    Functional,
    Gated,
    Plain,
    Residual,
    Varied,
)

aten = torch.ops.aten


class Wrong(SmoothActivation):
    """Right but for a hundredth where it is large."""

    def run(self, call: Call) -> tuple[Tensor, Tensor]:
        value, saved = super().run(call)
        return torch.where(value > 0.5, value * 1.01, value), saved


@pytest.mark.parametrize("make", [Functional, Residual, Branches, Gated])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_right_tape_passes(make: type[nn.Module], dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    checked = Deconvnet(make().to(dtype), (3, 12, 14)).checked
    assert checked.error < checked.tolerance
    assert checked.error < (1e-13 if dtype == torch.float64 else 1e-5)
    assert checked.left_out == ""
    assert "values equal the model's own" in str(checked)


def test_every_output_of_every_module_and_of_the_model_is_compared() -> None:
    checked = Deconvnet(Gated(), (3, 8, 8)).checked
    modules = ["stem", "block.0", "block.1", "block", "gate"]
    outputs = 3
    assert checked.values == len(modules) - 1 + outputs  # a container is its last module's output


@pytest.mark.parametrize("make", [Gated, lambda: nn.Sequential(Gated())])
def test_a_wrong_value_is_caught_and_its_operation_named(make, monkeypatch) -> None:
    monkeypatch.setitem(TABLE, aten.hardswish.default, Wrong())
    torch.manual_seed(0)
    with pytest.raises(
        SelfCheckError, match=r"and hardswish in .* \(small_networks.py:\d+\) is the"
    ):
        Deconvnet(make(), (3, 12, 12))


def test_the_first_of_two_wrong_operations_is_named(monkeypatch) -> None:
    class WrongConvolution(Convolution):
        def run(self, call: Call) -> tuple[Tensor, None]:
            return call.run().roll(1, dims=1), None

    monkeypatch.setitem(TABLE, aten.conv2d.default, WrongConvolution())
    monkeypatch.setitem(TABLE, aten.hardswish.default, Wrong())
    with pytest.raises(SelfCheckError, match="and conv2d in `stem` "):
        Deconvnet(Gated(), (3, 12, 12))


def test_a_tape_with_another_argument_is_caught(monkeypatch) -> None:
    """Less than a thousandth: another epsilon in the normalisation."""

    def simplify(tape: Tape) -> Tape:
        ops = [
            replace(op, arguments={**op.arguments, "eps": 2e-3}) if op.kind == "batch_norm" else op
            for op in tape.operations
        ]
        return replace(tape, operations=tuple(ops))

    monkeypatch.setattr(deconvnet, "simplify", simplify)
    with pytest.raises(SelfCheckError, match=r"and batch_norm in `block.1` "):
        Deconvnet(Gated(), (3, 12, 12))


def test_it_can_be_skipped_and_is_for_our_own_networks(monkeypatch) -> None:
    assert Deconvnet(Gated(), (3, 12, 12), check=False).checked is None
    assert Deconvnet(seed_cnn()).checked is None
    assert Deconvnet(seed_cnn(), check=True).checked.values > 10
    changed = seed_cnn()
    changed.stage1 = nn.Sequential(changed.stage1, Plain(functional.relu))
    assert Deconvnet(changed).checked is not None


def test_a_recording_of_another_size_is_preceded_by_a_comparison(monkeypatch) -> None:
    model = Gated()
    net = Deconvnet(model, (3, 12, 12))
    other = net.with_model(copy.deepcopy(model).double())
    monkeypatch.setitem(TABLE, aten.hardswish.default, Wrong())
    net.record(torch.randn(2, 3, 12, 12))  # was compared
    for refused in (
        lambda: net.record(torch.randn(2, 3, 12, 16)),
        lambda: next(net.stream(torch.randn(2, 3, 12, 16))),
        lambda: other.record(torch.randn(2, 3, 12, 12).double()),
    ):
        with pytest.raises(SelfCheckError, match="hardswish"):
            refused()


def test_it_costs_one_forward_pass_once(monkeypatch) -> None:
    model = Counting()
    unchecked = Counting.passes, Deconvnet(model, (3, 8, 8), check=False)
    traced = Counting.passes - unchecked[0]
    start = Counting.passes
    net = Deconvnet(model, (3, 8, 8))
    assert Counting.passes - start == traced + 1
    for images in (torch.randn(5, 3, 8, 8), torch.randn(2, 3, 8, 8)):
        net.record(images)
    assert Counting.passes - start == traced + 1
    for _ in range(2):
        net.record(torch.randn(2, 3, 9, 9))
        list(net.stream(torch.randn(2, 3, 9, 9)))
    assert Counting.passes - start == traced + 2
    list(net.with_model(model).stream(torch.randn(1, 3, 9, 9)))
    assert Counting.passes - start == traced + 3


class Writing(nn.Module):
    """Writes into a buffer and an attribute in every forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.register_buffer("seen", torch.zeros(4))
        self.count = 0

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv(x)
        self.count += 1
        self.seen = self.seen + h.mean((0, 2, 3))
        return h


def test_the_model_and_the_random_numbers_are_left_alone() -> None:
    model = network("average")
    model = copy.deepcopy(model).train()
    kept: list[Tensor] = []
    model[0].register_forward_hook(lambda _m, _i, output: kept.append(output))
    before, draws = fingerprint(model), torch.get_rng_state()
    net = Deconvnet(model, (3, 24, 40))
    net.record(torch.zeros(1, 3, 32, 32, dtype=torch.float64))
    assert fingerprint(model) == before
    assert torch.equal(torch.get_rng_state(), draws)
    assert not kept  # hooks are part of the model, and run on copies of what they hold


@pytest.mark.filterwarnings("ignore:The tensor attribute .* was assigned during export:UserWarning")
def test_what_a_forward_pass_writes_stays_in_a_copy() -> None:
    model = Writing()
    assert Deconvnet(model, (3, 8, 8)).checked.left_out == ""
    assert model.count == 0
    assert torch.equal(model.seen, torch.zeros(4))


def test_a_model_that_draws_is_compared_below_the_draw_and_nothing_is_drawn() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), Plain(lambda x: functional.dropout(x, 0.5, training=True))
    )
    draws = torch.get_rng_state()
    checked = Deconvnet(model, (3, 8, 8)).checked
    assert torch.equal(torch.get_rng_state(), draws)
    assert checked.values == 2
    assert "random numbers: bernoulli_ in `2`" in checked.left_out


def test_dropout_in_evaluation_form_draws_nothing() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(), nn.Dropout2d(), nn.RReLU())
    assert Deconvnet(model, (3, 8, 8)).checked.left_out == ""


def test_a_model_that_is_never_the_same_is_said_not_to_be_compared() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), Plain(lambda x: x * random.random()))
    checked = Deconvnet(model, (3, 8, 8)).checked
    assert checked.values == 0
    assert "gives another value on each run" in str(checked)


def test_a_size_that_the_head_does_not_take_is_compared_below_it() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 2))
    net = Deconvnet(model, (3, 8, 8))
    recording = net.record(torch.randn(1, 3, 9, 9), ["1"])
    assert recording["1"].shape == (1, 4, 7, 7)


def test_a_map_that_is_nothing_but_rounding_is_no_fault() -> None:
    """A constant map is zero once its mean is subtracted, but for rounding, which is enlarged."""
    constant = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Upsample((5, 5)))
    model = nn.Sequential(constant, nn.Conv2d(4, 4, 1), nn.InstanceNorm2d(4))
    assert Deconvnet(model, (3, 8, 8)).checked.left_out == ""


def test_a_model_without_values_is_not_compared() -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    assert Deconvnet(model, (3, 8, 8)).checked.values == 0


def test_every_way_to_pad_pool_scale_and_gate_passes_at_two_sizes() -> None:
    net = Deconvnet(Varied(), (5, 16, 20))
    net.record(torch.randn(1, 5, 19, 26))
    assert net.checked.left_out == ""
