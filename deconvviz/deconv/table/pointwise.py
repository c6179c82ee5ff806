"""Rows of the operations that keep every position where it is: of one value, or of two."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from deconvviz.deconv.geometry import HERE, Field
from deconvviz.deconv.rules import Rule
from deconvviz.deconv.table.row import Lookup, Row
from deconvviz.deconv.tape import Call, Operation, Ref


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


class Pairwise(Row, ABC):
    """An operation of two operands, number by number, either of which may be the larger.

    Where one number of a branch meets many of the other operand, their signals are summed.
    """

    operands: ClassVar[tuple[str, str]] = ("self", "other")
    conditions: ClassVar[tuple[str, ...]] = ()

    @override
    def refusal(self, call: Call) -> str | None:
        axes = len(self._shape(call))
        if all(call[name].dim() == axes for name in self.operands if call.varies(name)):
            return None
        return "a branch that depends on the images has fewer axes than the other"

    @override
    def field(self, call: Call, rule: Rule) -> Field | None:
        positions = self._shape(call)[-2:]
        kept = all(call[name].shape[-2:] == positions for name in self._sent(call, rule))
        return HERE if kept else None

    @override
    def adjoint(self, call: Call, signal: Tensor, saved: Lookup, rule: Rule) -> Sequence[Tensor]:
        return [
            self._summed(call, name, self.share(call, name, signal, saved))
            for name in self._sent(call, rule)
        ]

    @abstractmethod
    def share(self, call: Call, name: str, signal: Tensor, saved: Lookup) -> Tensor:
        """The signal that an operand would get if it were as large as the value."""

    def _sent(self, call: Call, rule: Rule) -> list[str]:
        """The operands that get a signal."""
        targets, given = self.targets(call.operation, rule), call.operation.arguments
        return [name for name in self.operands if call.varies(name) and given[name].name in targets]

    def _shape(self, call: Call) -> torch.Size:
        """The shape of the value."""
        names = (*self.operands, *self.conditions)
        shapes = [getattr(call[name], "shape", ()) for name in names]
        if isinstance(shapes[0], torch.Size) and shapes.count(shapes[0]) == len(shapes):
            return shapes[0]  # which is quicker
        whole: torch.Size = torch.broadcast_shapes(*shapes)  # type: ignore[no-untyped-call]
        return whole

    def _summed(self, call: Call, name: str, signal: Tensor) -> Tensor:
        """A signal of the value's shape, or in a window of it, in the shape of an operand."""
        sizes = zip(call[name].shape, self._shape(call), strict=True)
        shared = [axis for axis, (own, whole) in enumerate(sizes) if axis and own != whole]
        return signal.sum(shared, keepdim=True) if shared else signal


class Sum(Pairwise):
    """A sum: each branch gets the whole signal."""

    undone: ClassVar[str] = "the whole signal to every branch"
    any_precision: ClassVar[bool] = True
    sign: ClassVar[int] = 1

    @override
    def share(self, call: Call, name: str, signal: Tensor, saved: Lookup) -> Tensor:
        factor = self.sign * call["alpha"] if name == "other" else 1
        return signal if factor == 1 else signal * factor


class Difference(Sum):
    """A difference: the branch that is subtracted gets the signal with its sign turned."""

    sign: ClassVar[int] = -1


class Multiply(Pairwise):
    """A product with weights or a number."""

    undone: ClassVar[str] = "multiplied by the same factor"

    @override
    def refusal(self, call: Call) -> str | None:
        if len(call.operation.inputs) > 1:
            return "it multiplies two branches that both depend on the images"
        given = call["other"] if call.varies("self") else call["self"]
        factor = _of_one_image(given, call)
        if isinstance(factor, Tensor) and factor.shape != given.shape and given.ne(factor).any():
            return "its factors are not the same for every image of a batch"
        return super().refusal(call)

    def factor(self, call: Call) -> Any:
        """The factor that multiplies the branch."""
        return _of_one_image(call["other"] if call.varies("self") else call["self"], call)

    @override
    def field(self, call: Call, rule: Rule) -> Field | None:
        factor = self.factor(call)
        # A factor of its own for every position would have to be cut to the windows.
        if isinstance(factor, Tensor) and max(factor.shape[-2:], default=1) > 1:
            return None
        return super().field(call, rule)

    @override
    def share(self, call: Call, name: str, signal: Tensor, saved: Lookup) -> Tensor:
        shared: Tensor = signal * self.factor(call)
        return shared


