"""The table: one row for each operation that can be undone.

To support another operation, write its row and enter it here; tests hold every row to be the
adjoint of its forward pass. An operation without a row still runs forward, and is refused by name
where a projection would have to undo it.
"""

from collections.abc import Mapping

import torch

from deconvviz.deconv.geometry import Step
from deconvviz.deconv.table.activation import ClippedReLU, ReLU, SmoothActivation
from deconvviz.deconv.table.convolution import Convolution, Linear
from deconvviz.deconv.table.pointwise import BatchNorm, Difference, Divide, Dropout, Multiply, Sum
from deconvviz.deconv.table.pooling import (
    AdaptiveAveragePool,
    AdaptiveMaxPool,
    AveragePool,
    MaxPool,
    Mean,
)
from deconvviz.deconv.table.row import Row
from deconvviz.deconv.table.shape import Concatenate, Pad, Reshape
from deconvviz.deconv.tape import Call, Operation

__all__ = ["TABLE", "Row", "refusal", "row_of", "step_of"]

_aten = torch.ops.aten

TABLE: Mapping[object, Row] = {
    _aten.conv2d.default: Convolution(),
    _aten.conv2d.padding: Convolution(),
    _aten.linear.default: Linear(),
    _aten.batch_norm.default: BatchNorm(),
    _aten.relu.default: ReLU(),
    _aten.relu6.default: ClippedReLU(),
    _aten.hardtanh.default: ClippedReLU(),
    _aten.leaky_relu.default: SmoothActivation(),
    _aten.elu.default: SmoothActivation(),
    _aten.gelu.default: SmoothActivation(),
    _aten.silu.default: SmoothActivation(),
    _aten.hardswish.default: SmoothActivation(),
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
    _aten.cat.default: Concatenate(),
    _aten.pad.default: Pad(),
    _aten.flatten.using_ints: Reshape(),
    _aten.view.default: Reshape(),
    _aten.reshape.default: Reshape(),
    _aten.dropout.default: Dropout(),
    _aten.clone.default: Row(),
    _aten.contiguous.default: Row(),
}


def row_of(operation: Operation) -> Row | None:
    """The operation's row, if there is one."""
    return TABLE.get(operation.target)


def refusal(call: Call) -> str | None:
    """Why this call cannot be undone; None if it can."""
    row = row_of(call.operation)
    return "there is no rule to undo it" if row is None else row.refusal(call)


def step_of(call: Call) -> Step:
    """The call's geometry; one that cannot be undone counts as mixing all positions."""
    row = None if refusal(call) else row_of(call.operation)
    reach = row.reach(call) if row else None
    return Step(call.operation.name, call.operation.inputs, reach)
