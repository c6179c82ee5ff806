"""Passes over the tape: patterns of several operations become one.

A clamp at zero is a ReLU; splitting channels and taking a part is a slice; an activation written in
several operations is one (`joins`), and a product with something bounded is a gate; what runs
between a transposition to channels-last and one back (ConvNeXt) runs channels first, so that every
map on the tape is (N, C, H, W).
"""

import operator
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from deconvviz.deconv.joins import activations, gates, without_dead
from deconvviz.deconv.ops import channel_linear, channel_norm, part
from deconvviz.deconv.table import row_of
from deconvviz.deconv.table.pointwise import Sum
from deconvviz.deconv.tape import Operation, Ref, Tape

_aten = torch.ops.aten

# An operation -> the arguments with which it is a ReLU.
_CLAMPS: Mapping[object, Mapping[str, Any]] = {
    _aten.clamp.default: {"min": 0, "max": None},
    _aten.clamp_min.default: {"min": 0},
    _aten.threshold.default: {"threshold": 0, "value": 0},
}

_SPLITS = (
    _aten.chunk.default,
    _aten.split.Tensor,
    _aten.split.sizes,
    _aten.split_with_sizes.default,
)

# Orders of axes: (N, C, H, W) to channels-last, and back.
_TO_LAST, _TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)


def simplify(tape: Tape) -> Tape:
    """The same tape in fewer and plainer operations; it computes the same values."""
    for run_pass in (_plainer, _stacks, _slices, activations, gates, _channels_first):
        tape = replace(tape, operations=tuple(run_pass(tape)))
    return tape


# --- other names ----------------------------------------------------------------------------------


def _plainer(tape: Tape) -> list[Operation]:
    return [_as_relu(_as_square(_as_batch_norm(op))) for op in tape.operations]


def _as_relu(op: Operation) -> Operation:
    plain = _CLAMPS.get(op.target)
    if plain is None or {**op.arguments, "self": None} != {**plain, "self": None}:
        return op
    return replace(op, target=_aten.relu.default, arguments={"self": op.arguments["self"]})


def _as_square(op: Operation) -> Operation:
    """`x * x`, which is no product of two branches."""
    if op.target is not _aten.mul.Tensor or len(op.inputs) != 2 or len(set(op.inputs)) != 1:
        return op
    source = op.inputs[0]
    return replace(
        op, target=_aten.square.default, arguments={"self": Ref(source)}, inputs=(source,)
    )


def _as_batch_norm(op: Operation) -> Operation:
    """An instance normalisation by fixed statistics."""
    if op.target is not _aten.instance_norm.default or op.arguments["use_input_stats"]:
        return op
    arguments = {n: a for n, a in op.arguments.items() if n != "use_input_stats"}
    names = ("input", "weight", "bias", "running_mean", "running_var")
    given = {name: arguments[name] for name in names} | {"training": False}
    rest = {name: arguments[name] for name in ("momentum", "eps", "cudnn_enabled")}
    return replace(op, target=_aten.batch_norm.default, arguments=given | rest)


def _stacks(tape: Tape) -> list[Operation]:
    """Stacks along a first axis, which is summed or averaged away, along the second instead."""
    readers: dict[str, list[Operation]] = {}
    for op in tape.operations:
        for name in op.inputs:
            readers.setdefault(name, []).append(op)
    first = {op.name for op in tape.operations if _is_first(op) and _all_reduce(readers, op.name)}
    done = []
    for op in tape.operations:
        if op.name in first:
            shape = (len(op.inputs), *(op.shape or ())[1:])
            done.append(
                replace(op, arguments={**op.arguments, "dim": 1}, shape=shape, batched=True)
            )
        elif first.intersection(op.inputs):
            dim = 1 if isinstance(op.arguments["dim"], int) else (1,)
            done.append(replace(op, arguments={**op.arguments, "dim": dim}, batched=True))
        else:
            done.append(op)
    return done


