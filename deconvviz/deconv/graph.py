"""An exported program as a tape: one operation for each node that the outputs depend on."""

import operator
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind
from torch.fx.experimental.symbolic_shapes import free_unbacked_symbols

from deconvviz.deconv.attributes import Key, attributes_of, tensors_of
from deconvviz.deconv.guards import Constant, guards_of, is_model_code
from deconvviz.deconv.ops import copied, pool_places, squeezed, untraced
from deconvviz.deconv.table import TABLE
from deconvviz.deconv.tape import Operation, Ref, Tape, kind_of, refs
from deconvviz.deconv.writes import (
    SCATTERS,
    memory_of,
    stale_readers,
    takes_all,
    wholes,
    writes,
    written_by,
)

_aten = torch.ops.aten
_WEIGHTS = (InputKind.PARAMETER, InputKind.BUFFER)

# An operation -> one of the same value that takes any layout in memory, and any number of images.
_SAME: Mapping[object, Any] = {
    _aten.view.default: _aten.reshape.default,
    _aten.squeeze.default: squeezed,
    _aten.copy.default: copied,
    _aten.clip.default: _aten.clamp.default,
    _aten.max.other: _aten.maximum.default,
    _aten.min.other: _aten.minimum.default,
    _aten.absolute.default: _aten.abs.default,
    _aten.multiply.Tensor: _aten.mul.Tensor,
    _aten.divide.Tensor: _aten.div.Tensor,
    _aten.true_divide.Tensor: _aten.div.Tensor,
    _aten.subtract.Tensor: _aten.sub.Tensor,
    _aten.concat.default: _aten.cat.default,
    _aten.concatenate.default: _aten.cat.default,
    _aten.swapaxes.default: _aten.transpose.int,
    _aten.swapdims.default: _aten.transpose.int,
}

# Operations that read the shape of a tensor alone: what they give is a constant.
_OF_SHAPE = (
    "empty_like",
    "zeros_like",
    "ones_like",
    "full_like",
    "new_zeros",
    "new_ones",
    "new_full",
    "new_empty",
)
_AS_ANOTHER = ("expand_as", "view_as", "reshape_as", "type_as")  # of which the second is `other`

# The operation that export puts around a part of a model -> the model's own name for that.
_MODES = {
    "wrap_with_autocast": "torch.autocast",
    "wrap_with_set_grad_enabled": "torch.enable_grad",
}

# One frame of a stack trace, as Python writes it.
_FRAME = re.compile(r'^ *File "(.+)", line (\d+), in ', re.MULTILINE)


@dataclass(frozen=True)
class Exported:
    """An exported model.

    Attributes:
        program: Its graph.
        fixed_size: Whether it is for images of the traced size alone.
        multiple: Height and width of images are multiples of this.
        constants: Sizes that became plain numbers.
        called: Paths of the modules that were called.
        returned: Node of the graph -> paths of the modules that return its value, each with the
            last node that the graph had then.
        changing: Keys of the attributes that the model's forward pass changes itself.
        end: Why and at which line the graph ends before the model does; None if it does not.
    """

    program: ExportedProgram
    fixed_size: bool
    multiple: int
    constants: Sequence[Constant]
    called: Set[str]
    returned: Mapping[fx.Node, Mapping[str, fx.Node]]
    changing: Set[Key]
    end: tuple[str, str] | None


def as_tape(
    exported: Exported, model: nn.Module, input_size: tuple[int, int, int], batch: int
) -> Tape:
    """The tape of a model.

    Args:
        exported: The exported model.
        model: The model, whose attributes the tape is valid for.
        input_size: Channels, height and width of images.
        batch: Number of images when traced.
    """
    program = exported.program
    specs = program.graph_signature.input_specs
    images = next(s.arg.name for s in specs if s.kind is InputKind.USER_INPUT)
    given = next(node for node in program.graph.nodes if node.name == images)
    operations = _Operations(program.graph, images, batch, exported.returned).done
    if exported.end is not None:
        reason, line = exported.end
        operations.append(Operation("rest", untraced, {}, (), (), (), line=line, refused=reason))
    read = {name for op in operations for name in op.reads}
    weights = {s.arg.name: str(s.target) for s in specs if s.kind in _WEIGHTS}
    weights = {value: name for value, name in weights.items() if value in read}
    own = {
        s.arg.name: program.constants[str(s.target)].detach()
        for s in specs
        if s.kind is InputKind.CONSTANT_TENSOR and s.arg.name in read
    }
    names = {memory_of(tensor): name for name, tensor in tensors_of(model).items()}
    attributes = {
        value: names[memory_of(tensor)]
        for value, tensor in own.items()
        if tensor.numel() and memory_of(tensor) in names
    }
    used = {"", *exported.called, *weights.values()}
    used |= {path[:end] for path in used for end, one in enumerate(path) if one == "."}
    held = attributes_of(model, frozenset(attributes.values()), used)
    return Tape(
        operations=tuple(operations),
        input=images,
        input_shape=input_size,
        weights=weights,
        attributes=attributes,
        constants={value: tensor for value, tensor in own.items() if value not in attributes},
        held={key: form for key, form in held.items() if key not in exported.changing},
        fixed_size=exported.fixed_size,
        multiple=exported.multiple,
        guards=guards_of(given.meta["val"].shape, exported.constants),
    )


