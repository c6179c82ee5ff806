"""One row of the table: how an operation is run, its geometry, and its adjoint."""

# ruff: noqa: ARG002 - the base row has no use for most of what other rows need

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from torch import Tensor

from deconvviz.deconv.geometry import HERE, Field
from deconvviz.deconv.rules import Rule
from deconvviz.deconv.tape import Call, Operation

Saved = Tensor | tuple[Tensor, ...]
"""Tensors that the forward pass saves for the adjoint, as `save_for_backward` does."""

Lookup = Callable[[], Any]


class Row:
    """A kind of operation. This base passes signals through, position by position.

    Attributes:
        undone: Reversal of the operation, in words, for the coverage report.
        extension: Whether the paper's deconvnet does not have it.
        rectifies: Whether it is an activation, where the rules differ.
        any_precision: Whether the adjoint computes in the signal's dtype, a lower one too. Others
            get signals in the model's dtype.
        elementwise: Whether each number of the value depends on that number of the one input alone,
            wherever it stands, so that the operation may run in any order of axes.
    """

    undone: ClassVar[str] = "passed through"
    extension: ClassVar[bool] = False
    rectifies: ClassVar[bool] = False
    any_precision: ClassVar[bool] = False
    elementwise: ClassVar[bool] = False

    def refusal(self, call: Call) -> str | None:
        """Why this call has no adjoint; None if it has one."""
        return None

    def value(self, call: Call) -> Tensor:
        """The operation's value alone: where pooling returns its switches too, the map."""
        value = call.run()
        return value if isinstance(value, Tensor) else value[0]

    def run(self, call: Call) -> tuple[Tensor, Saved | None]:
        """The operation's value, and the state that the adjoint needs from this forward pass.

        Saved tensors have the value's positions: (N, ..., H, W), or (N, ...) for a value without
        positions; in a compact dtype. An axis of size one stands for all of it.
        """
        return call.run(), None

    def targets(self, operation: Operation, rule: Rule) -> Sequence[str]:
        """Names of the inputs that get a signal, among `operation.inputs`, in order."""
        return operation.inputs

    def field(self, call: Call, rule: Rule) -> Field | None:
        """The interval of each target that one output position reads; None if it is no interval."""
        return HERE

    def adjoint(self, call: Call, signal: Tensor, saved: Lookup, rule: Rule) -> Sequence[Tensor]:
        """The signal sent to each of the `targets`, in their order.

        Args:
            call: The operation with its weights; the inputs are known by shape alone.
            signal: (K, ..., h, w) in K windows of the value, or (K, ...) without positions.
            saved: Looks up what `run` saved, at the same windows.
            rule: Rule of activations; gates and normalisations hold statistics unless
                "gradient".

        Returns:
            For each target (K, ..., h', w') in the windows that `field` leads to, or on the whole
            input if `field` is None. What falls off the input's edge is cut away by the caller.
        """
        return [signal]


class WholeMaps(Row):
    """An operation whose receptive field is no interval, or is all positions."""

    def field(self, call: Call, rule: Rule) -> Field | None:
        """None: signals are computed on whole maps."""
        return None


def pair(value: Any) -> tuple[int, int]:
    """ATen's sizes along y and x, which may be one number for both."""
    if isinstance(value, int):
        return value, value
    return (value[0], value[0]) if len(value) == 1 else (value[0], value[1])
