"""Rows of the operations that have kernels."""

import math
from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from deconvviz.deconv.geometry import HERE, Field, Interval
from deconvviz.deconv.rules import Rule
from deconvviz.deconv.table.row import Lookup, Row, Saved, WholeMaps, pair
from deconvviz.deconv.tape import Call

_FEW = 4  # channels of a picture
_LARGE = 4  # times the numbers of the maps; measured


class Weighted(Row):
    """A linear operation with weights of the model, which are in the signal's dtype."""

    any_precision: ClassVar[bool] = True

    @override
    def refusal(self, call: Call) -> str | None:
        return "its weights depend on the images" if call.varies("weight") else None


class Convolution(Weighted):
    """Filtered with the transposed kernels; strided, dilated and grouped alike."""

    undone: ClassVar[str] = "transposed convolution with the same kernels, no bias"

    @override
    def value(self, call: Call) -> Tensor:
        def run(maps: Tensor) -> Tensor:
            value: Tensor = Call(call.operation, {**call.arguments, "input": maps}).run()
            return value

        return _as_kernels_lie(run, call["input"], call["weight"])

    @override
    def run(self, call: Call) -> tuple[Tensor, Saved | None]:
        return self.value(call), None

    @override
    def field(self, call: Call, rule: Rule) -> Field:
        stride, dilation = pair(call["stride"]), pair(call["dilation"])
        kernel = call["weight"].shape[2:]
        extent = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
        if call["padding"] == "same":  # the odd one out of an even kernel goes to the far side
            padding = ((extent[0] - 1) // 2, (extent[1] - 1) // 2)
        else:
            padding = (0, 0) if call["padding"] == "valid" else pair(call["padding"])
        return (
            Interval(stride[0], -padding[0], extent[0]),
            Interval(stride[1], -padding[1], extent[1]),
        )

    @override
    def adjoint(self, call: Call, signal: Tensor, saved: Lookup, rule: Rule) -> Sequence[Tensor]:
        stride, dilation = pair(call["stride"]), pair(call["dilation"])
        kernels, groups = call["weight"], call["groups"]
        if stride[0] == stride[1] > 1 and kernels.shape[1] <= _FEW and groups == max(dilation) == 1:
            return [_in_phases(signal, kernels, stride[0])]

        def send(maps: Tensor) -> Tensor:
            return functional.conv_transpose2d(maps, kernels, None, stride, 0, 0, groups, dilation)

        return [_as_kernels_lie(send, signal, kernels)]


def _as_kernels_lie(filtered: Callable[[Tensor], Tensor], maps: Tensor, kernels: Tensor) -> Tensor:
    """Filtered maps, channels first in memory meanwhile where that is quicker.

    torch lays kernels out as the maps lie, in every call. For few positions, on a CPU, that takes
    longer than the convolution.
    """
    few = maps.dim() == 4 and kernels.numel() >= _LARGE * maps.numel()
    if not few or maps.device.type != "cpu" or math.prod(kernels.shape[2:]) == 1:
        return filtered(maps)
    return filtered(maps.contiguous()).contiguous(memory_format=torch.channels_last)


def _in_phases(signal: Tensor, kernels: Tensor, stride: int) -> Tensor:
    """A transposed convolution as a plain one, which makes all phases of its stride as maps.

    Every stride-th row and column of what comes out is filtered with every stride-th row and column
    of the kernels alone. A transposed convolution into the few channels of a picture leaves most
    lanes of a CPU idle; this fills them.

    Args:
        signal: (K, F, h, w).
        kernels: (F, C, kh, kw).
        stride: The same along y and x.

    Returns:
        (K, C, (h - 1) * stride + kh, (w - 1) * stride + kw).
    """
    maps, channels, height, width = kernels.shape
    rows, columns = -(-height // stride), -(-width // stride)
    missing = (0, columns * stride - width, 0, rows * stride - height)
    phases = functional.pad(kernels, missing).view(maps, channels, rows, stride, columns, stride)
    phases = phases.flip(2, 4).permute(1, 3, 5, 0, 2, 4).reshape(-1, maps, rows, columns)
    phases = phases.to(memory_format=torch.channels_last)
    made = functional.conv2d(signal, phases, padding=(rows - 1, columns - 1))
    whole = functional.pixel_shuffle(made, stride)
    bottom = (signal.shape[2] - 1) * stride + height
    right = (signal.shape[3] - 1) * stride + width
    return whole[:, :, :bottom, :right]


class Pointwise(Convolution):
    """A 1x1 convolution that the network writes as a linear layer over the channels."""

    @override
    def field(self, call: Call, rule: Rule) -> Field:
        return HERE

    @override
    def adjoint(self, call: Call, signal: Tensor, saved: Lookup, rule: Rule) -> Sequence[Tensor]:
        return [functional.conv2d(signal, call["weight"].T[:, :, None, None])]


class TransposedConvolution(WholeMaps, Weighted):
    """Filtered with the same kernels, from full maps: what a unit reads depends on its phase."""

    undone: ClassVar[str] = "convolution with the same kernels, no bias"

    @override
    def adjoint(self, call: Call, signal: Tensor, saved: Lookup, rule: Rule) -> Sequence[Tensor]:
        stride, padding, dilation = (pair(call[k]) for k in ("stride", "padding", "dilation"))
        kernels, groups = call["weight"], call["groups"]
        sent = functional.conv2d(signal, kernels, None, stride, padding, dilation, groups)
        height, width = call["input"].shape[2:]  # output padding may reach one more
        return [sent[:, :, :height, :width]]


class Linear(WholeMaps, Weighted):
    """A linear layer, over the last axis."""

    undone: ClassVar[str] = "product with the transposed matrix, no bias"

    @override
    def adjoint(self, call: Call, signal: Tensor, saved: Lookup, rule: Rule) -> Sequence[Tensor]:
        return [signal @ call["weight"]]
