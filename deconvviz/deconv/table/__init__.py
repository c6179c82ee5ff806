"""The table: one row for each operation that can be undone.

To support another operation, write its row and enter it here; tests hold every row to be the
adjoint of its forward pass. An operation without a row still runs forward, and is refused by name
where a projection would have to undo it.
"""

from collections.abc import Mapping

import torch

from deconvviz.deconv.geometry import Step
from deconvviz.deconv.ops import channel_linear, channel_norm, gated, squeezed
from deconvviz.deconv.rules import Rule
from deconvviz.deconv.table import activation, convolution, norm, pointwise, pooling, shape
from deconvviz.deconv.table.row import Row, Saved
from deconvviz.deconv.tape import Call, Operation

__all__ = ["TABLE", "Row", "Saved", "refusal", "row_of", "step_of"]

_aten = torch.ops.aten

TABLE: Mapping[object, Row] = {
    _aten.conv2d.default: convolution.Convolution(),
    _aten.conv2d.padding: convolution.Convolution(),
    _aten.conv_transpose2d.input: convolution.TransposedConvolution(),
    _aten.linear.default: convolution.Linear(),
    channel_linear: convolution.Pointwise(),
    _aten.batch_norm.default: norm.BatchNorm(),
    _aten.layer_norm.default: norm.LayerNorm(),
    _aten.group_norm.default: norm.GroupNorm(),
    _aten.instance_norm.default: norm.InstanceNorm(),
    channel_norm: norm.ChannelNorm(),
    _aten.relu.default: activation.ReLU(),
    _aten.relu6.default: activation.ClippedReLU(),
    _aten.hardtanh.default: activation.ClippedReLU(),
    _aten.leaky_relu.default: activation.SmoothActivation(),
    _aten.elu.default: activation.SmoothActivation(),
    _aten.gelu.default: activation.SmoothActivation(),
    _aten.silu.default: activation.SmoothActivation(),
    _aten.hardswish.default: activation.SmoothActivation(),
    _aten.mish.default: activation.SmoothActivation(),
    _aten.softplus.default: activation.SmoothActivation(),
    _aten.prelu.default: activation.PReLU(),
    _aten.selu.default: activation.SmoothActivation(),
    _aten.celu.default: activation.SmoothActivation(),
    _aten.threshold.default: activation.SmoothActivation(),
    _aten.clamp.default: activation.SmoothActivation(),
    _aten.clamp_min.default: activation.SmoothActivation(),
    _aten.tanh.default: activation.SmoothActivation(),
    _aten.sigmoid.default: activation.SmoothActivation(),
    _aten.hardsigmoid.default: activation.SmoothActivation(),
    _aten.max_pool2d.default: pooling.MaxPool(),
    _aten.max_pool2d_with_indices.default: pooling.MaxPool(),
    _aten.avg_pool2d.default: pooling.AveragePool(),
    _aten.adaptive_max_pool2d.default: pooling.AdaptiveMaxPool(),
    _aten.adaptive_avg_pool2d.default: pooling.AdaptiveAveragePool(),
    _aten.mean.dim: pooling.Mean(),
    _aten.add.Tensor: pointwise.Sum(),
    _aten.sub.Tensor: pointwise.Difference(),
    _aten.mul.Tensor: pointwise.Multiply(),
    _aten.div.Tensor: pointwise.Divide(),
    gated: pointwise.Gate(),
    _aten.cat.default: shape.Concatenate(),
    _aten.slice.Tensor: shape.Slice(),
    _aten.select.int: shape.LinearMap(),
    _aten.pad.default: shape.Pad(),
    _aten.flatten.using_ints: shape.Reshape(),
    _aten.reshape.default: shape.Reshape(),
    _aten.unflatten.int: shape.Reshape(),
    squeezed: shape.Reshape(),
    _aten.squeeze.dims: shape.Reshape(),
    _aten.squeeze.dim: shape.Reshape(),
    _aten.unsqueeze.default: shape.Reshape(),
    _aten.permute.default: shape.Transpose(),
    _aten.transpose.int: shape.Transpose(),
    _aten.expand.default: shape.Expand(),
    _aten.expand_as.default: shape.Expand(),
    _aten.channel_shuffle.default: shape.ChannelShuffle(),
    _aten.conv1d.default: shape.LinearMap(),
    _aten.neg.default: shape.LinearMap(),
    _aten.rsub.Scalar: shape.LinearMap(),
    _aten.repeat.default: shape.LinearMap(),
    _aten.sum.dim_IntList: shape.LinearMap(),
    _aten.roll.default: shape.LinearMap(),
    _aten.flip.default: shape.LinearMap(),
    _aten.pixel_shuffle.default: shape.LinearMap(),
    _aten.pixel_unshuffle.default: shape.LinearMap(),
    _aten.upsample_nearest2d.vec: shape.LinearMap(),
    _aten.upsample_bilinear2d.vec: shape.LinearMap(),
    _aten.upsample_bicubic2d.vec: shape.LinearMap(),
    _aten._upsample_nearest_exact2d.vec: shape.LinearMap(),
    _aten._upsample_bilinear2d_aa.vec: shape.LinearMap(),
    _aten._upsample_bicubic2d_aa.vec: shape.LinearMap(),
    _aten.dropout.default: pointwise.Dropout(),
    _aten.feature_dropout.default: pointwise.FeatureDropout(),
    _aten.alpha_dropout.default: pointwise.Dropout(),
    _aten.to.dtype: pointwise.Identity(),
    _aten.clone.default: pointwise.Identity(),
    _aten.contiguous.default: pointwise.Identity(),
}


def row_of(operation: Operation) -> Row | None:
    """The operation's row; None without one."""
    return TABLE.get(operation.target)


def refusal(call: Call) -> str | None:
    """Why this call has no adjoint; None if it has one."""
    row = row_of(call.operation)
    if call.operation.refused:
        return call.operation.refused
    if row is None:
        return "there is no rule to undo it"
    if not call.operation.floating:
        return "its value is no floating point number, so that it has no derivative"
    if not call.operation.batched:
        return "the images do not lie along its first axis"
    return row.refusal(call)


def step_of(call: Call, rule: Rule) -> Step:
    """The call's geometry under a rule; without an adjoint, as if it read all positions."""
    row = None if refusal(call) else row_of(call.operation)
    if row is None:
        return Step(call.operation.name, call.operation.inputs, None)
    return Step(
        call.operation.name, tuple(row.targets(call.operation, rule)), row.field(call, rule)
    )
