"""The row of every operation that has none of its own: any linear map of the images.

Whether an operation is linear is tried out, at the shapes that it meets. Its adjoint is then
torch's own derivative of it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from deconvviz.deconv.geometry import HERE, Field, has_positions
from deconvviz.deconv.ops import copied, part
from deconvviz.deconv.rules import Rule
from deconvviz.deconv.table.row import Lookup, WholeMaps
from deconvviz.deconv.tape import Call, Ref

_SMALL = 4096  # numbers of a constant, such as a list of channels, that are compared
_NONE = "there is no rule to undo it"
_MIXED = "it mixes the images of a batch"
_FAILS = (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError, AssertionError)

Run = Callable[[Sequence[Tensor]], Tensor]


@dataclass(frozen=True)
class Tried:
    """What the trial of an operation showed.

    Attributes:
        refusal: Why it has no adjoint; empty if it has one.
        here: Whether each position of its value reads that position of its inputs alone.
        batch: The number of images that its arguments have; None if it takes any.
    """

    refusal: str = ""
    here: bool = False
    batch: int | None = None


class LinearMap(WholeMaps):
    """A linear map of each image, known as such: reflected borders, interpolation, sums."""

    undone: ClassVar[str] = "its transpose, from full maps"

    @override
    def refusal(self, call: Call) -> str | None:
        mapped, axes = inputs_of(call)[0], _axes(call)
        same_batch = call.run().shape[:1] == mapped.shape[:1] and 0 not in axes
        return None if same_batch else _MIXED

    @override
    def adjoint(self, call: Call, signal: Tensor, saved: Lookup, rule: Rule) -> Sequence[Tensor]:
        return _transposed(partial(run_on, call), [x.shape[1:] for x in inputs_of(call)], signal)


class AnyLinear(LinearMap):
    """A linear map of one branch or of several, of which only a trial shows that it is one."""

    undone: ClassVar[str] = "its transpose, by torch; tried to be linear"

    @override
    def value(self, call: Call) -> Any:
        return call.run()  # of an operation that has several, all

    @override
    def refusal(self, call: Call) -> str | None:
        return tried(call).refusal or None

    @override
    def field(self, call: Call, rule: Rule) -> Field | None:
        return HERE if tried(call).here else None

    @override
    def adjoint(self, call: Call, signal: Tensor, saved: Lookup, rule: Rule) -> Sequence[Tensor]:
        found, shapes = tried(call), [x.shape[1:] for x in inputs_of(call)]
        if found.here:
            shapes = [torch.Size([*shape[:-2], *signal.shape[-2:]]) for shape in shapes]
        whole = partial(_transposed, partial(run_on, call), shapes)
        if found.batch is None:
            return whole(signal)
        count, batch = len(signal), found.batch  # as many at once as there were images
        missing = signal.new_zeros(-count % batch, *signal.shape[1:])
        padded = torch.cat([signal, missing])
        blocks = [whole(padded[i : i + batch]) for i in range(0, len(padded), batch)]
        return [torch.cat(sent)[:count] for sent in zip(*blocks, strict=True)]


def inputs_of(call: Call) -> list[Tensor]:
    """The arguments that depend on the images, in the order of the operation's inputs."""
    found: list[Tensor] = []
    _replace(call.operation.arguments, call.arguments, call.operation.inputs, found.append)
    return found


def run_on(call: Call, tensors: Sequence[Tensor]) -> Tensor:
    """The operation's value on other tensors in the place of its inputs."""
    given = iter(tensors)
    arguments = _replace(
        call.operation.arguments, call.arguments, call.operation.inputs, lambda _: next(given)
    )
    value: Tensor = Call(call.operation, arguments).run()
    return value


def _replace(raw: Any, resolved: Any, inputs: Sequence[str], new: Callable[[Any], Any]) -> Any:
    """Arguments with `new(argument)` for each that is one of the `inputs`, in lists too."""
    if isinstance(raw, Ref):
        return new(resolved) if raw.name in inputs else resolved
    if isinstance(raw, Mapping):
        return {name: _replace(raw[name], resolved[name], inputs, new) for name in raw}
    if isinstance(raw, tuple):
        pairs = zip(raw, resolved, strict=True)
        return [_replace(one, other, inputs, new) for one, other in pairs]
    return resolved


def _transposed(run: Run, shapes: Sequence[torch.Size], signal: Tensor) -> Sequence[Tensor]:
    """The derivative, by torch, of a linear map, whose value at zero does not matter."""
    with torch.enable_grad():
        zeros = [signal.new_zeros(len(signal), *shape).requires_grad_() for shape in shapes]
        return torch.autograd.grad(run(zeros), zeros, signal, materialize_grads=True)


def _axes(call: Call) -> list[int]:
    """The axes that an operation names; all if it names none where it could."""
    dims = inputs_of(call)[0].dim()
    named = call.arguments.get("dims", call.arguments.get("dim", ()))
    if isinstance(named, int):
        return [named % dims]
    if named == [] or named is None:
        return list(range(dims))
    return [axis % dims for axis in named]


# --- the trial ------------------------------------------------------------------------------------


class _Key:
    """A call as a key: equal if the same operation meets the same shapes and constants."""

    def __init__(self, call: Call) -> None:
        self.call = call
        arguments = _replace(
            call.operation.arguments, call.arguments, call.operation.inputs, lambda x: x.shape
        )
        self.key = (call.operation.target, call.operation.inputs, _described(arguments))

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.key == other.key


