"""Rows of the normalisations: fixed statistics are a scale, an image's own are held as recorded."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from deconvviz.deconv.geometry import HERE, Field
from deconvviz.deconv.rules import Rule
from deconvviz.deconv.table.row import Lookup, Row, WholeMaps
from deconvviz.deconv.tape import Call


class BatchNorm(Row):
    """Multiplication by the scale, which equals folding it into the convolution before."""

    undone: ClassVar[str] = "multiplied by its scale, no shift"
    any_precision: ClassVar[bool] = True

    @override
    def refusal(self, call: Call) -> str | None:
        return "it uses the statistics of the batch" if call["training"] else None

    @override
    def adjoint(self, call: Call, signal: Tensor, saved: Lookup, rule: Rule) -> Sequence[Tensor]:
        scale = (call["running_var"] + call["eps"]).rsqrt()
        if call["weight"] is not None:
            scale = scale * call["weight"]
        return [signal * scale.to(signal.dtype).view(-1, *[1] * (signal.dim() - 2))]


class _OwnStatistics(Row, ABC):
    """A normalisation by an image's own mean and variance over some axes.

    Under `deconvnet` and `guided` the statistics are held as recorded, like switches, so that what
    is left is a scale; under `gradient` they have their share in the derivative.
    """

    undone: ClassVar[str] = "multiplied by the recorded scale; gradient: the full derivative"
    extension: ClassVar[bool] = True
    centred: ClassVar[bool] = True

    @abstractmethod
    def grouped(self, call: Call, value: Tensor) -> tuple[Tensor, tuple[int, ...]]:
        """A value or signal in a shape whose statistics are over whole axes, and these axes."""

    @abstractmethod
    def weight(self, call: Call, signal: Tensor) -> Tensor | None:
        """The learned scale, in a shape that broadcasts over a signal."""

    @override
    def run(self, call: Call) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        maps, axes = self.grouped(call, call["input"])
        if self.centred:
            maps = maps - maps.mean(axes, keepdim=True)
        eps = torch.finfo(maps.dtype).eps if call["eps"] is None else call["eps"]
        scale = (maps.square().mean(axes, keepdim=True) + eps).rsqrt()
        normal = (maps * scale).reshape(call["input"].shape)
        return call.run(), (self.recorded(call, scale), normal)

    def recorded(self, call: Call, scale: Tensor) -> Tensor:  # noqa: ARG002  groups have a use
        """The scales in a shape that broadcasts over the value."""
        return scale

    @override
    def adjoint(self, call: Call, signal: Tensor, saved: Lookup, rule: Rule) -> Sequence[Tensor]:
        scale, normal = saved()
        weight = self.weight(call, signal)
        signal = signal if weight is None else signal * weight
        if rule == "gradient":
            values, axes = self.grouped(call, signal)
            normal = normal.reshape(values.shape)
            share = (values * normal).mean(axes, keepdim=True)
            if self.centred:
                values = values - values.mean(axes, keepdim=True)
            values = values - normal * share
            signal = values.reshape(signal.shape)
        return [signal * scale]


class LayerNorm(WholeMaps, _OwnStatistics):
    """Over the last axes."""

    @override
    def grouped(self, call: Call, value: Tensor) -> tuple[Tensor, tuple[int, ...]]:
        return value, tuple(range(-len(call["normalized_shape"]), 0))

    @override
    def weight(self, call: Call, signal: Tensor) -> Tensor | None:
        weight: Tensor | None = call["weight"]
        return weight


class RMSNorm(LayerNorm):
    """Over the last axes, by the mean square alone."""

    centred: ClassVar[bool] = False


class ChannelNorm(_OwnStatistics):
    """Over the channels, at every position."""

    @override
    def grouped(self, call: Call, value: Tensor) -> tuple[Tensor, tuple[int, ...]]:
        return value, (1,)

    @override
    def weight(self, call: Call, signal: Tensor) -> Tensor | None:
        return None if call["weight"] is None else call["weight"][:, None, None]


class InstanceNorm(_OwnStatistics):
    """Over all positions of a feature map."""

    @override
    def refusal(self, call: Call) -> str | None:
        return None if call["use_input_stats"] else "it uses statistics of other images"

    @override
    def field(self, call: Call, rule: Rule) -> Field | None:
        return None if rule == "gradient" else HERE

    @override
    def grouped(self, call: Call, value: Tensor) -> tuple[Tensor, tuple[int, ...]]:
        return value, tuple(range(2, value.dim()))

    @override
    def weight(self, call: Call, signal: Tensor) -> Tensor | None:
        weight: Tensor | None = call["weight"]
        return None if weight is None else weight.view(-1, *[1] * (signal.dim() - 2))


class GroupNorm(InstanceNorm):
    """Over all positions and the channels of a group."""

    @override
    def refusal(self, call: Call) -> None:
        return None

    @override
    def grouped(self, call: Call, value: Tensor) -> tuple[Tensor, tuple[int, ...]]:
        values = value.reshape(len(value), call["num_groups"], -1, *value.shape[2:])
        return values, tuple(range(2, values.dim()))

    @override
    def recorded(self, call: Call, scale: Tensor) -> Tensor:
        channels = call["input"].shape[1] // call["num_groups"]
        by_channel = scale.flatten(1).repeat_interleave(channels, 1)
        return by_channel.view(len(scale), -1, *[1] * (call["input"].dim() - 2))
