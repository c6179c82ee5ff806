"""The tape: a model as a flat list of operations, each with the module call that it belongs to.

It keeps the structure only: weights are read from a live model when it runs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from deconvviz.deconv.attributes import Key, changed, tensors_of
from deconvviz.deconv.ops import part, untraced
from deconvviz.errors import TraceError, UnsupportedOperationError

if TYPE_CHECKING:
    from deconvviz.deconv.guards import Guard  # whose sympy takes half a second to import


@dataclass(frozen=True)
class Ref:
    """A value on the tape, named after the operation that makes it."""

    name: str


@dataclass(frozen=True)
class Operation:
    """One operation of a tape.

    Attributes:
        name: Name on the tape, of the operation and of its value.
        target: The function that is called, out of place.
        arguments: Arguments by their names in the operation's schema; values are `Ref`s.
        inputs: The values among the arguments that depend on the images, in order. Empty for an
            operation on weights or sizes alone.
        calls: The module calls around the operation, outermost first: (key of the call, module
            path).
        shape: The value's shape when traced, without the batch axis; None if the value is no tensor
            that depends on the images.
        line: The line of the model's code, for example `nets.py:12`: that of a `forward` which
            calls the operation, itself or through torch's modules. Empty where that is unknown.
        batched: Whether the images lie along the first axis of the value and of all inputs.
        floating: Whether the value, and all that it is made of, are floating point numbers,
            through which a signal may pass.
        refused: Why the tape cannot run it; empty if it can. It says where a layer above it would
            come from, so that the layers that do not depend on it may be used.
        returned_by: Paths of the modules that return its value.
    """

    name: str
    target: Callable[..., Any]
    arguments: Mapping[str, Any]
    inputs: tuple[str, ...]
    calls: tuple[tuple[str, str], ...]
    shape: tuple[int, ...] | None
    line: str = ""
    batched: bool = True
    floating: bool = True
    refused: str = ""
    returned_by: frozenset[str] = frozenset()

    @cached_property
    def reads(self) -> frozenset[str]:
        """Names of all values among the arguments, weights included."""
        return frozenset(refs(self.arguments.values()))

    @property
    def kind(self) -> str:
        """The operation's plain name, for example `conv2d`."""
        return kind_of(self.arguments["of"] if self.target is part else self.target)

    @property
    def module(self) -> str:
        """The path of the module that calls it; empty for the model itself."""
        return self.calls[-1][1] if self.calls else ""

    def __str__(self) -> str:
        place = f"`{self.module}`" if self.module else "the model"
        return f"{self.kind} in {place}" + (f" ({self.line})" if self.line else "")

    def call(self, values: Mapping[str, Any]) -> "Call":
        """This operation with its arguments looked up in `values`."""
        return Call(self, {name: _resolve(a, values) for name, a in self.arguments.items()})


@dataclass(frozen=True)
class Call:
    """An operation with its arguments: tensors in the forward pass, meta tensors in the backward.

    Attributes:
        operation: The operation on the tape.
        arguments: All arguments by name.
    """

    operation: Operation
    arguments: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    def run(self) -> Any:
        """The operation's value, as its function returns it."""
        if isinstance(self.operation.target, torch._ops.OpOverload):
            return self.operation.target(**self.arguments)
        return self.operation.target(*self.arguments.values())

    def varies(self, name: str) -> bool:
        """Whether the argument depends on the images."""
        argument = self.operation.arguments[name]
        return isinstance(argument, Ref) and argument.name in self.operation.inputs


