"""The table: one row for each operation that can be undone.

To support another operation, write its row and enter it here; tests hold every row to be the
adjoint of its forward pass. An operation without a row of its own is tried out: a linear one is
undone by torch's transpose of it. Any other still runs forward, and is refused by name where a
projection would have to undo it.
"""

from collections.abc import Mapping

import torch

from deconvviz.deconv import ops
from deconvviz.deconv.geometry import Step
from deconvviz.deconv.rules import Rule
from deconvviz.deconv.table import (
    activation,
    convolution,
    function,
    linear,
    norm,
    pointwise,
    pooling,
    shape,
)
from deconvviz.deconv.table.row import Row, Saved
from deconvviz.deconv.tape import Call, Operation

__all__ = ["TABLE", "Row", "Saved", "refusal", "row_of", "step_of"]

_aten = torch.ops.aten

TABLE: Mapping[object, Row] = {
    _aten.conv2d.default: convolution.Convolution(),
    _aten.conv2d.padding: convolution.Convolution(),
    _aten.conv_transpose2d.input: convolution.TransposedConvolution(),
    _aten.linear.default: convolution.Linear(),
    ops.channel_linear: convolution.Pointwise(),
    _aten.batch_norm.default: norm.BatchNorm(),
    _aten.layer_norm.default: norm.LayerNorm(),
    _aten.group_norm.default: norm.GroupNorm(),
    _aten.instance_norm.default: norm.InstanceNorm(),
    ops.channel_norm: norm.ChannelNorm(),
    _aten.rms_norm.default: norm.RMSNorm(),
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
    ops.activation: activation.SmoothActivation(),
    ops.weighted_activation: activation.PReLU(),
    _aten.tanh.default: activation.SmoothActivation(),
    _aten.sigmoid.default: activation.SmoothActivation(),
    _aten.hardsigmoid.default: activation.SmoothActivation(),
    _aten.max_pool2d.default: pooling.MaxPool(),
    _aten.max_pool2d_with_indices.default: pooling.MaxPool(),
    _aten.avg_pool2d.default: pooling.AveragePool(),
    _aten.max_unpool2d.default: pooling.MaxUnpool(),
    _aten.adaptive_max_pool2d.default: pooling.AdaptiveMaxPool(),
    _aten.adaptive_avg_pool2d.default: pooling.AdaptiveAveragePool(),
    _aten.mean.dim: pooling.Mean(),
    _aten.add.Tensor: pointwise.Sum(),
    _aten.sub.Tensor: pointwise.Difference(),
    _aten.mul.Tensor: pointwise.Multiply(),
    _aten.div.Tensor: pointwise.Divide(),
    ops.gated: pointwise.Gate(),
    ops.masked: pointwise.Masked(),
    _aten.glu.default: function.GatedHalves(),
    _aten.where.self: pointwise.Where(),
    _aten.where.ScalarSelf: pointwise.Where(),
    _aten.where.ScalarOther: pointwise.Where(),
    _aten.masked_fill.Scalar: pointwise.MaskedFill(),
    _aten.maximum.default: pointwise.Larger(),
    _aten.minimum.default: pointwise.Smaller(),
    _aten.abs.default: function.Function(),
    _aten.sign.default: function.Function(),
    _aten.square.default: function.Function(),
    _aten.pow.Tensor_Scalar: function.Function(),
    _aten.pow.Tensor_Tensor: function.FunctionWithWeights(),
    _aten.sqrt.default: function.Function(),
    _aten.rsqrt.default: function.Function(),
    _aten.reciprocal.default: function.Function(),
    _aten.exp.default: function.Function(),
    _aten.log.default: function.Function(),
    _aten.amax.default: function.Recorded(),
    _aten.amin.default: function.Recorded(),
    _aten.max.dim: function.Recorded(),
    _aten.min.dim: function.Recorded(),
    _aten.topk.default: function.Recorded(),
    _aten.logsumexp.default: function.Recorded(),
    _aten.linalg_vector_norm.default: function.Recorded(),
    _aten.var.dim: function.Recorded(),
    _aten.var.correction: function.Recorded(),
    _aten.std.dim: function.Recorded(),
    _aten.std.correction: function.Recorded(),
    _aten.cat.default: shape.Concatenate(),
    _aten.slice.Tensor: shape.Slice(),
    _aten.pad.default: shape.Pad(),
    _aten.flatten.using_ints: shape.Reshape(),
    _aten.reshape.default: shape.Reshape(),
    _aten.unflatten.int: shape.Reshape(),
    ops.squeezed: shape.Reshape(),
    _aten.squeeze.dims: shape.Reshape(),
    _aten.squeeze.dim: shape.Reshape(),
    _aten.unsqueeze.default: shape.Reshape(),
    _aten.permute.default: shape.Transpose(),
    _aten.transpose.int: shape.Transpose(),
    _aten.expand.default: shape.Expand(),
    _aten.expand_as.default: shape.Expand(),
    _aten.channel_shuffle.default: shape.ChannelShuffle(),
    _aten.sum.dim_IntList: linear.LinearMap(),
    _aten.pixel_shuffle.default: linear.LinearMap(),
    _aten.pixel_unshuffle.default: shape.Unshuffle(),
    _aten.upsample_nearest2d.vec: linear.LinearMap(),
    _aten.upsample_bilinear2d.vec: linear.LinearMap(),
    _aten.upsample_bicubic2d.vec: linear.LinearMap(),
    _aten._upsample_nearest_exact2d.vec: linear.LinearMap(),
    _aten._upsample_bilinear2d_aa.vec: linear.LinearMap(),
    _aten._upsample_bicubic2d_aa.vec: linear.LinearMap(),
    _aten.dropout.default: pointwise.Dropout(),
    _aten.feature_dropout.default: pointwise.FeatureDropout(),
    _aten.alpha_dropout.default: pointwise.Dropout(),
    _aten.to.dtype: pointwise.Identity(),
    _aten.clone.default: pointwise.Identity(),
    _aten.contiguous.default: pointwise.Identity(),
}


_OTHERS = linear.AnyLinear()


def row_of(operation: Operation) -> Row:
    """The operation's row; without one of its own, that of any linear map."""
    return TABLE.get(operation.target, _OTHERS)


def refusal(call: Call) -> str | None:
    """Why this call has no adjoint; None if it has one."""
    if call.operation.refused:
        return call.operation.refused
    if not call.operation.floating:
        return "its value is no floating point number, so that it has no derivative"
    if not call.operation.batched:
        return "the images do not lie along its first axis"
    return row_of(call.operation).refusal(call)


def step_of(call: Call, rule: Rule) -> Step:
    """The call's geometry under a rule; without an adjoint, as if it read all positions."""
    if refusal(call):
        return Step(call.operation.name, call.operation.inputs, None)
    row = row_of(call.operation)
    return Step(
        call.operation.name, tuple(row.targets(call.operation, rule)), row.field(call, rule)
    )
