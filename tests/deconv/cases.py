"""How each operation of the table may be called, for its test."""

from collections.abc import Callable
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from deconvviz.deconv import ops
from deconvviz.deconv.tape import Operation, Ref

aten = torch.ops.aten
sizes = st.integers(4, 9)

Draw = Callable[..., Any]
Case = tuple[dict[str, Any], list[str]]  # the arguments that are no default, and which vary


def randn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def maps(draw: Draw, channels: int = 4) -> Tensor:
    return randn(2, channels, draw(sizes), draw(sizes))


def kernels(draw: Draw, x: Tensor) -> tuple[Tensor, dict[str, Any]]:
    groups = draw(st.sampled_from([1, 2, 4]))
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
    x = maps(draw)
    weight, rest = kernels(draw, x)
    padding = draw(st.sampled_from(["same", "valid"]))
    return {"input": x, "weight": weight, **rest, "padding": padding}, ["input"]


def conv_transposed(draw: Draw) -> Case:
    x, groups = maps(draw), draw(st.sampled_from([1, 2, 4]))
    stride = [draw(st.integers(1, 3)), draw(st.integers(1, 3))]
    pairs = {
        "weight": randn(4, 2, draw(st.integers(1, 4)), draw(st.integers(2, 4))),
        "stride": stride,
        "padding": [0, draw(st.integers(0, 1))],
        "output_padding": [draw(st.integers(0, s - 1)) for s in stride],
        "dilation": [1, draw(st.integers(1, 2))],
    }
    return {"input": x, "bias": None, "groups": groups, **pairs}, ["input"]


def at_positions(draw: Draw) -> Case:
    return {"input": maps(draw), "weight": randn(7, 4), "bias": randn(7)}, ["input"]


def linear(draw: Draw) -> Case:
    x = draw(st.sampled_from([randn(2, 5), randn(2, 3, 4, 5)]))
    return {"input": x, "weight": randn(7, 5), "bias": None}, ["input"]


def batch_norm(draw: Draw) -> Case:
    x = draw(st.sampled_from([randn(2, 4), randn(2, 4, 5, 6)]))
    weight = draw(st.sampled_from([None, randn(4)]))
    given_ = {"input": x, "weight": weight, "running_mean": torch.zeros(4, dtype=torch.float64)}
    rest = {"training": False, "momentum": 0.1, "eps": 1e-5, "cudnn_enabled": False}
    return {**given_, "running_var": randn(4) ** 2, **rest}, ["input"]


def layer_norm(draw: Draw) -> Case:
    x = draw(st.sampled_from([randn(2, 5), randn(2, 3, 4, 5)]))
    shape = list(x.shape[draw(st.integers(1, x.dim() - 1)) :])
    weight = draw(st.sampled_from([None, randn(*shape)]))
    return {"input": x, "normalized_shape": shape, "weight": weight, "eps": 1e-5}, ["input"]


def channel_norm(draw: Draw) -> Case:
    weight = draw(st.sampled_from([None, randn(4)]))
    return {"input": maps(draw), "weight": weight, "bias": None, "eps": 1e-5}, ["input"]


def group_norm(draw: Draw) -> Case:
    x = draw(st.sampled_from([randn(2, 6), randn(2, 6, 4, 5)]))
    groups, weight = draw(st.sampled_from([1, 2, 3])), draw(st.sampled_from([None, randn(6)]))
    return {"input": x, "num_groups": groups, "weight": weight, "eps": 1e-5}, ["input"]


def instance_norm(draw: Draw) -> Case:
    weight = draw(st.sampled_from([None, randn(4)]))
    given_ = {"input": maps(draw), "weight": weight, "use_input_stats": True}
    return {**given_, "momentum": 0.1, "eps": 1e-5, "cudnn_enabled": False}, ["input"]


def activation(draw: Draw) -> Case:
    return {"self": draw(st.sampled_from([randn(2, 9), maps(draw)]))}, ["self"]


def with_slopes(draw: Draw) -> Case:
    return {"self": maps(draw), "weight": draw(st.sampled_from([randn(1), randn(4)]))}, ["self"]


def with_bounds(draw: Draw) -> Case:
    bounds = {"min": draw(st.sampled_from([None, -0.5])), "max": 0.7}
    if draw(st.booleans()):
        bounds = {"min": -0.5, "max": None}
    return {"self": maps(draw), **bounds, "threshold": 0.2, "value": -1.0}, ["self"]