@dataclass(frozen=True)
class Tape:
    """A model's operations in the order of their execution.

    Attributes:
        operations: Every operation, those on weights and sizes included.
        input: The name of the images' value.
        input_shape: The images' shape when traced, without the batch axis.
        weights: Value name -> name of the parameter or buffer in the model.
        attributes: Value name -> name of a tensor that the model holds, but as no weight.
        constants: Value name -> a tensor that the model's code makes.
        held: The model's attributes that are no tensors on the tape, as they were when traced.
        fixed_size: Whether it is for images of the traced size alone.
        multiple: Height and width of images must be multiples of this.
        guards: Conditions on the shape of other images.
    """

    operations: tuple[Operation, ...]
    input: str
    input_shape: tuple[int, int, int]
    weights: Mapping[str, str]
    attributes: Mapping[str, str]
    constants: Mapping[str, Tensor]
    held: Mapping[Key, Any]
    fixed_size: bool
    multiple: int
    guards: "tuple[Guard, ...]"

    @property
    def end(self) -> Operation | None:
        """The operation that stands for the rest of the model; None if all of it is on the tape."""
        last = self.operations[-1:]
        return last[0] if last and last[0].target is untraced else None

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The traced shape of every value that depends on the images, for a batch of one."""
        traced = {op.name: (1, *op.shape) for op in self.operations if op.shape is not None}
        return {self.input: (1, *self.input_shape), **traced}

    def ancestors(self, values: Iterable[str]) -> tuple[Operation, ...]:
        """The operations that `values` depend on, in the order of execution."""
        wanted, needed = set(values), []
        for op in reversed(self.operations):
            if op.name in wanted:
                needed.append(op)
                wanted.update(op.reads)
        return tuple(reversed(needed))

    def blocked(self) -> frozenset[str]:
        """The values that depend on an operation that the tape cannot run."""
        blocked = set[str]()
        for op in self.operations:
            if op.refused or not op.reads.isdisjoint(blocked):
                blocked.add(op.name)
        return frozenset(blocked)

    def state(self, model: nn.Module) -> dict[str, Tensor]:
        """The live weights and tensors and the constants, by value name, on the model's device."""
        named, device = named_weights(model), weight_of(model).device
        weights = {value: named[name].detach() for value, name in self.weights.items()}
        others = dict(self.constants)
        if self.attributes:
            tensors = tensors_of(model)
            others |= {value: tensors[name].detach() for value, name in self.attributes.items()}
        return weights | {name: tensor.to(device) for name, tensor in others.items()}

    def runnable(self, values: Iterable[str], model: nn.Module) -> tuple[Operation, ...]:
        """The operations that `values` depend on, all of which the tape can run as the model would.

        Raises:
            TraceError: An attribute of the model is not what it was when traced.
            UnsupportedOperationError: An operation cannot be run on a tape.
        """
        other = changed(self.held, model, frozenset(self.attributes.values()))
        if other:
            raise TraceError(
                f"{other} is not what it was when this network was traced; make a new Deconvnet"
            )
        operations = self.ancestors(values)
        for op in operations:
            if op.refused:
                raise UnsupportedOperationError(f"cannot run {op}: {op.refused}")
        return operations

    def calls(
        self,
        operations: Iterable[Operation],
        model: nn.Module,
        shapes: Mapping[str, tuple[int, ...]],
    ) -> list[Call]:
        """The calls among `operations` that depend on the images, their inputs as meta tensors.

        Args:
            operations: Operations with everything that they depend on, from `ancestors`.
            model: The model whose weights are read.
            shapes: Value name -> shape, for every value that depends on the images.
        """
        values: dict[str, Any] = self.state(model)
        values |= {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
        blank = weight_of(model).new_zeros(())
        calls = []
        for op in operations:
            if op.refused:
                calls += [Call(op, {})] if op.name in shapes else []
            elif op.name in shapes:
                calls.append(op.call(values))
            else:  # a constant, which may have the shape of a value
                own = {name: blank.expand(shapes[name]) for name in op.reads if name in shapes}
                values[op.name] = op.call(values | own).run()
        return calls


def named_weights(model: nn.Module) -> dict[str, Tensor]:
    """Every parameter and buffer, by every name that it has."""
    parameters: dict[str, Tensor] = dict(model.named_parameters(remove_duplicate=False))
    return parameters | dict(model.named_buffers(remove_duplicate=False))


def weight_of(model: nn.Module) -> Tensor:
    """Some weight of a model, for its dtype and device; without any, float32 on the CPU."""
    floating = (p.detach() for p in model.parameters() if p.is_floating_point())
    return next(floating, torch.empty(0))


def kind_of(target: Any) -> str:
    """The plain name of a function that an operation calls, for example `conv2d`."""
    if isinstance(target, torch._ops.OpOverload):
        return str(target._schema.name).partition("::")[2]
    return str(getattr(target, "__name__", target))


def refs(value: Any) -> Iterator[str]:
    """The names of all values that an argument refers to, in lists of lists too."""
    if isinstance(value, Ref):
        yield value.name
    elif isinstance(value, Iterable) and not isinstance(value, str):
        for item in value:
            yield from refs(item)


def _resolve(value: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(value, Ref):
        return values[value.name]
    if isinstance(value, tuple):
        return [_resolve(item, values) for item in value]
    return value