def _described(value: Any) -> Any:
    """A value as something that can be compared and hashed."""
    if isinstance(value, torch.Size):
        return tuple(value)
    if isinstance(value, Tensor):
        kind = tuple(value.shape), value.dtype
        if value.numel() <= _SMALL and value.device.type == "cpu":  # computed anew for each pass
            return *kind, tuple(value.flatten().tolist())
        return *kind, value.data_ptr(), value._version
    if isinstance(value, Mapping):
        return tuple((name, _described(held)) for name, held in value.items())
    return tuple(map(_described, value)) if isinstance(value, list | tuple) else repr(value)


def tried(call: Call) -> Tried:
    """Try out whether a call is linear in its inputs together, image by image."""
    return _tried(_Key(call))


@lru_cache(maxsize=1024)
def _tried(key: _Key) -> Tried:
    call = key.call
    target, inputs = call.operation.target, inputs_of(call)
    drawn = torch.Tag.nondeterministic_seeded in getattr(target, "tags", ())
    known = isinstance(target, torch._ops.OpOverload) or target in (part, copied)
    if not known or drawn or not inputs:
        return Tried(_NONE)
    shapes, batch = [x.shape[1:] for x in inputs], len(inputs[0])
    other, refused = 3 if batch == 2 else 2, _NONE
    for count in (other, batch):  # its arguments may have the number of images
        try:
            with torch.no_grad():
                trial = _Trial(call, shapes, count)
                refused = trial.refusal()
                if not refused:
                    return Tried("", trial.is_local(), None if count == other else batch)
        except _FAILS:  # it takes no such numbers
            refused = _NONE
    return Tried(refused)


class _Trial:
    """An operation run on small whole numbers, which moves and sums keep exact."""

    def __init__(self, call: Call, shapes: Sequence[torch.Size], count: int) -> None:
        self.call, self.shapes, self.count = call, shapes, count
        self.generator = torch.Generator().manual_seed(0)
        constants = [x for x in _tensors(call.arguments) if not x.is_meta]
        floating = [x.dtype for x in constants if x.is_floating_point()]
        self.dtype = floating[0] if floating else torch.float64
        self.device = constants[0].device if constants else torch.device("cpu")
        self.one, self.other = self._numbers(), self._numbers()
        self.zero = run_on(call, [torch.zeros_like(x) for x in self.one])
        self.value = self._of(self.one)

    def _numbers(self) -> list[Tensor]:
        return [self._drawn((self.count, *shape)) for shape in self.shapes]

    def _drawn(self, shape: Sequence[int]) -> Tensor:
        numbers = torch.randint(-9, 10, tuple(shape), generator=self.generator)
        return numbers.to(self.device, self.dtype)

    def _of(self, inputs: Sequence[Tensor]) -> Tensor:
        return run_on(self.call, inputs) - self.zero

    def refusal(self) -> str:
        """Why the operation is none that can be undone; empty if it is one."""
        if not self.value.is_floating_point() or not torch.isfinite(self.value).all():
            return _NONE
        first, value, large = slice(0, 1), self.value, 1024.0
        both = self._of([x + y for x, y in zip(self.one, self.other, strict=True)])
        linear = _near(both, value + self._of(self.other))
        for factor in (-1.0, large):
            linear = linear and _near(self._of([factor * x for x in self.one]), factor * value)
        if not linear:
            return _NONE
        if value.shape[:1] != (self.count,):
            return _MIXED
        rest = self._of([torch.cat([torch.zeros_like(x[first]), x[1:]]) for x in self.one])
        apart = not rest[first].any() and _near(rest[1:], value[1:])
        return _MIXED if not apart else "" if self.is_transposed() else _NONE

    def is_transposed(self) -> bool:
        """Whether torch's derivative is the transpose, and there is one."""
        run = partial(run_on, self.call)
        signal = self._drawn(self.value.shape)
        sent = _transposed(run, self.shapes, signal)
        products = [(x * s).sum() for x, s in zip(self.one, sent, strict=True)]
        return _near(torch.stack(products).sum(), (signal * self.value).sum())

    def is_local(self) -> bool:
        """Whether the operation on a part of its maps gives that part of its value."""
        maps = [*self.one, self.value]
        if not all(has_positions(x.shape) and x.shape[-2:] == maps[0].shape[-2:] for x in maps):
            return False
        if min(maps[0].shape[-2:]) < 5:
            return False
        inner = (..., slice(1, -2), slice(2, -1))  # of no symmetry, which a flip would have
        try:
            zeros = run_on(self.call, [torch.zeros_like(x[inner]) for x in self.one])
            part = run_on(self.call, [x[inner] for x in self.one]) - zeros
        except _FAILS:
            return False
        return part.shape == self.value[inner].shape and _near(part, self.value[inner])


def _near(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape or not torch.isfinite(one).all():
        return False
    if not one.numel():
        return True
    tolerance = math.sqrt(torch.finfo(one.dtype).eps)
    apart, largest = float((one - other).abs().max()), float(other.abs().max())
    return apart <= tolerance * max(largest, 1.0)


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    return [x for one in value for x in _tensors(one)] if isinstance(value, list | tuple) else []
