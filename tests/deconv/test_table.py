"""Every row of the table is the adjoint of its forward pass."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from deconvviz.deconv import ops
from deconvviz.deconv.table import TABLE, refusal, row_of
from deconvviz.deconv.tape import Call, Operation, Ref
from tests.deconv.cases import CASES

aten = torch.ops.aten
seeds = st.integers(0, 2**31 - 1)


def call_of(target: Any, given_: dict[str, Any], varying: list[str]) -> Call:
    """A call as the tape would hold it; the arguments in `varying` depend on the images."""
    arguments = given_
    if isinstance(target, torch._ops.OpOverload):  # names that it does not have are left out
        arguments = {a.name: given_.get(a.name, a.default_value) for a in target._schema.arguments}
    if varying == ["tensors"]:
        refs = tuple(Ref(f"x{i}") for i in range(len(arguments["tensors"])))
        raw, inputs = {**arguments, "tensors": refs}, tuple(ref.name for ref in refs)
    else:
        raw = {n: Ref(n) if n in varying else a for n, a in arguments.items()}
        inputs = tuple(varying)
    return Call(Operation("op", target, raw, inputs, (), None), arguments)


def inputs_of(call: Call, varying: list[str]) -> list[Tensor]:
    return call["tensors"] if varying == ["tensors"] else [call[name] for name in varying]


def cut_to_map(call: Call, sent: Tensor, x: Tensor) -> Tensor:
    """What an adjoint sends from the whole output, as far as it lies on the input's map."""
    reach = row_of(call.operation).field(call, "gradient")
    if reach is None or x.dim() < 4:
        assert sent.shape == x.shape
        return sent
    on_map = torch.zeros_like(x)
    ys, xs = (torch.arange(n) + r.offset for n, r in zip(sent.shape[-2:], reach, strict=True))
    keep_y, keep_x = (ys >= 0) & (ys < x.shape[-2]), (xs >= 0) & (xs < x.shape[-1])
    on_map[..., ys[keep_y][:, None], xs[keep_x]] = sent[..., keep_y, :][..., keep_x]
    return on_map


def test_every_row_is_tested() -> None:
    assert set(CASES) == set(TABLE)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@pytest.mark.parametrize(
    "target", CASES, ids=lambda target: getattr(target, "__name__", str(target))
)
@settings(max_examples=15, deadline=None)
@given(data=st.data(), seed=seeds)
def test_adjoint(target: Any, data: st.DataObject, seed: int) -> None:
    """<J x', y> = <x', J' y>, where J is the operation's derivative at x, by torch's own autograd.

    For a linear operation without a constant that is <A x, y> = <x, A' y>.
    """
    torch.manual_seed(seed)
    arguments, varying = CASES[target](data.draw)
    call = call_of(target, arguments, varying)
    assert refusal(call) is None
    xs = inputs_of(call, varying)
    row = TABLE[target]
    value, saved = row.run(call)
    torch.testing.assert_close(value, _plain_run(call))
    y = torch.randn_like(value)
    sent = row.adjoint(call, y, lambda: saved, "gradient")
    ours = [cut_to_map(call, s, x) for s, x in zip(sent, xs, strict=True)]
    directions = [torch.randn_like(x) for x in xs]
    forward = _derivative_along(call, varying, xs, directions)
    backward = sum((d * o).sum() for d, o in zip(directions, ours, strict=True))
    torch.testing.assert_close((forward * y).sum(), backward, rtol=1e-10, atol=1e-10)


def _derivative_along(
    call: Call, varying: list[str], xs: list[Tensor], directions: list[Tensor]
) -> Tensor:
    def run(*moved: Tensor) -> Tensor:
        return _plain_run(_moved(call, varying, moved))

    if call.operation.target is aten.hardsigmoid.default:  # torch has no second derivative of it
        x = xs[0].clone().requires_grad_()
        return torch.autograd.grad(run(x).sum(), x)[0] * directions[0]
    return torch.autograd.functional.jvp(run, tuple(xs), tuple(directions))[1]


def _plain_run(call: Call) -> Tensor:
    value = call.run()
    return value if isinstance(value, Tensor) else value[0]


