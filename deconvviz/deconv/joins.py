"""Passes over operations that join two branches, which are no sums.

An activation that is written in several operations is one: `x * sigmoid(x)`, `where(x > 0, x, 0)`.
A product with something bounded, such as a sigmoid or a comparison, is a gate; so is one with a
statistic of the other factor, as in global response normalisation.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from deconvviz.deconv import ops
from deconvviz.deconv.table import row_of
from deconvviz.deconv.table.function import Function, FunctionWithWeights, Recorded
from deconvviz.deconv.table.linear import AnyLinear, LinearMap
from deconvviz.deconv.table.pointwise import Divide, Gate, Identity, Multiply, Pairwise, Sum
from deconvviz.deconv.table.pooling import (
    AdaptiveAveragePool,
    AdaptiveMaxPool,
    AveragePool,
    MaxPool,
    Mean,
)
from deconvviz.deconv.table.shape import Concatenate, Expand, Reshape, Slice, Transpose
from deconvviz.deconv.tape import Operation, Ref, Tape

_aten = torch.ops.aten

# Kinds of operations that make an activation of several, with another branch or alone.
_JOINING = ("mul", "div", "where", "masked_fill", "maximum", "minimum", "fmax", "fmin")
_ALONE = ("maximum", "minimum", "fmax", "fmin", "clamp", "reciprocal")
_SHAPED = ("zeros_like", "ones_like", "full_like")
_POINTWISE = ("to", "type_as", "where", "clone", "contiguous", "hardswish", *_SHAPED)

# Activations that are recognised by their values.
_KNOWN: Mapping[Any, Callable[[Tensor], Tensor]] = {
    _aten.clone.default: torch.clone,
    _aten.relu.default: torch.relu,
    _aten.sigmoid.default: torch.sigmoid,
    _aten.silu.default: torch.nn.functional.silu,
}

_COMPARISONS = ("gt", "lt", "ge", "le", "eq", "ne", "logical_and", "logical_or", "logical_not")
_BOUNDED = ("sigmoid", "hardsigmoid", "tanh", "relu6", "hardtanh", "sign", "erf")
_MOVES = (Identity, Reshape, Expand, Transpose, Slice, Concatenate, LinearMap)
_AVERAGES = (Mean, AveragePool, AdaptiveAveragePool, MaxPool, AdaptiveMaxPool)
_STATISTICS = (*_AVERAGES, Recorded)
_REDUCING = ("sum", "avg_pool3d", "max_pool3d", "norm", "mean", "var", "std")
_FUNCTIONS = (Function, FunctionWithWeights)


def without_dead(operations: list[Operation], before: Tape) -> list[Operation]:
    """The operations whose value is read, or was not read before the pass: the network's ends."""
    once_read = {name for op in before.operations for name in op.reads}
    read, living = set[str](), list[Operation]()
    for op in reversed(operations):
        if op.name in read or op.name not in once_read:
            living.append(op)
            read |= op.reads
    return living[::-1]


# --- activations in several operations ------------------------------------------------------------


def activations(tape: Tape) -> list[Operation]:
    """Each activation that is written in several operations as one."""
    walk, done = _Activations(tape), list[Operation]()
    for op in tape.operations:
        done.append(walk.scaled(walk.taken(op)))
        walk.by_name[op.name] = done[-1]
    return without_dead(done, tape)


