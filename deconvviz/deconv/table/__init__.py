"""The table: one row for each operation that can be undone.

To support another operation, write its row and enter it here; tests hold every row to be the
adjoint of its forward pass. An operation without a row still runs forward, and is refused by name
where a projection would have to undo it.
"""

from collections.abc import Mapping

import torch

from deconvviz.deconv.geometry import Step
from deconvviz.deconv.ops import channel_linear, channel_norm, gated
from deconvviz.deconv.rules import Rule
from deconvviz.deconv.table.activation import ClippedReLU, PReLU, ReLU, SmoothActivation
from deconvviz.deconv.table.convolution import (
    Convolution,
    Linear,
    Pointwise,
    TransposedConvolution,
)
from deconvviz.deconv.table.norm import (
    BatchNorm,
    ChannelNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
)
from deconvviz.deconv.table.pointwise import (
    Difference,
    Divide,
    Dropout,
    FeatureDropout,
    Gate,
    Identity,
    Multiply,
    Sum,
)
from deconvviz.deconv.table.pooling import (
    AdaptiveAveragePool,
    AdaptiveMaxPool,
    AveragePool,
    MaxPool,
    Mean,
)
from deconvviz.deconv.table.row import Row, Saved
from deconvviz.deconv.table.shape import (
    ChannelShuffle,
    Concatenate,
    Expand,
    LinearMap,
    Pad,
    Reshape,
    Slice,
    Transpose,
)
from deconvviz.deconv.tape import Call, Operation

__all__ = ["TABLE", "Row", "Saved", "refusal", "row_of", "step_of"]

_aten = torch.ops.aten

TABLE: Mapping[object, Row] = {
    _aten.conv2d.default: Convolution(),
    _aten.conv2d.padding: Convolution(),
    _aten.conv_transpose2d.input: TransposedConvolution(),
    _aten.linear.default: Linear(),
    channel_linear: Pointwise(),
    _aten.batch_norm.default: BatchNorm(),
    _aten.layer_norm.default: LayerNorm(),
    _aten.group_norm.default: GroupNorm(),
    _aten.instance_norm.default: InstanceNorm(),
    channel_norm: ChannelNorm(),
    _aten.relu.default: ReLU(),
    _aten.relu6.default: ClippedReLU(),
    _aten.hardtanh.default: ClippedReLU(),
    _aten.leaky_relu.default: SmoothActivation(),
    _aten.elu.default: SmoothActivation(),
    _aten.gelu.default: SmoothActivation(),
    _aten.silu.default: SmoothActivation(),
    _aten.hardswish.default: SmoothActivation(),
    _aten.mish.default: SmoothActivation(),
    _aten.softplus.default: SmoothActivation(),
    _aten.prelu.default: PReLU(),
    _aten.selu.default: SmoothActivation(),
    _aten.celu.default: SmoothActivation(),
    _aten.threshold.default: SmoothActivation(),
    _aten.clamp.default: SmoothActivation(),
    _aten.clamp_min.default: SmoothActivation(),
    _aten.tanh.default: SmoothActivation(),
    _aten.sigmoid.default: SmoothActivation(),
    _aten.hardsigmoid.default: SmoothActivation(),
    _aten.max_pool2d.default: MaxPool(),
    _aten.max_pool2d_with_indices.default: MaxPool(),
    _aten.avg_pool2d.default: AveragePool(),
    _aten.adaptive_max_pool2d.default: AdaptiveMaxPool(),
    _aten.adaptive_avg_pool2d.default: AdaptiveAveragePool(),
    _aten.mean.dim: Mean(),
    _aten.add.Tensor: Sum(),
    _aten.sub.Tensor: Difference(),
    _aten.mul.Tensor: Multiply(),
    _aten.div.Tensor: Divide(),
    gated: Gate(),
    _aten.cat.default: Concatenate(),
    _aten.slice.Tensor: Slice(),
    _aten.select.int: LinearMap(),
    _aten.pad.default: Pad(),
    _aten.flatten.using_ints: Reshape(),
    _aten.reshape.default: Reshape(),
    _aten.unflatten.int: Reshape(),
    _aten.squeeze.dims: Reshape(),
    _aten.squeeze.dim: Reshape(),
    _aten.unsqueeze.default: Reshape(),
    _aten.permute.default: Transpose(),
    _aten.transpose.int: Transpose(),
    _aten.expand.default: Expand(),
    _aten.expand_as.default: Expand(),
    _aten.channel_shuffle.default: ChannelShuffle(),
    _aten.conv1d.default: LinearMap(),
    _aten.neg.default: LinearMap(),
    _aten.rsub.Scalar: LinearMap(),
    _aten.repeat.default: LinearMap(),
    _aten.sum.dim_IntList: LinearMap(),
    _aten.roll.default: LinearMap(),
    _aten.flip.default: LinearMap(),
    _aten.pixel_shuffle.default: LinearMap(),
    _aten.pixel_unshuffle.default: LinearMap(),
    _aten.upsample_nearest2d.vec: LinearMap(),
    _aten.upsample_bilinear2d.vec: LinearMap(),
    _aten.upsample_bicubic2d.vec: LinearMap(),
    _aten._upsample_nearest_exact2d.vec: LinearMap(),
    _aten._upsample_bilinear2d_aa.vec: LinearMap(),
    _aten._upsample_bicubic2d_aa.vec: LinearMap(),
    _aten.dropout.default: Dropout(),
    _aten.feature_dropout.default: FeatureDropout(),
    _aten.alpha_dropout.default: Dropout(),
    _aten.to.dtype: Identity(),
    _aten.clone.default: Identity(),
    _aten.contiguous.default: Identity(),
}


def row_of(operation: Operation) -> Row | None:
    """The operation's row; None without one."""
    return TABLE.get(operation.target)


def refusal(call: Call) -> str | None:
    """Why this call has no adjoint; None if it has one."""
    row = row_of(call.operation)
    if row is None:
        return "there is no rule to undo it"
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
