"""Rows of the operations that move values or change shapes."""

from collections.abc import Sequence
from sys import maxsize
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from deconvviz.deconv.geometry import HERE, Field, Interval, has_positions
from deconvviz.deconv.rules import Rule
from deconvviz.deconv.table.linear import LinearMap
from deconvviz.deconv.table.row import Lookup, Row, WholeMaps
from deconvviz.deconv.tape import Call, Operation, Ref


class Reshape(Row):
    """The same numbers in another shape, image by image: flatten, view, reshape, squeeze."""

    undone: ClassVar[str] = "the former shape"
    any_precision: ClassVar[bool] = True

    @override
    def refusal(self, call: Call) -> str | None:
        same_batch = call.run().shape[:1] == call["self"].shape[:1]
        return None if same_batch else "it mixes the images of a batch"

    @override
    def field(self, call: Call, rule: Rule) -> Field | None:
        # The last two axes stay: it regroups channels, as a channel shuffle does.
        before, after = call["self"].shape, call.run().shape
        stays = has_positions(before) and has_positions(after) and before[-2:] == after[-2:]
        return HERE if stays else None

    @override
    def adjoint(self, call: Call, signal: Tensor, saved: Lookup, rule: Rule) -> Sequence[Tensor]:
        shape = call["self"].shape[1:]
        if self.field(call, rule) is not None:
            shape = (*shape[:-2], *signal.shape[-2:])
        return [signal.reshape(len(signal), *shape)]


class Unshuffle(Row):
    """Squares of pixels as channels, as in networks that work at half the resolution."""

    undone: ClassVar[str] = "the pixels' former places"

    @override
    def field(self, call: Call, rule: Rule) -> Field | None:
        if not has_positions(call["self"].shape):
            return None
        square = Interval(call["downscale_factor"], 0, call["downscale_factor"])
        return square, square

    @override
    def adjoint(self, call: Call, signal: Tensor, saved: Lookup, rule: Rule) -> Sequence[Tensor]:
        return [functional.pixel_shuffle(signal, call["downscale_factor"])]


class Transpose(Row):
    """Axes in another order, the batch's excepted."""

    undone: ClassVar[str] = "the former order of axes"

    @override
    def refusal(self, call: Call) -> str | None:
        return None if self._order(call)[0] == 0 else "it transposes the images of a batch"

    def _order(self, call: Call) -> list[int]:
        dims = call["self"].dim()
        if "dims" in call.arguments:
            return [dim % dims for dim in call["dims"]]
        order, (a, b) = list(range(dims)), (call["dim0"] % dims, call["dim1"] % dims)
        order[a], order[b] = b, a
        return order

    @override
    def field(self, call: Call, rule: Rule) -> Field | None:
        order = self._order(call)
        last = len(order) - 2, len(order) - 1
        return HERE if has_positions(call["self"].shape) and (*order[-2:],) == last else None

    @override
    def adjoint(self, call: Call, signal: Tensor, saved: Lookup, rule: Rule) -> Sequence[Tensor]:
        order = self._order(call)
        return [signal.permute([order.index(axis) for axis in range(len(order))])]


class Slice(Row):
    """A part of an axis."""

    undone: ClassVar[str] = "back to its part, zero elsewhere"
    any_precision: ClassVar[bool] = True

    @override
    def refusal(self, call: Call) -> str | None:
        everything = (call["start"] or 0, call["end"] or maxsize, call["step"]) == (0, maxsize, 1)
        of_batch = call["dim"] % call["self"].dim() == 0
        return "it takes a part of the batch" if of_batch and not everything else None

    def _range(self, call: Call) -> tuple[int, int, int, int]:
        """The axis, its length, the first index and the step of the part."""
        axis = call["dim"] % call["self"].dim()
        length = call["self"].shape[axis]
        start, _, step = slice(call["start"], call["end"], call["step"]).indices(length)
        return axis, length, start, step

    @override
    def field(self, call: Call, rule: Rule) -> Field | None:
        axis, _, start, step = self._range(call)
        from_end = axis - call["self"].dim()
        if from_end < -2 or not has_positions(call["self"].shape):
            return HERE
        moved = Interval(step, start, 1)
        return (moved, HERE[1]) if from_end == -2 else (HERE[0], moved)

    @override
    def adjoint(self, call: Call, signal: Tensor, saved: Lookup, rule: Rule) -> Sequence[Tensor]:
        axis, length, start, step = self._range(call)
        if not axis:  # all images, as `maps[:, :8, :, :]` spells out
            return [signal]
        if axis >= call["self"].dim() - 2 and has_positions(call["self"].shape):
            length, start = (signal.shape[axis] - 1) * step + 1, 0
        sent = signal.new_zeros(*signal.shape[:axis], length, *signal.shape[axis + 1 :])
        index = torch.arange(signal.shape[axis], device=signal.device) * step + start
        return [sent.index_copy_(axis, index, signal)]