class _Activations:
    """The operations of a tape, and which of them make an activation together."""

    def __init__(self, tape: Tape) -> None:
        self.constants = tape.constants
        self.by_name = {op.name: op for op in tape.operations}
        self.readers = Counter(name for op in tape.operations for name in op.reads)
        self.place = {op.name: place for place, op in enumerate(tape.operations)}

    def taken(self, op: Operation) -> Operation:
        """An operation, or the activation of which it is the last."""
        several = len(set(op.inputs)) > 1
        if op.refused or not op.floating or op.kind not in (_JOINING if several else _ALONE):
            return op
        found = self._source(op)
        if found is None or (op.kind == "clamp" and op.target is _aten.clamp.default):
            return op
        source, steps = found
        return self._joined(op, source, steps) or op

    def scaled(self, op: Operation) -> Operation:
        """A multiple of an activation as one: `x * relu6(x + 3) / 6`."""
        made = self.by_name.get(op.inputs[0]) if len(op.inputs) == 1 else None
        if op.kind not in ("mul", "div") or made is None or made.target is not ops.activation:
            return op
        if self.readers[made.name] > 1 or op.reads != set(op.inputs):
            return op
        steps = (*made.arguments["steps"], op)
        arguments = {**made.arguments, "steps": steps}
        return replace(op, target=made.target, arguments=arguments, inputs=made.inputs)

    def _source(self, op: Operation) -> tuple[str, list[Operation]] | None:
        """The one value that an operation is a function of, number by number, and the steps."""
        steps, ends = [op], set(op.inputs)
        alone = len(ends) == 1
        while len(ends) > 1 or alone:
            latest = max(ends, key=lambda name: self.place.get(name, -1))
            made = self.by_name.get(latest)
            if made is None or not _is_pointwise(made, op) or self._is_layer(made):
                break
            if alone and (len(set(made.inputs)) != 1 or row_of(made).rectifies or len(steps) > 4):
                break
            ends.remove(latest)
            ends.update(made.inputs)
            steps.append(made)
        return (ends.pop(), steps[::-1]) if len(ends) == 1 else None

    def _is_layer(self, op: Operation) -> bool:
        """Whether it is a ReLU, which stays one; that of torch's LP pooling rectifies nothing."""
        made = self.by_name.get(op.inputs[0]) if op.inputs else None
        return op.kind == "relu" and (made is None or made.kind != "abs")

    def _joined(self, op: Operation, source: str, steps: list[Operation]) -> Operation | None:
        steps, given = self._with_constants(steps, source)
        plain: dict[str, Any] = {"self": Ref(source)}
        known = None if given else _known(source, steps)
        if known is not None:
            plain |= {"memory_format": None} if known is _aten.clone.default else {}
            return replace(op, target=known, arguments=plain, inputs=(source,))
        if len(set(op.inputs)) == 1 and op.kind == "reciprocal":
            return None  # a function, and no activation
        target = ops.weighted_activation if given else ops.activation
        held = {"names": (source, *given), "steps": tuple(steps)}
        rest = {name: Ref(name) for name in given}
        return replace(op, target=target, arguments=plain | held | rest, inputs=(source,))

    def _with_constants(
        self, steps: list[Operation], source: str
    ) -> tuple[list[Operation], list[str]]:
        """The steps with the numbers that they read; and the names of the weights they read."""
        own, given, done = {source, *(op.name for op in steps)}, list[str](), list[Operation]()
        for op in steps:
            fixed = dict[str, Any]()
            for name in sorted(op.reads - own):
                made = self.by_name.get(name)
                if made is not None and made.kind in _SHAPED and made.reads <= own:
                    done.append(made)
                    own.add(name)
                elif (number := self._number(name)) is not None:
                    fixed[name] = number
                elif name not in given:
                    given.append(name)
            done.append(_with_values(op, fixed))
        return done, given

    def _number(self, name: str) -> Tensor | None:
        """A number that the model's code makes a tensor of; None if the value is another."""
        if name in self.constants:
            return self.constants[name] if self.constants[name].numel() == 1 else None
        made = self.by_name.get(name)
        if made is None or made.inputs or len(made.reads) != 1:
            return None
        held = self._number(next(iter(made.reads)))
        return None if held is None else made.call({next(iter(made.reads)): held}).run()


def _is_pointwise(op: Operation, like: Operation) -> bool:
    """Whether an operation works number by number, on maps of the same shape as another's."""
    tags = getattr(op.target, "tags", ())
    works = torch.Tag.pointwise in tags or op.kind in _POINTWISE
    return works and not op.refused and op.shape == like.shape and bool(op.inputs)


def _with_values(op: Operation, fixed: Mapping[str, Tensor]) -> Operation:
    if not fixed:
        return op
    arguments = {
        name: fixed.get(a.name, a) if isinstance(a, Ref) else a for name, a in op.arguments.items()
    }
    return replace(op, arguments=arguments)


def _known(source: str, steps: list[Operation]) -> Any:
    """The activation of torch that has the same values; None if none is known."""
    numbers = torch.linspace(-9, 9, 181, dtype=torch.float64)
    try:
        value = ops.activation(numbers, (source,), steps)
    except (RuntimeError, TypeError):  # it is for a certain shape or dtype
        return None
    for target, function in _KNOWN.items():
        if value.dtype == numbers.dtype and (value - function(numbers)).abs().max() < 1e-14:
            return target
    return None


# --- gates ----------------------------------------------------------------------------------------


def gates(tape: Tape) -> list[Operation]:
    """Each product with something bounded, or with a statistic of the other, as a gate."""
    walk, done = _Gates(tape), list[Operation]()
    for op in tape.operations:
        done += walk.gated(op)
    return without_dead(done, tape)


