"""Layers: the names of a network's feature maps, and the geometry of each."""

import difflib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from deconvviz.deconv.geometry import Field, Shape
from deconvviz.deconv.table import row_of
from deconvviz.deconv.table.convolution import Convolution, Linear
from deconvviz.deconv.table.norm import BatchNorm
from deconvviz.deconv.table.pooling import AveragePool, MaxPool
from deconvviz.deconv.tape import Operation, Tape
from deconvviz.errors import UnknownLayerError

_SHOWN = 12  # names in an error message


Pair = tuple[int, int]


@dataclass(frozen=True)
class Layer:
    """One layer of a network, at the `input_size` that it was traced at.

    Unit (y, x) sees `receptive_field[0]` rows from `y * stride[0] + offset[0]` on, and so for the
    columns with index 1. With stride (0, 0) every unit sees the whole picture.

    Attributes:
        channels: The number of feature maps; of units in a linear layer.
        size: Height and width of a feature map, in units; (1, 1) in a linear layer.
        stride: Input pixels between neighbouring units, down and across.
        receptive_field: Height and width of a unit's receptive field, in input pixels: the smallest
            rectangle over all paths under the deconvnet rule.
        offset: Top and left of unit (0, 0)'s field, in input pixels; negative with padding.
    """

    channels: int
    size: tuple[int, int]
    stride: tuple[int, int]
    receptive_field: tuple[int, int]
    offset: tuple[int, int]

    def centre(self, unit: Pair, size: Pair, image: Pair) -> tuple[float, float]:
        """Row and column of the middle of a unit's receptive field, in pixels of the picture.

        Args:
            unit: Row and column of the unit.
            size: Height and width of the feature map, which may be of a picture of another size.
            image: Height and width of that picture.
        """
        rows = zip(unit, size, image, self.stride, self.offset, self.receptive_field, strict=True)
        y, x = (
            offset + at * stride + (side - 1) / 2 if stride else (at + 0.5) * pixels / count - 0.5
            for at, count, pixels, stride, offset, side in rows
        )
        return y, x

    def nearest(self, point: tuple[float, float], size: Pair, image: Pair) -> Pair:
        """The unit whose `centre` is nearest to a point of the picture; same arguments."""
        first, second = (self.centre(unit, size, image) for unit in ((0, 0), (1, 1)))
        rows = zip(point, first, second, size, strict=True)
        y, x = (min(max(round((at - a) / (b - a)), 0), count - 1) for at, a, b, count in rows)
        return y, x

    def __repr__(self) -> str:
        return f"Layer({self})"

    def __str__(self) -> str:
        plural = "s" * (self.channels != 1)
        if self.size == (1, 1):
            units = f"{self.channels} unit{plural}, each"
        else:
            units = f"{self.channels} map{plural} of {_by(self.size)}, each unit"
        if self.stride == (0, 0):
            return f"{units} sees the whole picture"
        down, across = self.stride
        stride = str(down) if down == across else _by(self.stride)
        return f"{units} sees {_by(self.receptive_field)} pixels, stride {stride}"


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


@dataclass(frozen=True)
class Convolved:
    """The convolution that a default layer rectifies.

    Attributes:
        convolution: Path of the convolution's module; the first of several whose sum is rectified.
            Empty for the model itself.
        norm: Path of the BatchNorm between the two, directly or after a pooling; None without one.
    """

    convolution: str
    norm: str | None


def describe(shape: Shape, field: Field) -> Layer:
    """The layer of a value.

    Args:
        shape: (N, C, H, W), or (N, C) for a linear layer.
        field: The receptive field of the value's units.
    """
    y, x = field
    return Layer(
        channels=shape[1],
        size=(shape[2], shape[3]) if len(shape) == 4 else (1, 1),
        stride=(y.stride, x.stride),
        receptive_field=(y.size, x.size),
        offset=(y.offset, x.offset),
    )


def name_values(tape: Tape) -> dict[str, str]:
    """Layer name -> value name, in the order of execution.

    A module's path names its output; `path@n` is the n-th call of a shared module. An activation
    that is no module is `PARENT.relu@n`, where n continues the calls of a module of that path. A
    container is another name of its last operation's value. Values that a tape cannot run have
    names too, so that asking for one says why.
    """
    operations = [op for op in tape.operations if op.shape is not None]
    inside = Counter(key for op in operations for key, _ in op.calls)
    last = _outputs(operations)
    call_names = _name_calls(operations)
    seen = Counter(path for _, path in {call for op in operations for call in op.calls})
    names: dict[str, str] = {}
    for op in operations:
        owner = op.calls[-1][0] if op.calls else ""
        row, has_name = row_of(op), inside[owner] == 1
        if row.rectifies and not has_name:
            path = f"{call_names[owner]}.{op.kind}" if owner else op.kind
            seen[path] += 1
            names[f"{path}@{seen[path]}"] = op.name
        names |= {call_names[key]: op.name for key, _ in reversed(op.calls) if last.get(key) is op}
    blocked = tape.blocked()
    presentable = {
        op.name
        for op in operations
        if op.name in blocked or (op.batched and op.shape and len(op.shape) in (1, 3))
    }
    return {name: value for name, value in names.items() if value in presentable}