class Expand(WholeMaps):
    """One number for many places."""

    undone: ClassVar[str] = "summed over the places that share a number"

    @override
    def refusal(self, call: Call) -> str | None:
        before, after = call["self"].shape, call.run().shape
        if len(before) != len(after) or before[0] != after[0]:
            return "it adds axes, or copies images"
        return None

    @override
    def targets(self, operation: Operation, rule: Rule) -> Sequence[str]:
        return operation.inputs[:1]  # the second of `expand_as` is read for its shape

    @override
    def adjoint(self, call: Call, signal: Tensor, saved: Lookup, rule: Rule) -> Sequence[Tensor]:
        shape = call["self"].shape
        shared = [axis for axis in range(1, len(shape)) if shape[axis] != signal.shape[axis]]
        return [signal.sum(shared, keepdim=True) if shared else signal]


class ChannelShuffle(Row):
    """The channels of every group dealt out in turn."""

    undone: ClassVar[str] = "the former order of channels"

    @override
    def adjoint(self, call: Call, signal: Tensor, saved: Lookup, rule: Rule) -> Sequence[Tensor]:
        return [functional.channel_shuffle(signal, call["self"].shape[1] // call["groups"])]


class Concatenate(Row):
    """Several branches, one after another along an axis: of channels, rows or columns."""

    undone: ClassVar[str] = "each branch gets its own part"
    any_precision: ClassVar[bool] = True

    @override
    def refusal(self, call: Call) -> str | None:
        return None if self._axis(call) else "it joins images to one batch"

    def _axis(self, call: Call) -> int:
        return int(call["dim"] % call["tensors"][0].dim())

    @override
    def field(self, call: Call, rule: Rule) -> Field | None:
        return HERE if self._axis(call) < max(2, call["tensors"][0].dim() - 2) else None

    @override
    def adjoint(self, call: Call, signal: Tensor, saved: Lookup, rule: Rule) -> Sequence[Tensor]:
        axis = self._axis(call)
        parts = torch.split(signal, [branch.shape[axis] for branch in call["tensors"]], dim=axis)
        refs: tuple[Ref, ...] = call.operation.arguments["tensors"]
        inputs = call.operation.inputs
        return [part for ref, part in zip(refs, parts, strict=True) if ref.name in inputs]


class Pad(LinearMap):
    """A border around the map: constant, or repeating the map; a negative one crops."""

    undone: ClassVar[str] = "its border cut away, or summed back where it repeats the map"

    def _around(self, call: Call) -> bool:
        """Whether it pads the two axes of a map alone."""
        return len(call["pad"]) <= 4 and call["self"].dim() == 4

    @override
    def field(self, call: Call, rule: Rule) -> Field | None:
        if call["mode"] != "constant" or not self._around(call):
            return None
        left, _, top, _ = (*call["pad"], 0, 0)[:4]
        return Interval(1, -top, 1), Interval(1, -left, 1)

    @override
    def adjoint(self, call: Call, signal: Tensor, saved: Lookup, rule: Rule) -> Sequence[Tensor]:
        if call["mode"] == "constant" and self._around(call):
            return [signal]
        return super().adjoint(call, signal, saved, rule)