def _is_first(op: Operation) -> bool:
    whole = op.target is _aten.stack.default and len(op.inputs) == len(op.arguments["tensors"])
    return whole and op.arguments["dim"] == 0


def _all_reduce(readers: Mapping[str, list[Operation]], name: str) -> bool:
    """Whether all that reads a value takes its first axis away."""
    return name in readers and all(
        op.kind in ("sum", "mean", "amax", "max")
        and op.arguments.get("dim") in (0, (0,))
        and not op.arguments.get("keepdim")
        for op in readers[name]
    )


# --- parts of the channels ------------------------------------------------------------------------


def _slices(tape: Tape) -> list[Operation]:
    by_name = {op.name: op for op in tape.operations}
    shapes = tape.shapes()
    return without_dead([_as_slice(op, by_name, shapes) or op for op in tape.operations], tape)


def _as_slice(
    op: Operation, by_name: Mapping[str, Operation], shapes: Mapping[str, tuple[int, ...]]
) -> Operation | None:
    """One of several values, or one channel with its axis kept, as an operation of its own."""
    if not op.inputs or op.inputs[0] not in by_name:
        return None
    if op.target is _aten.unsqueeze.default:
        return _as_channel(op, by_name[op.inputs[0]])
    if op.target is not operator.getitem or op.refused:
        return None
    split, place = by_name[op.inputs[0]], op.arguments["1"]
    if not split.inputs:
        return None
    source, rest = split.inputs[0], split.arguments
    if split.target in _SPLITS and rest["dim"] % len(shapes[source]) == 1:
        return _slice(op, source, *_bounds(split, shapes[source][1], place))
    if split.target is _aten.var_mean.dim and place == 0:
        return replace(op, target=_aten.var.dim, arguments=rest, inputs=(source,))
    if split.target is _aten.var_mean.dim:
        given = {"dim": rest["dim"], "keepdim": rest["keepdim"], "dtype": None}
        return _taking(op, _aten.mean.dim, source, **given)
    if not isinstance(split.target, torch._ops.OpOverload) or split.refused:
        return None
    arguments = {"place": place, "of": split.target, **rest}
    return replace(op, target=part, arguments=arguments, inputs=split.inputs)


def _as_channel(op: Operation, select: Operation) -> Operation | None:
    """`x[:, i].unsqueeze(1)`, in which torchvision's Inception writes its change of units."""
    wanted = select.target is _aten.select.int and select.inputs and op.arguments["dim"] == 1
    if not wanted or select.arguments["dim"] != 1 or select.arguments["index"] < 0:
        return None
    index = select.arguments["index"]
    return _slice(op, select.inputs[0], index, index + 1)


def _slice(op: Operation, source: str, start: int, end: int) -> Operation:
    """`op` as the channels from `start` to `end` of `source`."""
    return _taking(op, _aten.slice.Tensor, source, dim=1, start=start, end=end, step=1)


def _taking(op: Operation, target: Any, source: str, **rest: Any) -> Operation:
    """`op` as another operation on `source`."""
    return replace(op, target=target, arguments={"self": Ref(source), **rest}, inputs=(source,))