def _of_one_image(factor: Any, call: Call) -> Any:
    """A factor, of which there may be one for each image, for any number of images."""
    axes = max(value.dim() for value in call.arguments.values() if isinstance(value, Tensor))
    several = isinstance(factor, Tensor) and factor.dim() == axes
    return factor[:1] if several else factor


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
        return 1 / _of_one_image(call["other"], call)


class Gate(Pairwise):
    """A product with a gate, as in squeeze-and-excitation.

    Under `deconvnet` and `guided` the gate is held as recorded, like a switch; under `gradient` it
    has its share in the derivative.
    """

    undone: ClassVar[str] = "multiplied by the recorded gate; gradient: the derivative of both"
    extension: ClassVar[bool] = True
    operands: ClassVar[tuple[str, str]] = ("maps", "gate")

    @override
    def run(self, call: Call) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        return call.run(), (call["gate"], call["maps"])

    @override
    def targets(self, operation: Operation, rule: Rule) -> Sequence[str]:
        return operation.inputs if rule == "gradient" else operation.inputs[:1]

    @override
    def share(self, call: Call, name: str, signal: Tensor, saved: Lookup) -> Tensor:
        gate, maps = saved()
        other: Tensor = gate if name == "maps" else maps
        return signal * other


class Masked(Gate):
    """A product with what a comparison says, which has no derivative."""

    undone: ClassVar[str] = "multiplied by the recorded mask"

    @override
    def targets(self, operation: Operation, rule: Rule) -> Sequence[str]:
        return operation.inputs[:1]


class Choice(Pairwise):
    """One of two operands, number by number; each gets the signal where it was taken.

    Saved is the share of the first operand: 1, 0, or a half where `maximum` found both equal.
    """

    undone: ClassVar[str] = "each branch gets the signal where it was taken"
    extension: ClassVar[bool] = True

    @override
    def targets(self, operation: Operation, rule: Rule) -> Sequence[str]:
        given = [operation.arguments.get(name) for name in self.operands]
        names = [ref.name for ref in given if isinstance(ref, Ref)]
        return [name for name in names if name in operation.inputs]

    @override
    def run(self, call: Call) -> tuple[Tensor, Tensor]:
        value = call.run()
        return value, self.first(call).expand(value.shape)

    @abstractmethod
    def first(self, call: Call) -> Tensor:
        """The share of the first operand, in a shape that broadcasts to the value's."""

    @override
    def share(self, call: Call, name: str, signal: Tensor, saved: Lookup) -> Tensor:
        first: Tensor = saved()
        passed: Tensor = signal * (first if name == self.operands[0] else 1 - first)
        return passed


class Where(Choice):
    """`where`, by what a condition was when recorded."""

    conditions: ClassVar[tuple[str, ...]] = ("condition",)

    @override
    def first(self, call: Call) -> Tensor:
        condition: Tensor = call["condition"]
        shares: Tensor = condition.byte()
        return shares


class MaskedFill(Choice):
    """A constant where a mask is set."""

    operands: ClassVar[tuple[str, str]] = ("self", "value")
    conditions: ClassVar[tuple[str, ...]] = ("mask",)

    @override
    def first(self, call: Call) -> Tensor:
        shares: Tensor = (~call["mask"]).byte()
        return shares


class Larger(Choice):
    """The larger of two operands: maxout of two branches."""

    @override
    def first(self, call: Call) -> Tensor:
        one, other = self.ordered(call)
        shares: Tensor = one.gt(other).to(one.dtype) + one.eq(other) / 2
        return shares

    def ordered(self, call: Call) -> tuple[Tensor, Tensor]:
        """The operands, of which the larger is taken."""
        return call["self"], call["other"]


class Smaller(Larger):
    """The smaller of two operands."""

    @override
    def ordered(self, call: Call) -> tuple[Tensor, Tensor]:
        return -call["self"], -call["other"]
