"""Every row of the table is the adjoint of its forward pass."""

from collections.abc import Callable
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

aten = torch.ops.aten
sizes = st.integers(4, 9)
seeds = st.integers(0, 2**31 - 1)

Draw = Callable[..., Any]
Case = tuple[dict[str, Any], list[str]]  # the arguments that are no default, and which vary


def randn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


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


# --- how each operation may be called ------------------------------------------------------------


def among(*values: Any) -> Callable[[Draw], Any]:
    return lambda draw: draw(st.sampled_from(values))


def maps(draw: Draw, channels: int = 4) -> Tensor:
    return randn(2, channels, draw(sizes), draw(sizes))


def kernels(draw: Draw, x: Tensor) -> tuple[Tensor, dict[str, Any]]:
    groups = among(1, 2, 4)(draw)
    weight = randn(8, x.shape[1] // groups, draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    return weight, {"groups": groups, "bias": None}


def conv(draw: Draw) -> Case:
    x = maps(draw)
    weight, rest = kernels(draw, x)
    pairs = {
        "stride": [draw(st.integers(1, 3)), draw(st.integers(1, 3))],
        "padding": [draw(st.integers(0, 2)), draw(st.integers(0, 2))],
        "dilation": [1, 1] if max(weight.shape[2:]) > 2 else [draw(st.integers(1, 3)), 2],
    }
    return {"input": x, "weight": weight, **rest, **pairs}, ["input"]


def conv_padding(draw: Draw) -> Case:
    case, varying = conv(draw)
    padding = {"stride": [1, 1], "padding": among("same", "valid")(draw), "dilation": [1, 1]}
    return {**case, **padding}, varying


def conv_transposed(draw: Draw) -> Case:
    x, groups = maps(draw), among(1, 2, 4)(draw)
    stride = [draw(st.integers(1, 3)), draw(st.integers(1, 3))]
    pairs = {
        "weight": randn(4, 2, draw(st.integers(1, 4)), draw(st.integers(2, 4))),
        "stride": stride,
        "padding": [0, draw(st.integers(0, 1))],
        "output_padding": [draw(st.integers(0, s - 1)) for s in stride],
        "dilation": [1, draw(st.integers(1, 2))],
    }
    return {"input": x, "bias": None, "groups": groups, **pairs}, ["input"]


def conv_of_rows(draw: Draw) -> Case:
    groups = among(1, 2)(draw)
    single = {name: [draw(st.integers(1, 2))] for name in ("stride", "padding", "dilation")}
    weight = randn(6, 4 // groups, 3)
    return {"input": randn(2, 4, 9), "weight": weight, "groups": groups, **single}, ["input"]


def linear(draw: Draw) -> Case:
    x = among(randn(2, 5), randn(2, 3, 4, 5))(draw)
    return {"input": x, "weight": randn(7, 5), "bias": None}, ["input"]


def batch_norm(draw: Draw) -> Case:
    x = among(randn(2, 4), randn(2, 4, 5, 6))(draw)
    weight = among(None, randn(4))(draw)
    given_ = {"input": x, "weight": weight, "running_mean": torch.zeros(4, dtype=torch.float64)}
    rest = {"training": False, "momentum": 0.1, "eps": 1e-5, "cudnn_enabled": False}
    return {**given_, "running_var": randn(4) ** 2, **rest}, ["input"]


def layer_norm(draw: Draw) -> Case:
    x = among(randn(2, 5), randn(2, 3, 4, 5))(draw)
    shape = list(x.shape[draw(st.integers(1, x.dim() - 1)) :])
    weight = among(None, randn(*shape))(draw)
    return {"input": x, "normalized_shape": shape, "weight": weight, "eps": 1e-5}, ["input"]


def group_norm(draw: Draw) -> Case:
    x = among(randn(2, 6), randn(2, 6, 4, 5))(draw)
    weight = among(None, randn(6))(draw)
    groups = among(1, 2, 3)(draw)
    return {"input": x, "num_groups": groups, "weight": weight, "eps": 1e-5}, ["input"]


def activation(draw: Draw) -> Case:
    return {"self": among(randn(2, 9), maps(draw))(draw)}, ["self"]


def with_bounds(draw: Draw) -> Case:
    bounds = {"min": among(None, -0.5)(draw), "max": 0.7}
    if draw(st.booleans()):
        bounds = {"min": -0.5, "max": None}
    return {"self": maps(draw), **bounds, "threshold": 0.2, "value": -1.0}, ["self"]


def pooling(draw: Draw) -> dict[str, Any]:
    kernel = [draw(st.integers(1, 3)), draw(st.integers(1, 3))]
    return {
        "self": maps(draw),
        "kernel_size": kernel,
        "stride": among([], [1, 1], [2, 2], [3, 2])(draw),
        "padding": [draw(st.integers(0, k // 2)) for k in kernel],
        "ceil_mode": draw(st.booleans()),
    }


def max_pool(draw: Draw) -> Case:
    case = pooling(draw)
    # a dilated kernel of 3 spans 5 positions
    most = 1 if case["kernel_size"][1] == 3 and case["self"].shape[3] < 5 else 2
    return {**case, "dilation": [1, draw(st.integers(1, most))]}, ["self"]


def avg_pool(draw: Draw) -> Case:
    rest = {"count_include_pad": either(draw), "divisor_override": among(None, 3)(draw)}
    return {**pooling(draw), **rest}, ["self"]


def branch(draw: Draw) -> Tensor:
    """A branch that is one number along any of the axes, or a matrix."""
    shape = [2, *(among(1, size)(draw) for size in (4, 3, 5))]
    return randn(*shape[: among(2, 4, 4, 4)(draw)])


def two(draw: Draw) -> tuple[Tensor, Tensor]:
    one, other = branch(draw), branch(draw)
    return (one, other) if one.dim() == other.dim() else (one, torch.randn_like(one))


def two_branches(draw: Draw) -> Case:
    one, other = two(draw)
    return {"self": one, "other": other, "alpha": 2}, ["self", "other"]


def factor(draw: Draw) -> Case:
    x = branch(draw)
    large = [randn(4, 1, 1), randn(1, 4, 1, 1), randn(3, 5), randn(4, 3, 5), randn(4, 1, 5)]
    small = [randn(4), randn(1, 4), randn(1)]
    other = among(2.5, *(large if x.dim() == 4 else small))(draw)
    return {"self": x, "other": other}, ["self"]


def gate(draw: Draw) -> Case:
    one, other = two(draw)
    return {"maps": one, "gate": other.sigmoid()}, ["maps", "gate"]


def part(draw: Draw) -> Case:
    start, step = draw(st.integers(0, 2)), draw(st.integers(1, 3))
    dim = among(0, 1, 2, -1)(draw)
    end = among(None, 2**63 - 1, 4, -1)(draw)
    if dim == 0:  # all images, as `maps[:, :8, :, :]` spells out
        start, end, step = among((0, 2**63 - 1, 1), (None, None, 1))(draw)
    return {"self": maps(draw), "dim": dim, "start": start, "end": end, "step": step}, ["self"]


def order(draw: Draw) -> Case:
    x = among(maps(draw), randn(2, 3, 2, 4, 5))(draw)
    dims = [0, *draw(st.permutations(range(1, x.dim())))]
    return {"self": x, "dims": dims, "dim0": dims[1], "dim1": -1}, ["self"]


def copies(draw: Draw) -> Case:
    shape = among((2, 4, 1, 1), (2, 1, 3, 1), (2, 4, 3, 5))(draw)
    return {"self": randn(*shape), "size": [-1, 4, 3, 5]}, ["self"]


def copies_as(draw: Draw) -> Case:
    case, varying = copies(draw)
    return {**case, "other": randn(2, 4, 3, 5)}, varying


def branches(draw: Draw) -> Case:
    x = maps(draw)
    return {"tensors": [x, randn(2, 3, *x.shape[2:]), x + 1], "dim": 1}, ["tensors"]


def border(draw: Draw) -> Case:
    pad = among([1, 2, 3, 0], [2, 1], [-1, 1, 0, -1])(draw)
    mode = among("constant", "reflect", "replicate", "circular")(draw)
    pad = pad if mode == "constant" else [1, 2, 3, 0]
    return {"self": maps(draw), "pad": pad, "mode": mode}, ["self"]


def view(draw: Draw) -> Case:
    x = maps(draw)
    size = among([2, 2, -1], [2, 2, 2, *x.shape[2:]], [2, -1])(draw)
    return {"self": x, "shape": size}, ["self"]


def on(varying: str, x: Callable[[Draw], Tensor] = maps, **others: Any) -> Callable[[Draw], Case]:
    """A case whose arguments are drawn one by one; those that are no functions are constants."""

    def case(draw: Draw) -> Case:
        drawn = {name: f(draw) if callable(f) else f for name, f in others.items()}
        return {varying: x(draw), **drawn}, [varying]

    return case


def thin(draw: Draw) -> Tensor:
    return randn(2, 4, 1, 1)


def weight_or_none(draw: Draw) -> Tensor | None:
    return among(None, randn(4))(draw)


either = among(False, True)
mean = on("self", dim=among([2, 3], [-1, -2], [1], [3]), keepdim=either)
dropout = on("input", p=0.5, train=False)
adaptive_pool = on("self", output_size=lambda draw: [draw(st.integers(1, 9)), 1])
scaled = on("input", scale_factors=among([2.0, 1.0], [2.0, 1.5], [2.0, 3.0]), align_corners=either)
shuffled = on("self", lambda _: randn(2, 8, 4, 6), upscale_factor=2, downscale_factor=2)
instance_norm = on(
    "input",
    weight=weight_or_none,
    use_input_stats=True,
    momentum=0.1,
    eps=1e-5,
    cudnn_enabled=False,
)
ELEMENTWISE = """
    relu relu6 hardtanh leaky_relu elu selu celu gelu silu hardswish mish softplus tanh sigmoid
    hardsigmoid neg clone contiguous
"""

CASES: dict[Any, Callable[[Draw], Case]] = {
    aten.conv2d.default: conv,
    aten.conv2d.padding: conv_padding,
    aten.conv_transpose2d.input: conv_transposed,
    aten.conv1d.default: conv_of_rows,
    ops.channel_linear: on("input", weight=lambda _: randn(7, 4), bias=lambda _: randn(7)),
    aten.linear.default: linear,
    aten.batch_norm.default: batch_norm,
    aten.layer_norm.default: layer_norm,
    aten.group_norm.default: group_norm,
    aten.instance_norm.default: instance_norm,
    ops.channel_norm: on("input", weight=weight_or_none, bias=None, eps=1e-5),
    **{getattr(aten, name).default: activation for name in ELEMENTWISE.split()},
    aten.prelu.default: on("self", weight=lambda draw: randn(among(1, 4)(draw))),
    aten.threshold.default: with_bounds,
    aten.clamp.default: with_bounds,
    aten.clamp_min.default: on("self", min=among(0, -0.5)),
    aten.max_pool2d.default: max_pool,
    aten.max_pool2d_with_indices.default: max_pool,
    aten.avg_pool2d.default: avg_pool,
    aten.adaptive_max_pool2d.default: adaptive_pool,
    aten.adaptive_avg_pool2d.default: adaptive_pool,
    aten.mean.dim: mean,
    aten.sum.dim_IntList: mean,
    aten.add.Tensor: two_branches,
    aten.sub.Tensor: two_branches,
    aten.mul.Tensor: factor,
    aten.div.Tensor: factor,
    ops.gated: gate,
    aten.rsub.Scalar: on("self", other=1.5, alpha=2),
    aten.cat.default: branches,
    aten.channel_shuffle.default: on("self", lambda draw: maps(draw, 6), groups=among(1, 2, 3)),
    aten.pixel_shuffle.default: shuffled,
    aten.pixel_unshuffle.default: shuffled,
    aten.pad.default: border,
    aten.slice.Tensor: part,
    aten.select.int: on("self", dim=among(1, 2, -1), index=1),
    aten.permute.default: order,
    aten.transpose.int: order,
    aten.expand.default: copies,
    aten.expand_as.default: copies_as,
    ops.squeezed: on("self", lambda draw: randn(2, *among((4, 1, 1), (1, 3, 5), (4, 3, 5))(draw))),
    aten.squeeze.dim: on("self", thin, dim=among(2, -1)),
    aten.squeeze.dims: on("self", thin, dim=among([2, 3], [-1])),
    aten.unsqueeze.default: on("self", thin, dim=among(2, -1)),
    aten.repeat.default: on(
        "self", repeats=lambda draw: [1, *(among(1, 2)(draw) for _ in range(3))]
    ),
    aten.roll.default: on("self", shifts=[1, -2], dims=[2, 3]),
    aten.flip.default: on("self", dims=among([1], [2, 3], [-1])),
    aten.upsample_nearest2d.vec: scaled,
    aten.upsample_bilinear2d.vec: scaled,
    aten.upsample_bicubic2d.vec: scaled,
    aten._upsample_nearest_exact2d.vec: scaled,
    aten._upsample_bilinear2d_aa.vec: scaled,
    aten._upsample_bicubic2d_aa.vec: scaled,
    aten.flatten.using_ints: on("self", start_dim=1),
    aten.reshape.default: view,
    aten.unflatten.int: on("self", dim=1, sizes=among([2, 2], [-1, 4], [1, 2, 2])),
    aten.to.dtype: on("self", dtype=torch.float64),
    aten.dropout.default: dropout,
    aten.feature_dropout.default: dropout,
    aten.alpha_dropout.default: dropout,
}


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
        (aten.cat.default, {"tensors": [X, X], "dim": 2}, ["tensors"], "channels"),
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
        (aten.conv1d.default, {"input": X[0], "weight": X[0]}, ["input", "weight"], "two branches"),
        (aten.instance_norm.default, {"input": X, "use_input_stats": False}, ["input"], "of other"),
        (aten.expand.default, {"self": X, "size": [5, 2, 3, 4, 4]}, ["self"], "adds axes"),
        (aten.pad.default, {"self": X, "pad": [1] * 6, "mode": "constant"}, ["self"], "two axes"),
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