def _bounds(split: Operation, channels: int, place: int) -> tuple[int, int]:
    sizes = split.arguments.get("split_sizes", split.arguments.get("split_size"))
    if isinstance(sizes, tuple):
        place %= len(sizes)
        return sum(sizes[:place]), sum(sizes[: place + 1])
    if split.target is _aten.chunk.default:
        size = -(-channels // split.arguments["chunks"])
    else:
        size = sizes
    place %= -(-channels // size)
    return size * place, min(size * (place + 1), channels)


# --- channels first -------------------------------------------------------------------------------


def _channels_first(tape: Tape) -> list[Operation]:
    return _ChannelsFirst(tape).done


class _ChannelsFirst:
    """One walk over the tape that takes out transpositions to channels-last and back.

    A transposition to channels-last is held back: operations on its value run on the channels-first
    source instead, as long as they can. The transposition back is then no operation at all. Where
    an operation needs channels-last after all, the transposition is put in before it.
    """

    def __init__(self, tape: Tape) -> None:
        self.shapes = tape.shapes()
        self.sources: dict[str, str] = {}  # a channels-last value -> the same, channels first
        self.renamed: dict[str, str] = {}  # a value transposed back -> the same, channels first
        self.transposed: set[str] = set()  # channels-last values that were needed after all
        self.done: list[Operation] = []
        read = {name for op in tape.operations for name in op.reads}
        for op in tape.operations:
            self._take(_renaming(op, self.renamed))
            if op.name in self.sources and op.name not in read:  # the network's output
                self._transpose(op.name)

    def _take(self, op: Operation) -> None:
        source = op.inputs[0] if op.inputs else ""
        if _permutes(op, _TO_LAST) and source not in self.sources and len(self.shapes[source]) == 4:
            self.sources[op.name] = source
            self._returned(source, op)
        elif _permutes(op, _TO_FIRST) and source in self.sources:
            self.renamed[op.name] = self.sources[source]
            self._returned(self.sources[source], op)
        elif not any(name in self.sources for name in op.reads):
            self.done.append(op)
        elif (moved := self._moved(op)) is not None:
            self.done.append(moved)
            self.sources[op.name] = moved.name
            self.shapes[moved.name] = (1, *(moved.shape or ()))
        else:
            last = {name: self._transpose(name) for name in op.reads if name in self.sources}
            self.done.append(_renaming(op, last))

    def _returned(self, name: str, op: Operation) -> None:
        """Note that a module which returns a transposed value returns this one."""
        for place, made in enumerate(self.done):
            if made.name == name and op.returned_by:
                self.done[place] = replace(made, returned_by=made.returned_by | op.returned_by)

    def _moved(self, op: Operation) -> Operation | None:
        """An operation on channels-last values as the same on channels-first ones, if there is."""
        if op.shape is None or len(op.shape) != 3 or not all(n in self.sources for n in op.inputs):
            return None
        row, target, arguments = row_of(op), op.target, dict(op.arguments)
        if op.target is _aten.layer_norm.default and len(arguments["normalized_shape"]) == 1:
            target = channel_norm
            names = ("input", "weight", "bias", "eps")
            arguments = {name: arguments[name] for name in names}
        elif op.target is _aten.linear.default and len(op.inputs) == 1:
            target = channel_linear
        elif not (row and row.elementwise) and not (isinstance(row, Sum) and len(op.inputs) == 2):
            return None
        height, width, channels = op.shape
        moved = _renaming(replace(op, target=target, arguments=arguments), self.sources)
        return replace(moved, name=f"{op.name}_first", shape=(channels, height, width))

    def _transpose(self, name: str) -> str:
        """Put the transposition of a channels-last value on the tape, once; its name."""
        last = f"{name}_last"
        if name not in self.transposed:
            self.transposed.add(name)
            source = self.sources[name]
            arguments = {"self": Ref(source), "dims": _TO_LAST}
            shape = self.shapes[name][1:]
            target = _aten.permute.default
            self.done.append(Operation(last, target, arguments, (source,), (), shape))
        return last


def _permutes(op: Operation, order: tuple[int, ...]) -> bool:
    if op.target is not _aten.permute.default or len(op.inputs) != 1:
        return False
    dims: tuple[int, ...] = op.arguments["dims"]
    return len(dims) == 4 and tuple(dim % 4 for dim in dims) == order


def _renaming(op: Operation, names: Mapping[str, str]) -> Operation:
    """The operation reading other values in place of those in `names`."""
    if not any(name in names for name in op.reads):
        return op
    arguments = {name: _renamed(value, names) for name, value in op.arguments.items()}
    inputs = tuple(names.get(name, name) for name in op.inputs)
    return replace(op, arguments=arguments, inputs=inputs)


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, Ref):
        return Ref(names.get(value.name, value.name))
    if isinstance(value, tuple):
        return tuple(_renamed(item, names) for item in value)
    return value
