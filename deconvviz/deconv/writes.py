"""Writes in place, and who would see them.

A tape runs everything out of place. After a write into a slice, the whole is put together anew from
what it was and from the slice, and is read in place of the former; so is a slice of a slice. No
other value from before a write may be read after it: no other part of the same memory, that is.
"""

import operator
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, fx

_aten = torch.ops.aten

# An operation that takes a part -> the one that puts it back.
SCATTERS: Mapping[Any, Any] = {
    _aten.slice.Tensor: _aten.slice_scatter.default,
    _aten.select.int: _aten.select_scatter.default,
}

Part = tuple[int, int, int]
"""An axis, the first index, and the one after the last."""


def writes(target: Any) -> bool:
    """Whether an operation writes into one of its arguments."""
    return isinstance(target, torch._ops.OpOverload) and bool(target._schema.is_mutable)


def memory_of(tensor: Tensor) -> int:
    """What two tensors have in common that share memory."""
    return int(tensor.untyped_storage()._cdata)


def stale_readers(graph: fx.Graph) -> dict[fx.Node, fx.Node]:
    """The nodes that read a value whose memory was written meanwhile -> the node that wrote it."""
    readers: dict[fx.Node, fx.Node] = {}
    sharing: dict[int, list[fx.Node]] = {}  # memory -> the values in it
    stale: dict[fx.Node, fx.Node] = {}  # a value from before a write -> the node that wrote
    for node in graph.nodes:
        for read in node.all_input_nodes:
            if read in stale and node.op == "call_function":
                readers.setdefault(node, stale[read])
        for written in written_by(node):
            renewed = set(wholes(written))
            for memory in _memories(written):
                for value in sharing.get(memory, ()):
                    if value not in renewed and not _apart(value, written):
                        stale.setdefault(value, node)
        for memory in _memories(node):
            sharing.setdefault(memory, []).append(node)
    return readers


def _memories(node: fx.Node) -> Iterator[int]:
    value = node.meta.get("val")
    for tensor in value if isinstance(value, list | tuple) else [value]:
        if isinstance(tensor, Tensor):
            yield memory_of(tensor)


def wholes(part: fx.Node) -> Iterator[fx.Node]:
    """A value, and those that it is a slice of, or a slice of a slice."""
    yield part
    while part.target in SCATTERS and isinstance(part.args[0], fx.Node):
        part = part.args[0]
        yield part


def takes_all(part: fx.Node) -> bool:
    """Whether a slice takes all of an axis, as `maps[:, :8]` spells out for the images."""
    given: list[Any] = [*part.args[2:], *(None, sys.maxsize, 1)[len(part.args) - 2 :]]
    everything = given in ([None, sys.maxsize, 1], [0, sys.maxsize, 1])
    return part.target is _aten.slice.Tensor and everything


def written_by(node: fx.Node) -> Iterator[fx.Node]:
    """The values that a node writes into."""
    if not writes(node.target):
        return
    for place, argument in enumerate(node.target._schema.arguments):  # type: ignore[union-attr]
        given = node.args[place] if place < len(node.args) else node.kwargs.get(argument.name)
        if argument.alias_info is not None and argument.alias_info.is_write:
            yield from (one for one in _list(given) if isinstance(one, fx.Node))


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _apart(one: fx.Node, other: fx.Node) -> bool:
    """Whether two values of one memory are known to be different parts of a third."""
    theirs = dict(_parts(other))
    for source, (axis, first, end) in _parts(one):
        if source in theirs:
            other_axis, other_first, other_end = theirs[source]
            return axis == other_axis and (end <= other_first or other_end <= first)
    return False


def _parts(node: fx.Node) -> Iterator[tuple[fx.Node, Part]]:
    """The values that a value is a known part of, and which; from the nearest on.

    Operations between that only change the shape are passed: what they give lies in the same part.
    """
    while node.args and isinstance(source := node.args[0], fx.Node):
        if set(_memories(node)).isdisjoint(_memories(source)):
            return
        if (part := _part(node, source)) is not None:
            yield source, part
        node = source


def _part(node: fx.Node, source: fx.Node) -> Part | None:
    """The part of its source that a node takes, where that is known."""
    if node.target is operator.getitem:  # of a split, whose parts are apart
        place: Any = node.args[1]
        return 0, place, place + 1
    given: tuple[Any, ...] = node.args[1:]
    if node.target is _aten.select.int:
        given = (*given, given[1] + 1 or None, 1)
    elif node.target is _aten.slice.Tensor:
        given = (*given, *(0, None, None, 1)[len(given) :])
    else:
        return None
    axis, start, end, step = given
    shape = source.meta["val"].shape
    length = shape[axis] if isinstance(shape[axis], int) else sys.maxsize
    bounds = [0 if start is None else start, length if end is None else end]
    if step != 1 or not all(isinstance(bound, int) for bound in bounds):
        return None
    if min(bounds) < 0 and length == sys.maxsize:
        return None
    first, last, _ = slice(*bounds).indices(length)
    return axis % len(shape), first, last
