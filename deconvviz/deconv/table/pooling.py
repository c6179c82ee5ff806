"""Rows of the pooling operations. Where pooling windows overlap, signals sum."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from deconvviz.deconv.geometry import Field, Interval
from deconvviz.deconv.rules import Rule
from deconvviz.deconv.table.row import Lookup, Row, WholeMaps, pair
from deconvviz.deconv.tape import Call, Operation


class _Pool(Row):
    """Pooling with a sliding kernel."""

    def geometry(self, call: Call) -> Field:
        """Stride, offset and extent of the kernel, along y and x."""
        kernel = pair(call["kernel_size"])
        stride = pair(call["stride"]) if call["stride"] else kernel
        dilation = pair(call.arguments.get("dilation", 1))
        padding = pair(call["padding"])
        y, x = (
            Interval(stride[axis], -padding[axis], dilation[axis] * (kernel[axis] - 1) + 1)
            for axis in (0, 1)
        )
        return y, x

    @override
    def field(self, call: Call, rule: Rule) -> Field:
        return self.geometry(call)

    def places(self, call: Call, signal: Tensor) -> tuple[Tensor, Iterator[Tensor]]:
        """A blank input window, and its positions under each kernel element, as views of it."""
        y, x = self.geometry(call)
        height, width = signal.shape[2:]
        rows, columns = (height - 1) * y.stride + y.size, (width - 1) * x.stride + x.size
        blank = signal.new_zeros(len(signal), rows, columns, signal.shape[1]).permute(0, 3, 1, 2)
        dilation = pair(call.arguments.get("dilation", 1))
        views = (
            blank[
                :,
                :,
                top : top + (height - 1) * y.stride + 1 : y.stride,
                left : left + (width - 1) * x.stride + 1 : x.stride,
            ]
            for top in range(0, y.size, dilation[0])
            for left in range(0, x.size, dilation[1])
        )
        return blank, views


class MaxPool(_Pool):
    """Unpooled through the recorded switches: which element of its kernel was the maximum."""

    undone: ClassVar[str] = "unpooled through the recorded switches, overlaps summed"
    any_precision: ClassVar[bool] = True

    @override
    def run(self, call: Call) -> tuple[Tensor, Tensor]:
        names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
        arguments = {name: call[name] for name in names}
        arguments["stride"] = arguments["stride"] or None
        maps = call["self"]
        pooled, flat = functional.max_pool2d(maps, **arguments, return_indices=True)
        flat = flat.to(torch.int32)  # lets go of eight bytes per unit before more is taken
        return pooled, self._switches(call, flat, maps.shape[3])

    def _switches(self, call: Call, flat: Tensor, width: int) -> Tensor:
        """Indices of the kernel's elements, from flat positions in the map."""
        kernel, dilation = pair(call["kernel_size"]), pair(call["dilation"])
        y, x = self.geometry(call)
        rows = torch.arange(flat.shape[2], device=flat.device) * y.stride + y.offset
        columns = torch.arange(flat.shape[3], device=flat.device) * x.stride + x.offset
        row = (flat // width).sub_(rows[:, None]).div_(dilation[0], rounding_mode="floor")
        column = (flat % width).sub_(columns).div_(dilation[1], rounding_mode="floor")
        compact = torch.uint8 if kernel[0] * kernel[1] <= 256 else torch.int32
        return row.mul_(kernel[1]).add_(column).to(compact)

    @override
    def adjoint(self, call: Call, signal: Tensor, saved: Lookup, rule: Rule) -> Sequence[Tensor]:
        switches = saved()
        y, x = self.geometry(call)
        if (y.stride, x.stride) == (y.size, x.size) == pair(call["kernel_size"]):
            return [_unpooled(signal, switches, (y.size, x.size))]
        window, places = self.places(call, signal)
        for element, place in enumerate(places):
            place += signal * (switches == element).view(torch.int8)  # quicker than bool
        return [window]


def _unpooled(signal: Tensor, switches: Tensor, kernel: tuple[int, int]) -> Tensor:
    """Side by side, where pooling windows do not overlap: one comparison and one product."""
    (count, channels, height, width), (rows, columns) = signal.shape, kernel
    elements = torch.arange(rows * columns, dtype=switches.dtype, device=switches.device)
    chosen = switches.permute(0, 2, 3, 1)[:, :, None, :, None]
    chosen = (chosen == elements.view(rows, 1, columns, 1)).view(torch.int8)  # quicker than bool
    spread = signal.permute(0, 2, 3, 1)[:, :, None, :, None] * chosen
    spread = spread.reshape(count, height * rows, width * columns, channels)
    return spread.permute(0, 3, 1, 2)


class AveragePool(_Pool):
    """Spread evenly over the positions that were averaged."""

    undone: ClassVar[str] = "spread evenly over the averaged positions, overlaps summed"

    @override
    def run(self, call: Call) -> tuple[Tensor, Tensor]:
        pooled = call.run()
        share = self._share(call, pooled.shape).to(pooled)
        return pooled, share.expand(len(pooled), 1, -1, -1)

    def _share(self, call: Call, pooled: Sequence[int]) -> Tensor:
        """One over the divisor of each position, which padding and the far edge may change."""
        if call["divisor_override"]:
            return torch.full(tuple(pooled[2:]), 1 / call["divisor_override"], dtype=torch.float64)
        rows, columns = (
            _counted(window, length, outputs, call["count_include_pad"])
            for window, length, outputs in zip(
                self.geometry(call), call["self"].shape[2:], pooled[2:], strict=True
            )
        )
        return 1 / (rows[:, None] * columns)

    @override
    def adjoint(self, call: Call, signal: Tensor, saved: Lookup, rule: Rule) -> Sequence[Tensor]:
        shared = signal * saved()
        window, places = self.places(call, signal)
        for place in places:
            place += shared
        return [window]


class AdaptiveMaxPool(WholeMaps):
    """Each output returns to the position where its bin's maximum was."""

    undone: ClassVar[str] = "unpooled through the recorded positions of the maxima"

    @override
    def run(self, call: Call) -> tuple[Tensor, Tensor]:
        pooled, flat = functional.adaptive_max_pool2d(
            call["self"], pair(call["output_size"]), return_indices=True
        )
        return pooled, flat.to(torch.int32)

    @override
    def adjoint(self, call: Call, signal: Tensor, saved: Lookup, rule: Rule) -> Sequence[Tensor]:
        height, width = call["self"].shape[2:]
        blank = signal.new_zeros(*signal.shape[:2], height * width)
        spread = blank.scatter_add_(2, saved().flatten(2).long(), signal.flatten(2))
        return [spread.view(*signal.shape[:2], height, width)]


class MaxUnpool(WholeMaps):
    """Each number at the place that a pooling recorded, as in SegNet; read from there again."""

    undone: ClassVar[str] = "read at the recorded positions of the maxima"

    @override
    def targets(self, operation: Operation, rule: Rule) -> Sequence[str]:
        return operation.inputs[:1]

    @override
    def run(self, call: Call) -> tuple[Tensor, Tensor]:
        return call.run(), call["indices"].to(torch.int32)

    @override
    def adjoint(self, call: Call, signal: Tensor, saved: Lookup, rule: Rule) -> Sequence[Tensor]:
        places = saved()
        return [signal.flatten(2).gather(2, places.flatten(2).long()).view(places.shape)]


class AdaptiveAveragePool(WholeMaps):
    """Spread evenly over each output's bin."""

    undone: ClassVar[str] = "spread evenly over each bin, overlaps summed"

    @override
    def adjoint(self, call: Call, signal: Tensor, saved: Lookup, rule: Rule) -> Sequence[Tensor]:
        rows, columns = (
            _bins(whole, outputs).to(signal)
            for whole, outputs in zip(call["self"].shape[2:], signal.shape[2:], strict=True)
        )
        return [rows.T @ signal @ columns]


class Mean(WholeMaps):
    """Spread evenly over the axes that were averaged."""

    undone: ClassVar[str] = "spread evenly over the averaged positions"

    @override
    def refusal(self, call: Call) -> str | None:
        if call["dim"] is None or 0 in self._axes(call):
            return "it averages over the images of a batch"
        return None

    def _axes(self, call: Call) -> list[int]:
        dims = [call["dim"]] if isinstance(call["dim"], int) else call["dim"]
        return sorted(dim % call["self"].dim() for dim in dims)

    @override
    def adjoint(self, call: Call, signal: Tensor, saved: Lookup, rule: Rule) -> Sequence[Tensor]:
        shape, count = call["self"].shape, 1
        for axis in self._axes(call):
            signal = signal if call["keepdim"] else signal.unsqueeze(axis)
            count *= shape[axis]
        return [(signal / count).expand(len(signal), *shape[1:])]


def _counted(kernel: Interval, length: int, outputs: int, include_padding: bool) -> Tensor:
    """(outputs,) how many positions each average counts along an axis."""
    first = torch.arange(outputs, dtype=torch.float64) * kernel.stride + kernel.offset
    last = (first + kernel.size).clamp(
        max=length - kernel.offset
    )  # the offset is minus the padding
    if not include_padding:
        first, last = first.clamp(min=0), last.clamp(max=length)
    return last - first


def _bins(whole: int, outputs: int) -> Tensor:
    """(outputs, whole) adaptive average pooling along one axis as a matrix."""
    output, position = torch.arange(outputs)[:, None], torch.arange(whole)
    first, last = output * whole // outputs, -(-(output + 1) * whole // outputs)
    inside = ((position >= first) & (position < last)).double()
    return inside / inside.sum(1, keepdim=True)
