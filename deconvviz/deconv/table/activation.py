"""Rows of the activations, where the three rules differ."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from deconvviz.deconv.rules import Rule
from deconvviz.deconv.table.row import Lookup, Row
from deconvviz.deconv.tape import Call


class Activation(Row, ABC):
    """An activation f of each unit alone; saved is f'(a), in bool where it is 0 or 1."""

    undone: ClassVar[str] = "deconvnet relu(s), guided relu(f'(a) s), gradient f'(a) s"
    rectifies: ClassVar[bool] = True
    elementwise: ClassVar[bool] = True

    @abstractmethod
    def derivative(self, call: Call) -> Tensor:
        """The derivative at the recorded activation."""

    @override
    def run(self, call: Call) -> tuple[Tensor, Tensor]:
        return call.run(), self.derivative(call)

    @override
    def adjoint(self, call: Call, signal: Tensor, saved: Lookup, rule: Rule) -> Sequence[Tensor]:
        if rule == "deconvnet":
            return [signal.relu()]
        derivative = saved()
        if derivative.dtype == torch.bool:
            derivative = derivative.view(torch.int8)  # three times as quick as a product with bool
        passed = signal * derivative
        return [passed.relu() if rule == "guided" else passed]


class ReLU(Activation):
    """Zero below zero."""

    any_precision: ClassVar[bool] = True

    @override
    def derivative(self, call: Call) -> Tensor:
        return torch.gt(call["self"], 0)


class ClippedReLU(Activation):
    """Flat beyond two bounds, the identity between them: ReLU6 and hardtanh."""

    extension: ClassVar[bool] = True
    any_precision: ClassVar[bool] = True

    @override
    def derivative(self, call: Call) -> Tensor:
        low, high = call.arguments.get("min_val", 0), call.arguments.get("max_val", 6)
        return torch.gt(call["self"], low) & torch.lt(call["self"], high)


class SmoothActivation(Activation):
    """Any other activation of each unit alone; its derivative is torch's own."""

    extension: ClassVar[bool] = True

    @override
    def derivative(self, call: Call) -> Tensor:
        with torch.enable_grad():
            activation = call["self"].detach().requires_grad_()
            value = Call(call.operation, {**call.arguments, "self": activation}).run()
            derivative: Tensor = torch.autograd.grad(value.sum(), activation)[0]
        return derivative


class PReLU(SmoothActivation):
    """Leaky ReLU with a learned slope, or one for each index of axis 1."""

    elementwise: ClassVar[bool] = False