def _outputs(operations: Sequence[Operation]) -> dict[str, Operation]:
    """The key of each module call -> the last operation in it whose value the module returns.

    Where that is not known it is the last one. A module that returns what it was given has none.
    """
    known = {path for op in operations for path in op.returned_by}
    return {
        key: op
        for op in operations
        for key, path in op.calls
        if op.floating and (path in op.returned_by or path not in known)
    }


def _name_calls(operations: Sequence[Operation]) -> dict[str, str]:
    """The key of each module call -> its name."""
    seen: Counter[str] = Counter()
    names: dict[str, str] = {}
    for key, path in (call for op in operations for call in op.calls):
        if key not in names:
            seen[path] += 1
            names[key] = path if seen[path] == 1 else f"{path}@{seen[path]}"
    return names


def default_layers(tape: Tape, names: Mapping[str, str]) -> dict[str, Convolved]:
    """The rectified map after each convolution, by its first name, in the order of execution.

    Layers that only a gate is computed from are left out: gates are held as recorded, so that no
    signal passes them.

    Args:
        tape: A model's tape.
        names: Layer name -> value name.

    Returns:
        Layer name -> the convolution that it rectifies.
    """
    first_names: dict[str, str] = {}
    for name, value in names.items():
        first_names.setdefault(value, name)
    consumers: dict[str, list[Operation]] = {}
    for op in tape.operations:
        for value in op.inputs:
            consumers.setdefault(value, []).append(op)
    reached, rectified = _reached(tape), dict[str, Convolved]()
    for op in tape.operations:
        if op.name in reached and isinstance(row_of(op), Convolution):
            below = Convolved(op.module, _norm_after(op, consumers))
            for value in _first_rectified(op, consumers):
                rectified.setdefault(value, below)
    return {name: rectified[v] for v, name in first_names.items() if v in rectified}


def _reached(tape: Tape) -> set[str]:
    """The values that a signal from the network's outputs reaches under the deconvnet rule."""
    read = {name for op in tape.operations for name in op.reads}
    reached = {op.name for op in tape.operations if op.name not in read}
    for op in reversed(tape.operations):
        if op.name in reached:
            row = row_of(op)
            reached.update(row.targets(op, "deconvnet"))
    return reached


def _first_rectified(
    convolution: Operation, consumers: Mapping[str, Sequence[Operation]]
) -> Iterator[str]:
    """The first activation above a convolution and below the next one, if it is still a map."""
    above = list(consumers.get(convolution.name, ()))
    for op in above:
        row = row_of(op)
        if op.shape is None or len(op.shape) != 3 or isinstance(row, Convolution | Linear):
            continue
        if row.rectifies:
            yield op.name
            return
        above.extend(consumers.get(op.name, ()))


def _norm_after(op: Operation, consumers: Mapping[str, Sequence[Operation]]) -> str | None:
    """The BatchNorm that is the only reader of a convolution, or of its pooled map."""
    match consumers.get(op.name, ()):
        case [after] if isinstance(row_of(after), BatchNorm):
            return after.module
        case [after] if isinstance(row_of(after), MaxPool | AveragePool):
            return _norm_after(after, consumers)
    return None


def value_of(layer: str, names: Mapping[str, str]) -> str:
    """The name of a layer's value.

    Raises:
        UnknownLayerError: `names` has no such layer.
    """
    if layer not in names:
        raise unknown_layer(layer, names, "this model")
    return names[layer]


def unknown_layer(name: str, known: Collection[str], owner: str) -> UnknownLayerError:
    """The error for a layer that does not exist, with the closest names that do.

    Args:
        name: The missing layer.
        known: Names of the existing layers.
        owner: Owner of the layers, as the sentence's subject: "this model".
    """
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if len(known) <= _SHOWN:
        there = ", ".join(known) or "no layers"
    elif close:
        there = f"{len(known)} layers, the closest {', '.join(close)}"
    else:
        there = f"{len(known)} layers, the first {', '.join(list(known)[:_SHOWN])}"
    return UnknownLayerError(f"no layer `{name}`; {owner} has {there}")