def _moved(call: Call, varying: list[str], moved: tuple[Tensor, ...]) -> Call:
    if varying == ["tensors"]:
        return Call(call.operation, {**call.arguments, "tensors": list(moved)})
    return Call(call.operation, {**call.arguments, **dict(zip(varying, moved, strict=True))})


X = torch.zeros(2, 3, 4, 4)


@pytest.mark.parametrize(
    ("target", "arguments", "varying", "reason"),
    [
        (aten.mul.Tensor, {"self": X, "other": X}, ["self", "other"], "two branches"),
        (aten.div.Tensor, {"self": 1.0, "other": X}, ["other"], "divisor"),
        (aten.mul.Tensor, {"self": X[0], "other": X}, ["self"], "fewer axes"),
        (aten.add.Tensor, {"self": X, "other": X[0]}, ["self", "other"], "fewer axes"),
        (ops.gated, {"maps": X[0], "gate": X}, ["maps", "gate"], "fewer axes"),
        (aten.dropout.default, {"input": X, "p": 0.5, "train": True}, ["input"], "drops"),
        (aten.batch_norm.default, {"input": X, "training": True}, ["input"], "statistics"),
        (aten.cat.default, {"tensors": [X, X], "dim": 0}, ["tensors"], "one batch"),
        (aten.amax.default, {"self": X, "dim": [0]}, ["self"], "batch"),
        (aten.pow.Tensor_Tensor, {"self": X, "exponent": X}, ["self", "exponent"], "two branches"),
        (ops.part, {"place": 0, "of": aten.unbind.int, "x": X, "dim": 0}, ["x"], "batch"),
        (aten.cumprod.default, {"self": X, "dim": 1}, ["self"], "no rule"),
        (aten.bernoulli.default, {"self": X}, ["self"], "no rule"),
        (aten.sum.dim_IntList, {"self": X, "dim": [0]}, ["self"], "batch"),
        (aten.reshape.default, {"self": X, "shape": [6, 4, 4]}, ["self"], "batch"),
        (aten.permute.default, {"self": X, "dims": [1, 0, 2, 3]}, ["self"], "batch"),
        (aten.slice.Tensor, {"self": X, "dim": 0, "end": 1, "step": 1}, ["self"], "batch"),
        (aten.slice.Tensor, {"self": X, "dim": 0, "step": 2}, ["self"], "batch"),
        (aten.select.int, {"self": X, "dim": -4, "index": 0}, ["self"], "batch"),
        (aten.roll.default, {"self": X, "shifts": [1], "dims": [0]}, ["self"], "batch"),
        (aten.roll.default, {"self": X, "shifts": [1], "dims": []}, ["self"], "batch"),
        (aten.flip.default, {"self": X, "dims": [2, -4]}, ["self"], "batch"),
        (aten.repeat.default, {"self": X, "repeats": [2, 1, 1, 1]}, ["self"], "batch"),
        (aten.conv1d.default, {"input": X[0], "weight": X[0]}, ["input", "weight"], "no rule"),
        (aten.instance_norm.default, {"input": X, "use_input_stats": False}, ["input"], "of other"),
        (aten.expand.default, {"self": X, "size": [5, 2, 3, 4, 4]}, ["self"], "adds axes"),
        (aten.mean.dim, {"self": X, "dim": [0]}, ["self"], "batch"),
        (aten.conv2d.default, {"input": X, "weight": X}, ["input", "weight"], "weights"),
        (aten.linear.default, {"input": X, "weight": X}, ["input", "weight"], "weights"),
        (aten.softmax.int, {"self": X, "dim": 1}, ["self"], "no rule"),
    ],
)
def test_what_has_no_adjoint_is_refused_with_the_reason(
    target: Any, arguments: dict[str, Any], varying: list[str], reason: str
) -> None:
    assert reason in (refusal(call_of(target, arguments, varying)) or "")


def test_an_operation_whose_batch_is_not_first_is_refused() -> None:
    call = call_of(aten.relu.default, {"self": X}, ["self"])
    moved = Call(replace(call.operation, batched=False), call.arguments)
    assert refusal(call) is None
    assert refusal(moved) == "the images do not lie along its first axis"
