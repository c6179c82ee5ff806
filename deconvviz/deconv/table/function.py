"""Rows of functions that are no activations: a signal is multiplied by the recorded derivative.

Powers and roots of generalised-mean and LP pooling, norms, maxima. The three rules do not
differ there, because nothing is rectified.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from deconvviz.deconv.geometry import HERE, Field
from deconvviz.deconv.rules import Rule
from deconvviz.deconv.table.activation import SmoothActivation
from deconvviz.deconv.table.linear import inputs_of, run_on
from deconvviz.deconv.table.row import Lookup, Row, WholeMaps
from deconvviz.deconv.tape import Call


class Function(SmoothActivation):
    """A function of each number alone. Where its derivative is infinite, nothing passes."""

    undone: ClassVar[str] = "multiplied by the recorded derivative"
    rectifies: ClassVar[bool] = False

    @override
    def derivative(self, call: Call) -> Tensor:
        return super().derivative(call).nan_to_num(0, 0, 0)

    @override
    def adjoint(self, call: Call, signal: Tensor, saved: Lookup, rule: Rule) -> Sequence[Tensor]:
        return [signal * saved()]


class FunctionWithWeights(Function):
    """A function of each number and of weights, such as a power with a learned exponent."""

    elementwise: ClassVar[bool] = False

    @override
    def refusal(self, call: Call) -> str | None:
        several = len(call.operation.inputs) > 1
        return "it combines two branches that both depend on the images" if several else None


class Recorded(WholeMaps):
    """A function of several numbers of each image: a maximum over an axis, a norm."""

    undone: ClassVar[str] = "multiplied by the recorded derivative, from full maps"
    extension: ClassVar[bool] = True

    @override
    def refusal(self, call: Call) -> str | None:
        same_batch = self.value(call).shape[:1] == inputs_of(call)[0].shape[:1]
        return (
            None if same_batch and 0 not in self._axes(call) else "it mixes the images of a batch"
        )

    def _axes(self, call: Call) -> list[int]:
        dims, named = inputs_of(call)[0].dim(), call.arguments.get("dim")
        if named is None or named == []:
            return list(range(dims))
        return [axis % dims for axis in ([named] if isinstance(named, int) else named)]

    @override
    def run(self, call: Call) -> tuple[Tensor, Tensor]:
        return self.value(call), inputs_of(call)[0]

    @override
    def adjoint(self, call: Call, signal: Tensor, saved: Lookup, rule: Rule) -> Sequence[Tensor]:
        with torch.enable_grad():
            recorded = saved().detach().requires_grad_()
            value = run_on(call, [recorded])
            value = value if isinstance(value, Tensor) else value[0]
            sent: Sequence[Tensor] = torch.autograd.grad(value, recorded, signal)
        return sent


class GatedHalves(Row):
    """The first half of an axis times the sigmoid of the second: a gate, as in `Gate`."""

    undone: ClassVar[str] = "multiplied by the recorded gate; gradient: the derivative of both"
    extension: ClassVar[bool] = True

    def _axis(self, call: Call) -> int:
        return int(call["dim"] % call["self"].dim())

    @override
    def field(self, call: Call, rule: Rule) -> Field | None:
        return HERE if self._axis(call) < max(2, call["self"].dim() - 2) else None

    @override
    def run(self, call: Call) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        maps, gate = call["self"].chunk(2, self._axis(call))
        gate = gate.sigmoid()
        return call.run(), (gate, maps * gate * (1 - gate))

    @override
    def adjoint(self, call: Call, signal: Tensor, saved: Lookup, rule: Rule) -> Sequence[Tensor]:
        gate, derivative = saved()
        held = signal * derivative if rule == "gradient" else torch.zeros_like(signal)
        return [torch.cat([signal * gate, held], self._axis(call))]