class _Gates:
    """The operations of a tape, and what is known of their values."""

    def __init__(self, tape: Tape) -> None:
        self.by_name = {op.name: op for op in tape.operations}

    def gated(self, op: Operation) -> list[Operation]:
        """An operation, or the gate that it is."""
        if len(set(op.inputs)) != 2 or op.kind not in ("mul", "div"):
            return [op]
        if op.kind == "div":
            return self._divided(op)
        for gate, maps in (op.inputs[::-1], op.inputs):
            if self._is_mask(gate):
                return [_as_gate(op, ops.masked, maps, gate)]
        for gate, maps in (op.inputs[::-1], op.inputs):
            if self._is_bounded(gate) or self._is_statistic_of(gate, maps):
                return [_as_gate(op, ops.gated, maps, gate)]
        return [op]

    def _divided(self, op: Operation) -> list[Operation]:
        maps, divisor = op.arguments["self"].name, op.arguments["other"].name
        if op.arguments.get("rounding_mode") or not self._is_statistic_of(divisor, maps):
            return [op]
        name, made = f"{op.name}_inverse", self.by_name[divisor]
        inverse = replace(
            op, name=name, target=_aten.reciprocal.default, arguments={"self": Ref(divisor)},
            inputs=(divisor,), shape=made.shape,
        )  # fmt: skip
        return [inverse, _as_gate(op, ops.gated, maps, name)]

    def _is_mask(self, name: str) -> bool:
        """Whether a value is what a comparison says."""
        op = self.by_name.get(name)
        while op is not None and op.kind not in _COMPARISONS:
            moves = (isinstance(row_of(op), _MOVES) or op.kind == "type_as") and op.inputs
            op = self.by_name.get(op.inputs[0]) if moves else None
        return op is not None

    def _is_bounded(self, name: str) -> bool:
        """Whether a value is a bounded function, moved, averaged or scaled."""
        op = self.by_name.get(name)
        if op is None or not op.inputs:
            return False
        if op.kind in _BOUNDED or (op.kind == "clamp" and _is_clamped(op)) or self._is_mask(name):
            return True
        row = row_of(op)
        passes = isinstance(row, (*_MOVES, *_AVERAGES, Pairwise)) or _is_plain(op)
        if op.kind in ("pow", "sqrt", "abs", "square"):
            passes = True
        if isinstance(row, Divide) and op.arguments["other"] in map(Ref, op.inputs):
            return False
        return passes and all(map(self._is_bounded, op.inputs))

    def _is_statistic_of(self, name: str, maps: str) -> bool:
        """Whether a value is a statistic of the maps, or of the values that they are made of."""
        return any(self._is_statistic(name, of) for of in self._made_of(maps))

    def _made_of(self, name: str) -> Iterable[str]:
        """A value, and those that it is made of without activations or kernels."""
        found = [name]
        for one in found:
            op = self.by_name.get(one)
            if op is not None and (_is_arithmetic(op) or _is_reducing(op)):
                found += [read for read in op.inputs if read not in found]
        return found

    def _is_statistic(self, name: str, of: str) -> bool:
        """Whether a value reads `of` through reductions alone."""
        op = self.by_name.get(name)
        if op is None or not op.inputs:
            return False
        if _is_reducing(op):
            return all(self._is_made_of(read, of) for read in op.inputs)
        return _is_arithmetic(op) and all(self._is_statistic(read, of) for read in op.inputs)

    def _is_made_of(self, name: str, of: str) -> bool:
        op = self.by_name.get(name)
        if name == of or op is None or not op.inputs:
            return name == of
        known = _is_arithmetic(op) or _is_reducing(op)
        return known and all(self._is_made_of(read, of) for read in op.inputs)


def _as_gate(op: Operation, target: Any, maps: str, gate: str) -> Operation:
    arguments = {"maps": Ref(maps), "gate": Ref(gate)}
    return replace(op, target=target, arguments=arguments, inputs=(maps, gate))


def _is_clamped(op: Operation) -> bool:
    return op.arguments["min"] is not None and op.arguments["max"] is not None


def _is_plain(op: Operation) -> bool:
    """Whether an operation without a row of its own reads no weights."""
    return isinstance(row_of(op), AnyLinear) and op.reads == set(op.inputs)


def _is_reducing(op: Operation) -> bool:
    return isinstance(row_of(op), _STATISTICS) or op.kind in _REDUCING


def _is_arithmetic(op: Operation) -> bool:
    kinds = (*_MOVES, *_FUNCTIONS, Sum, Multiply, Gate)
    return isinstance(row_of(op), kinds) or op.kind in ("clamp", "clamp_min") or _is_plain(op)
