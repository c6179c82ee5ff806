"""Rows of the linear operations that keep every position where it is."""

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor
from typing_extensions import override

from deconvviz.deconv.geometry import HERE, Field
from deconvviz.deconv.rules import Rule
from deconvviz.deconv.table.row import Lookup, Row
from deconvviz.deconv.tape import Call, Operation


class Identity(Row):
    """The same numbers, copied or in another dtype."""

    elementwise: ClassVar[bool] = True


class Dropout(Identity):
    """The identity in evaluation form."""

    @override
    def refusal(self, call: Call) -> str | None:
        return "it drops units even in evaluation mode" if call["train"] else None


class FeatureDropout(Dropout):
    """Dropout of whole feature maps, along axis 1; the identity in evaluation form."""

    elementwise: ClassVar[bool] = False


class Sum(Row):
    """A sum: each branch gets the whole signal."""

    undone: ClassVar[str] = "the whole signal to every branch"
    sign: ClassVar[int] = 1

    @override
    def refusal(self, call: Call) -> str | None:
        return _broadcast(call)

    @override
    def adjoint(self, call: Call, signal: Tensor, saved: Lookup, rule: Rule) -> Sequence[Tensor]:
        signals = [signal] if call.varies("self") else []
        if call.varies("other"):
            factor = self.sign * call["alpha"]
            signals.append(signal if factor == 1 else signal * factor)
        return signals


class Difference(Sum):
    """A difference: the branch that is subtracted gets the signal with its sign turned."""

    sign: ClassVar[int] = -1


class Multiply(Row):
    """A product with weights or a number."""

    undone: ClassVar[str] = "multiplied by the same factor"

    @override
    def refusal(self, call: Call) -> str | None:
        if len(call.operation.inputs) > 1:
            return "it multiplies two branches that both depend on the images"
        return _broadcast(call)

    def factor(self, call: Call) -> Any:
        """The factor that multiplies the branch."""
        return call["other"] if call.varies("self") else call["self"]

    @override
    def field(self, call: Call, rule: Rule) -> Field | None:
        factor = self.factor(call)
        # A factor of its own for every position would have to be cut to the windows.
        return (
            None if isinstance(factor, Tensor) and max(factor.shape[-2:], default=1) > 1 else HERE
        )

    @override
    def adjoint(self, call: Call, signal: Tensor, saved: Lookup, rule: Rule) -> Sequence[Tensor]:
        return [signal * self.factor(call)]


class Gate(Row):
    """A product with a gate, as in squeeze-and-excitation.

    Under `deconvnet` and `guided` the gate is held as recorded, like a switch; under `gradient` it
    has its share in the derivative.
    """

    undone: ClassVar[str] = "multiplied by the recorded gate; gradient: the derivative of both"
    extension: ClassVar[bool] = True

    @override
    def run(self, call: Call) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        return call.run(), (call["gate"], call["maps"])

    @override
    def targets(self, operation: Operation, rule: Rule) -> Sequence[str]:
        return operation.inputs if rule == "gradient" else operation.inputs[:1]

    @override
    def field(self, call: Call, rule: Rule) -> Field | None:
        one_for_all = call["gate"].shape[-2:] != call["maps"].shape[-2:]
        return None if rule == "gradient" and one_for_all else HERE

    @override
    def adjoint(self, call: Call, signal: Tensor, saved: Lookup, rule: Rule) -> Sequence[Tensor]:
        gate, maps = saved()
        passed = signal * gate
        if rule != "gradient":
            return [passed]
        share = signal * maps
        summed = [
            axis for axis in range(1, share.dim()) if gate.shape[axis] == 1 != share.shape[axis]
        ]
        return [passed, share.sum(summed, keepdim=True) if summed else share]


class Divide(Multiply):
    """A quotient by weights or a number."""

    undone: ClassVar[str] = "divided by the same factor"

    @override
    def refusal(self, call: Call) -> str | None:
        if call.varies("other"):
            return "its divisor depends on the images"
        return super().refusal(call)

    @override
    def factor(self, call: Call) -> Any:
        return 1 / call["other"]


def _broadcast(call: Call) -> str | None:
    """Why a sum or product cannot be undone: a signal would have to be summed over an axis."""
    shapes = {name: getattr(call[name], "shape", ()) for name in ("self", "other")}
    varying = [shapes[name] for name in shapes if call.varies(name)]
    if all(_fits(shape, branch) for shape in shapes.values() for branch in varying):
        return None
    return "it broadcasts a branch that depends on the images"


def _fits(shape: Sequence[int], branch: Sequence[int]) -> bool:
    """Whether a tensor of `shape` broadcasts over `branch` and leaves its shape alone."""
    ends = zip(reversed(shape), reversed(branch), strict=False)
    return len(shape) <= len(branch) and all(size in (1, whole) for size, whole in ends)
