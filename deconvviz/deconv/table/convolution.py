"""Rows of the operations that have kernels."""

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from deconvviz.deconv.geometry import HERE, Field, Reach
from deconvviz.deconv.rules import Rule
from deconvviz.deconv.table.row import Recall, Row, pair
from deconvviz.deconv.tape import Call

__all__ = ["Convolution", "Linear", "Pointwise", "TransposedConvolution"]


class Convolution(Row):
    """Filtered with the transposed kernels; strided, dilated and grouped alike."""

    undone: ClassVar[str] = "transposed convolution with the same kernels, no bias"

    @override
    def refusal(self, call: Call) -> str | None:
        return "its kernels depend on the images" if call.varies("weight") else None

    @override
    def reach(self, call: Call, rule: Rule) -> Field:
        stride, dilation = pair(call["stride"]), pair(call["dilation"])
        kernel = call["weight"].shape[2:]
        extent = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
        if call["padding"] == "same":  # the odd one out of an even kernel goes to the far side
            padding = ((extent[0] - 1) // 2, (extent[1] - 1) // 2)
        else:
            padding = (0, 0) if call["padding"] == "valid" else pair(call["padding"])
        return (
            Reach(stride[0], -padding[0], extent[0]),
            Reach(stride[1], -padding[1], extent[1]),
        )

    @override
    def adjoint(self, call: Call, signal: Tensor, recall: Recall, rule: Rule) -> Sequence[Tensor]:
        stride, dilation = pair(call["stride"]), pair(call["dilation"])
        kernels, groups = call["weight"], call["groups"]
        return [functional.conv_transpose2d(signal, kernels, None, stride, 0, 0, groups, dilation)]


class Pointwise(Convolution):
    """A 1x1 convolution that the network writes as a linear layer over the channels."""

    @override
    def reach(self, call: Call, rule: Rule) -> Field:
        return HERE

    @override
    def adjoint(self, call: Call, signal: Tensor, recall: Recall, rule: Rule) -> Sequence[Tensor]:
        return [functional.conv2d(signal, call["weight"].T[:, :, None, None])]


class TransposedConvolution(Row):
    """Filtered with the same kernels, from full maps: what a unit reads depends on its phase."""

    undone: ClassVar[str] = "convolution with the same kernels, no bias"

    @override
    def refusal(self, call: Call) -> str | None:
        return "its kernels depend on the images" if call.varies("weight") else None

    @override
    def reach(self, call: Call, rule: Rule) -> None:
        return None

    @override
    def adjoint(self, call: Call, signal: Tensor, recall: Recall, rule: Rule) -> Sequence[Tensor]:
        stride, padding, dilation = (pair(call[k]) for k in ("stride", "padding", "dilation"))
        kernels, groups = call["weight"], call["groups"]
        sent = functional.conv2d(signal, kernels, None, stride, padding, dilation, groups)
        height, width = call["input"].shape[2:]  # output padding may reach one more
        return [sent[:, :, :height, :width]]


class Linear(Row):
    """A linear layer, over the last axis."""

    undone: ClassVar[str] = "product with the transposed matrix, no bias"

    @override
    def refusal(self, call: Call) -> str | None:
        return "its matrix depends on the images" if call.varies("weight") else None

    @override
    def reach(self, call: Call, rule: Rule) -> None:
        return None

    @override
    def adjoint(self, call: Call, signal: Tensor, recall: Recall, rule: Rule) -> Sequence[Tensor]:
        return [signal @ call["weight"]]