def line_of(stack: str) -> str:
    """The innermost line of a stack trace that is not torch's own, as `file:line`.

    Export keeps the frames of `forward` alone, so that a helper's line is its caller's.
    """
    frames = [frame for frame in _FRAME.findall(stack) if is_model_code(frame[0])]
    return f"{Path(frames[-1][0]).name}:{frames[-1][1]}" if frames else ""


def _line(node: fx.Node) -> str:
    """The line of a node; of a part of the model, that of its first operation which has one."""
    lines = [line_of(node.meta.get("stack_trace") or "")]
    for read in node.all_input_nodes:
        if read.op == "get_attr":
            part = getattr(node.graph.owning_module, str(read.target))
            lines += [_line(inner) for inner in part.graph.nodes]
    return next(filter(None, lines), "")


class _Operations:
    """One walk over a graph's nodes."""

    def __init__(
        self,
        graph: fx.Graph,
        images: str,
        batch: int,
        returned: Mapping[fx.Node, Mapping[str, fx.Node]],
    ) -> None:
        self.done: list[Operation] = []
        self._batch = batch
        self._returned = returned
        self._varying = {images}
        self._complex: set[str] = set()  # values of complex numbers
        self._mixed: set[str] = set()  # values whose first axis is not the batch
        self._maps: dict[str, str] = {}  # the map of a pooling -> the pooling, whose value it is
        self._unknown: dict[str, str] = {}  # refused values that are no tensors of the images: why
        self._stale = stale_readers(graph)
        self._renamed: dict[str, str] = {}  # a value that was written into -> the value since
        self._place = {node: place for place, node in enumerate(graph.nodes)}
        for node in _needed(graph):
            if _is_map_of_pool(node):
                self._maps[node.name] = node.all_input_nodes[0].name
            elif node.op == "call_function":
                self._add(node)

    def _add(self, node: fx.Node) -> None:
        refused = self._refusal(node)
        target, given = _called(node)
        self._put(node, node, target, given, refused)
        for written in written_by(node):
            self._renew(node, written)

    def _renew(self, node: fx.Node, written: fx.Node) -> None:
        """Put the values that a node has written a slice of together anew."""
        self._renamed[written.name] = node.name
        self._move_returns(node, written, node.name)
        for part, whole in pairwise(wholes(written)):
            name = self._renamed[part.name]
            if not takes_all(part):
                given = _bound(SCATTERS[part.target], (whole, part, *part.args[1:]), part.kwargs)
                name = f"{node.name}_in_{whole.name}"
                self._put(node, whole, SCATTERS[part.target], given, "", name)
            self._renamed[whole.name] = name
            self._move_returns(node, whole, name)

    def _put(
        self,
        node: fx.Node,
        of: fx.Node,
        target: Any,
        given: Iterable[tuple[str, Any]],
        refused: str,
        name: str = "",
    ) -> None:
        """Put an operation on the tape, at the place of a node and with the value of another."""
        arguments = {name: self._referring(value) for name, value in given}
        read = {
            n: a for n, a in arguments.items() if n != "other" or kind_of(target) not in _AS_ANOTHER
        }
        inputs = tuple(name for name in refs(read.values()) if name in self._varying)
        value = of.meta.get("val")
        varies = bool(inputs) and isinstance(value, Tensor | list | tuple)
        varies = varies and kind_of(target) not in _OF_SHAPE
        shape = _traced_shape(value) if varies and not _is_open(value) else ()
        stack = node.meta.get("nn_module_stack") or {}
        op = Operation(
            name=name or node.name,
            target=target,
            arguments=arguments,
            inputs=inputs if varies else (),
            calls=tuple((key, path) for key, (path, _) in stack.items() if path),
            shape=shape[1:] if varies else None,
            line=_line(node),
            batched=shape[:1] == (self._batch,) and not self._mixed.intersection(inputs),
            floating=not varies
            or (_first(value).is_floating_point() and not self._complex.intersection(inputs)),
            refused=refused,
            returned_by=frozenset().union(*map(self._returning, (node, *_maps_of(node))))
            if of is node
            else frozenset(),
        )
        self.done.append(op)
        if varies:
            self._varying.add(op.name)
            if _first(value).is_complex():
                self._complex.add(op.name)
            if not op.batched and shape[:1] != (self._batch,):
                self._mixed.add(op.name)
        elif refused:
            self._unknown[op.name] = f"it needs {op}: {refused}"

    def _returning(self, node: fx.Node) -> Set[str]:
        return frozenset(self._returned.get(node, ()))

    def _move_returns(self, node: fx.Node, written: fx.Node, name: str) -> None:
        """Note the modules that return a value after a node has written into it, and not before."""
        after = {
            path
            for path, last in self._returned.get(written, {}).items()
            if self._place.get(last, -1) >= self._place[node]
        }
        for place, op in enumerate(self.done) if after else ():
            paths = op.returned_by | after if op.name == name else op.returned_by - after
            if op.name in (name, written.name):
                self.done[place] = replace(op, returned_by=paths)

    def _refusal(self, node: fx.Node) -> str:
        """Why a tape cannot run a node; empty if it can."""
        for read in node.all_input_nodes:
            if read.name in self._unknown:
                return self._unknown[read.name]
        if node in self._stale:
            writer = self._stale[node]
            place = _line(writer)
            return (
                f"it reads memory that {kind_of(writer.target)}{f' at {place}' if place else ''}"
                " has written into in place; write out of place instead"
            )
        if writes(node.target) and _target(node.target) is node.target:
            return "it writes in place, and there is no other form of it"
        if _is_of_pool(node) and _called(node)[0] is not pool_places:
            return "it computes with the places of maxima"
        if isinstance(node.target, torch._ops.HigherOrderOperator):
            kind = kind_of(node.target)
            return f"it is a part of the model under {_MODES.get(kind, kind)}"
        if _is_open(node.meta.get("val")):
            return "it gives a size or a number that depends on what the images show"
        return ""

    def _referring(self, value: Any) -> Any:
        if isinstance(value, fx.Node):
            name = self._renamed.get(value.name, value.name)
            return Ref(self._maps.get(name, name))
        if isinstance(value, list | tuple):
            return tuple(self._referring(item) for item in value)
        return value