def with_lower_bound(draw: Draw) -> Case:
    return {"self": maps(draw), "min": draw(st.sampled_from([0, -0.5]))}, ["self"]


def pooling(draw: Draw) -> dict[str, Any]:
    kernel = [draw(st.integers(1, 3)), draw(st.integers(1, 3))]
    return {
        "self": maps(draw),
        "kernel_size": kernel,
        "stride": draw(st.sampled_from([[], [1, 1], [2, 2], [3, 2]])),
        "padding": [draw(st.integers(0, k // 2)) for k in kernel],
        "ceil_mode": draw(st.booleans()),
    }


def max_pool(draw: Draw) -> Case:
    case = pooling(draw)
    # a dilated kernel of 3 spans 5 positions
    most = 1 if case["kernel_size"][1] == 3 and case["self"].shape[3] < 5 else 2
    return {**case, "dilation": [1, draw(st.integers(1, most))]}, ["self"]


def avg_pool(draw: Draw) -> Case:
    count = draw(st.booleans())
    divisor = draw(st.sampled_from([None, 3]))
    return {**pooling(draw), "count_include_pad": count, "divisor_override": divisor}, ["self"]


def adaptive_pool(draw: Draw) -> Case:
    return {"self": maps(draw), "output_size": [draw(st.integers(1, 9)), 1]}, ["self"]


def mean(draw: Draw) -> Case:
    dim = draw(st.sampled_from([[2, 3], [-1, -2], [1], [3]]))
    return {"self": maps(draw), "dim": dim, "keepdim": draw(st.booleans())}, ["self"]


def branch(draw: Draw) -> Tensor:
    """A branch that is one number along any of the axes, or a matrix."""
    shape = [2, *(draw(st.sampled_from([1, size])) for size in (4, 3, 5))]
    return randn(*shape[: draw(st.sampled_from([2, 4, 4, 4]))])


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
    other = draw(st.sampled_from([2.5, *(large if x.dim() == 4 else small)]))
    return {"self": x, "other": other}, ["self"]


def gate(draw: Draw) -> Case:
    one, other = two(draw)
    return {"maps": one, "gate": other.sigmoid()}, ["maps", "gate"]


def part(draw: Draw) -> Case:
    start, step = draw(st.integers(0, 2)), draw(st.integers(1, 3))
    dim = draw(st.sampled_from([0, 1, 2, -1]))
    end = draw(st.sampled_from([None, 2**63 - 1, 4, -1]))
    if dim == 0:  # all images, as `maps[:, :8, :, :]` spells out
        start, end, step = draw(st.sampled_from([(0, 2**63 - 1, 1), (None, None, 1)]))
    return {"self": maps(draw), "dim": dim, "start": start, "end": end, "step": step}, ["self"]


def order(draw: Draw) -> Case:
    x = draw(st.sampled_from([maps(draw), randn(2, 3, 2, 4, 5)]))
    dims = [0, *draw(st.permutations(range(1, x.dim())))]
    return {"self": x, "dims": dims, "dim0": dims[1], "dim1": -1}, ["self"]


def copies(draw: Draw) -> Case:
    shape = draw(st.sampled_from([(2, 4, 1, 1), (2, 1, 3, 1), (2, 4, 3, 5)]))
    return {"self": randn(*shape), "size": [-1, 4, 3, 5]}, ["self"]


def copies_as(draw: Draw) -> Case:
    case, varying = copies(draw)
    return {**case, "other": randn(2, 4, 3, 5)}, varying


def thin(draw: Draw) -> Case:
    dims = draw(st.sampled_from([2, -1]))
    return {"self": randn(2, 4, 1, 1), "dim": dims}, ["self"]


def thin_map(draw: Draw) -> Case:
    return {"self": randn(2, *draw(st.sampled_from([(4, 1, 1), (1, 3, 5), (4, 3, 5)])))}, ["self"]


def scaled(draw: Draw) -> Case:
    return {
        "input": maps(draw),
        "output_size": None,
        "scale_factors": [2.0, draw(st.sampled_from([1.0, 1.5, 3.0]))],
        "align_corners": draw(st.booleans()),
    }, ["input"]


def shuffled(_draw: Draw) -> Case:
    case = {"self": randn(2, 8, 4, 6), "upscale_factor": 2, "downscale_factor": 2}
    return case, ["self"]


def branches(draw: Draw) -> Case:
    x = maps(draw)
    return {"tensors": [x, randn(2, 3, *x.shape[2:]), x + 1], "dim": 1}, ["tensors"]


def border(draw: Draw) -> Case:
    pad = draw(st.sampled_from([[1, 2, 3, 0], [2, 1], [-1, 1, 0, -1]]))
    mode = draw(st.sampled_from(["constant", "reflect", "replicate", "circular"]))
    pad = pad if mode == "constant" else [1, 2, 3, 0]
    return {"self": maps(draw), "pad": pad, "mode": mode}, ["self"]


def flatten(draw: Draw) -> Case:
    return {"self": maps(draw), "start_dim": 1}, ["self"]


def view(draw: Draw) -> Case:
    x = maps(draw)
    size = draw(st.sampled_from([[2, 2, -1], [2, 2, 2, *x.shape[2:]], [2, -1]]))
    return {"self": x, "shape": size}, ["self"]


def unflattened(draw: Draw) -> Case:
    sizes = draw(st.sampled_from([[2, 2], [-1, 4], [1, 2, 2]]))
    return {"self": maps(draw), "dim": 1, "sizes": sizes}, ["self"]


def dropout(draw: Draw) -> Case:
    return {"input": maps(draw), "p": 0.5, "train": False}, ["input"]


def positive(draw: Draw) -> Case:
    case, varying = activation(draw)
    return {name: x.abs() + 0.1 for name, x in case.items()}, varying


def power(draw: Draw) -> Case:
    case, varying = positive(draw)
    return {**case, "exponent": draw(st.sampled_from([2, 3, 0.5, -1]))}, varying


def learned_power(draw: Draw) -> Case:
    case, varying = positive(draw)
    return {**case, "exponent": randn(1)}, varying


def over_axes(draw: Draw) -> Case:
    dim = draw(st.sampled_from([[2, 3], [1], [-1]]))
    return {"self": maps(draw), "dim": dim, "keepdim": draw(st.booleans()), "ord": 2}, ["self"]


def over_axis(draw: Draw) -> Case:
    rest = {"dim": draw(st.sampled_from([1, 2, -1])), "keepdim": draw(st.booleans())}
    return {"self": maps(draw), **rest, "k": 3}, ["self"]


def halves(draw: Draw) -> Case:
    return {"self": randn(2, 4, 6, 8), "dim": draw(st.sampled_from([1, 2, -1]))}, ["self"]


def chosen(draw: Draw) -> Case:
    one, other = two(draw)
    condition = torch.rand(torch.broadcast_shapes(one.shape, other.shape)) > 0.5
    return {"condition": condition, "self": one, "other": other}, ["self", "other"]


def chosen_or(name: str, number: str) -> Callable[[Draw], Case]:
    def case(draw: Draw) -> Case:
        x = maps(draw)
        return {"condition": torch.rand(x.shape) > 0.5, name: x, number: 0.5}, [name]

    return case


def filled(draw: Draw) -> Case:
    x = maps(draw)
    mask = torch.rand(draw(st.sampled_from([x.shape, x.shape[1:], (4, 1, 1)]))) > 0.5
    return {"self": x, "mask": mask, "value": 2.0}, ["self"]


def mask(draw: Draw) -> Case:
    one, other = two(draw)
    return {"maps": one, "gate": other > 0}, ["maps"]


def rms_norm(draw: Draw) -> Case:
    case, varying = layer_norm(draw)
    return {**case, "eps": draw(st.sampled_from([None, 1e-5]))}, varying


def unpool(_draw: Draw) -> Case:
    pooled, places = functional.max_pool2d(randn(2, 4, 6, 8), 2, return_indices=True)
    return {"self": pooled, "indices": places, "output_size": [6, 8]}, ["self"]


def in_steps(draw: Draw) -> Case:
    one = Operation("one", aten.tanh.default, {"self": Ref("x")}, ("x",), (), None)
    both = {"self": Ref("x"), "other": Ref("one")}
    steps = [one, Operation("two", aten.mul.Tensor, both, ("x", "one"), (), None)]
    return {"self": maps(draw), "names": ["x"], "steps": steps}, ["self"]


def in_weighted_steps(draw: Draw) -> Case:
    both = {"self": Ref("x"), "other": Ref("w")}
    step = Operation("two", aten.maximum.default, both, ("x",), (), None)
    return {"self": maps(draw), "names": ["x", "w"], "steps": [step], "w": randn(4, 1, 1)}, ["self"]


CASES: dict[Any, Callable[[Draw], Case]] = {
    ops.activation: in_steps,
    ops.weighted_activation: in_weighted_steps,
    ops.masked: mask,
    aten.glu.default: halves,
    aten.where.self: chosen,
    aten.where.ScalarOther: chosen_or("self", "other"),
    aten.where.ScalarSelf: chosen_or("other", "self"),
    aten.masked_fill.Scalar: filled,
    aten.maximum.default: two_branches,
    aten.minimum.default: two_branches,
    aten.max_unpool2d.default: unpool,
    aten.rms_norm.default: rms_norm,
    aten.abs.default: activation,
    aten.sign.default: activation,
    aten.square.default: activation,
    aten.exp.default: activation,
    aten.sqrt.default: positive,
    aten.rsqrt.default: positive,
    aten.reciprocal.default: positive,
    aten.log.default: positive,
    aten.pow.Tensor_Scalar: power,
    aten.pow.Tensor_Tensor: learned_power,
    aten.amax.default: over_axes,
    aten.amin.default: over_axes,
    aten.max.dim: over_axis,
    aten.min.dim: over_axis,
    aten.topk.default: over_axis,
    aten.logsumexp.default: over_axes,
    aten.linalg_vector_norm.default: over_axes,
    aten.var.dim: over_axes,
    aten.var.correction: over_axes,
    aten.std.dim: over_axes,
    aten.std.correction: over_axes,
    aten.conv2d.default: conv,
    aten.conv2d.padding: conv_padding,
    aten.conv_transpose2d.input: conv_transposed,
    ops.channel_linear: at_positions,
    aten.linear.default: linear,
    aten.batch_norm.default: batch_norm,
    aten.layer_norm.default: layer_norm,
    aten.group_norm.default: group_norm,
    aten.instance_norm.default: instance_norm,
    ops.channel_norm: channel_norm,
    aten.relu.default: activation,
    aten.relu6.default: activation,
    aten.hardtanh.default: activation,
    aten.leaky_relu.default: activation,
    aten.elu.default: activation,
    aten.gelu.default: activation,
    aten.silu.default: activation,
    aten.hardswish.default: activation,
    aten.mish.default: activation,
    aten.softplus.default: activation,
    aten.prelu.default: with_slopes,
    aten.selu.default: activation,
    aten.celu.default: activation,
    aten.threshold.default: with_bounds,
    aten.clamp.default: with_bounds,
    aten.clamp_min.default: with_lower_bound,
    aten.tanh.default: activation,
    aten.sigmoid.default: activation,
    aten.hardsigmoid.default: activation,
    aten.max_pool2d.default: max_pool,
    aten.max_pool2d_with_indices.default: max_pool,
    aten.avg_pool2d.default: avg_pool,
    aten.adaptive_max_pool2d.default: adaptive_pool,
    aten.adaptive_avg_pool2d.default: adaptive_pool,
    aten.mean.dim: mean,
    aten.add.Tensor: two_branches,
    aten.sub.Tensor: two_branches,
    aten.mul.Tensor: factor,
    aten.div.Tensor: factor,
    ops.gated: gate,
    aten.cat.default: branches,
    aten.channel_shuffle.default: lambda draw: ({"self": maps(draw, 6), "groups": 3}, ["self"]),
    aten.pad.default: border,
    aten.slice.Tensor: part,
    aten.permute.default: order,
    aten.transpose.int: order,
    aten.expand.default: copies,
    aten.expand_as.default: copies_as,
    ops.squeezed: thin_map,
    aten.squeeze.dim: thin,
    aten.squeeze.dims: lambda _: ({"self": randn(2, 4, 1, 1), "dim": [2, 3]}, ["self"]),
    aten.unsqueeze.default: thin,
    aten.sum.dim_IntList: mean,
    aten.pixel_shuffle.default: shuffled,
    aten.pixel_unshuffle.default: shuffled,
    aten.upsample_nearest2d.vec: scaled,
    aten.upsample_bilinear2d.vec: scaled,
    aten.upsample_bicubic2d.vec: scaled,
    aten._upsample_nearest_exact2d.vec: scaled,
    aten._upsample_bilinear2d_aa.vec: scaled,
    aten._upsample_bicubic2d_aa.vec: scaled,
    aten.flatten.using_ints: flatten,
    aten.reshape.default: view,
    aten.unflatten.int: unflattened,
    aten.to.dtype: lambda draw: ({"self": maps(draw), "dtype": torch.float64}, ["self"]),
    aten.dropout.default: dropout,
    aten.feature_dropout.default: dropout,
    aten.alpha_dropout.default: dropout,
    aten.clone.default: activation,
    aten.contiguous.default: activation,
}
