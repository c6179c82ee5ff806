"""What one row of the table holds: how an operation is run, measured and undone."""

# ruff: noqa: ARG002 - the base row has no use for most of what other rows need

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from torch import Tensor

from deconvviz.deconv.geometry import HERE, Field
from deconvviz.deconv.rules import Rule
from deconvviz.deconv.tape import Call, Operation

__all__ = ["Recall", "Row", "Saved", "pair"]

Saved = Tensor | tuple[Tensor, ...]
Recall = Callable[[], Any]


class Row:
    """One row: a kind of operation. This base is the identity in all but its forward pass.

    Attributes:
        undone: How the operation is undone, in words, for the coverage report.
        extension: Whether the paper's deconvnet says nothing of it, so that ours goes further.
        rectifies: Whether it is an activation, where the rules differ.
    """

    undone: ClassVar[str] = "passed through"
    extension: ClassVar[bool] = False
    rectifies: ClassVar[bool] = False

    def refusal(self, call: Call) -> str | None:
        """Why this very call cannot be undone; None if it can."""
        return None

    def value(self, call: Call) -> Any:
        """The operation's value alone: a tensor, or several where an operation splits one."""
        return call.run()

    def run(self, call: Call) -> tuple[Tensor, Saved | None]:
        """The operation's value, and what must be remembered to undo it.

        What is remembered, one tensor or several, lies over the value: (N, ..., H, W), or (N, ...)
        where that has no positions, in a compact dtype. An axis of size one stands for all of it.
        """
        return call.run(), None

    def targets(self, operation: Operation, rule: Rule) -> Sequence[str]:
        """The names of the inputs that get a signal, among `operation.inputs`, in order."""
        return operation.inputs

    def reach(self, call: Call, rule: Rule) -> Field | None:
        """What one output position reads of each target; None if that is no interval."""
        return HERE

    def adjoint(self, call: Call, signal: Tensor, recall: Recall, rule: Rule) -> Sequence[Tensor]:
        """The signal sent to each of the `targets`, in their order.

        Args:
            call: The operation with its weights; the inputs are known by shape alone.
            signal: (K, ..., h, w) in K windows of the value, or (K, ...) without positions.
            recall: Looks up what `run` remembered, at the same windows.
            rule: Matters to activations alone.

        Returns:
            Per target (K, ..., h', w') in the windows that `reach` leads to, or on the whole input
            if that is None. What falls off the input's edge is cut away by the caller.
        """
        return [signal]


def pair(value: Any) -> tuple[int, int]:
    """ATen's sizes along y and x, which may be one number for both."""
    if isinstance(value, int):
        return value, value
    return (value[0], value[0]) if len(value) == 1 else (value[0], value[1])