def _needed(graph: fx.Graph) -> list[fx.Node]:
    """The nodes that the outputs depend on, in order."""
    needed = set[fx.Node]()
    for node in reversed(graph.nodes):
        written = {whole for part in written_by(node) for whole in wholes(part)}
        if node.op == "output" or node in needed or not written.isdisjoint(needed):
            needed.update((node, *node.all_input_nodes))
    return [node for node in graph.nodes if node in needed]


def _is_of_pool(node: fx.Node) -> bool:
    """Whether a node takes one of the values of an operation of which the table knows the first."""
    if node.target is not operator.getitem:
        return False
    source = node.args[0]
    return isinstance(source, fx.Node) and source.target in TABLE


def _maps_of(node: fx.Node) -> list[fx.Node]:
    """The nodes that take a pooling's map."""
    return [user for user in node.users if _is_map_of_pool(user)]


def _called(node: fx.Node) -> tuple[Any, Iterable[tuple[str, Any]]]:
    """The function that the tape calls in the place of a node, and all its arguments by name."""
    if _is_of_pool(node) and not _is_map_of_pool(node):
        pool: Any = node.args[0]
        if pool.target is _aten.max_pool2d_with_indices.default:  # whose places are unpooled to
            return pool_places, _bound(pool.target, pool.args, pool.kwargs)
    target = _target(node.target)
    named = target if isinstance(target, torch._ops.OpOverload) else node.target
    return target, _bound(named, node.args, node.kwargs)


def _is_map_of_pool(node: fx.Node) -> bool:
    """Whether a node takes the first value, which is what the table's row gives."""
    return _is_of_pool(node) and node.args[1:] == (0,)


def _first(value: Any) -> Tensor:
    """A value, or the first tensor of several."""
    if isinstance(value, list | tuple):
        value = next((one for one in value if isinstance(one, Tensor)), torch.empty(0))
    tensor: Tensor = value
    return tensor


def _is_open(value: Any) -> bool:
    """Whether a size, or a number, depends on what the images show."""
    values = value if isinstance(value, list | tuple) else [value]
    sizes = [one.shape if isinstance(one, Tensor) else one for one in values]
    numbers = torch.SymInt | torch.SymFloat | torch.SymBool | torch.Size
    if any(isinstance(one, numbers) and free_unbacked_symbols(one) for one in sizes):
        return True
    lengths = [size for one in sizes if isinstance(one, torch.Size) for size in one]
    # One that later code has fixed has no example either.
    return any(isinstance(size, torch.SymInt) and size.node.hint is None for size in lengths)


def _traced_shape(value: Any) -> tuple[int, ...]:
    """The shape of a value when traced, or of the first of several."""
    return tuple(
        int(size.node.hint if isinstance(size, torch.SymInt) else size)
        for size in _first(value).shape
    )


def _target(target: Any) -> Any:
    """The operation that gives the same value and writes nowhere; itself if there is none."""
    if not writes(target):
        return _SAME.get(target, target)
    functional = getattr(_aten, kind_of(target).removesuffix("_"), None)
    overload = getattr(functional, target._overloadname, None)
    return target if overload is None or writes(overload) else _SAME.get(overload, overload)


def _bound(
    target: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    """Every argument by name, defaults included."""
    if not isinstance(target, torch._ops.OpOverload):
        yield from ((str(place), value) for place, value in enumerate(args))
        return
    for place, argument in enumerate(target._schema.arguments):
        if place < len(args):
            yield argument.name, args[place]
        else:
            yield argument.name, kwargs.get(argument.name, argument.default_value)
