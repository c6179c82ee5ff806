"""Interval arithmetic: receptive fields, and the windows that a projection has to compute.

One small class serves three purposes. An `Interval` from an operation's output to its input is what
the operation reads; composed from the image up to a layer it is the layer's receptive field;
composed from a chosen unit down to a value it is the window in which that value is computed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Interval:
    """Position i of one axis reads the positions stride * i + offset, ..., + size - 1 of another.

    Attributes:
        stride: Positions between the first ones of neighbours; 0: the same interval for every i.
        offset: First position for i = 0; negative with padding.
        size: Number of positions.
    """

    stride: int
    offset: int
    size: int

    def then(self, below: "Interval") -> "Interval":
        """From i to all that `below` reads from within this interval."""
        return Interval(
            self.stride * below.stride,
            self.offset * below.stride + below.offset,
            (self.size - 1) * below.stride + below.size,
        )

    def join(self, other: "Interval", length: int) -> "Interval":
        """The smallest interval over both; the whole axis where their strides differ."""
        if self.stride != other.stride:
            return whole(length)
        start = min(self.offset, other.offset)
        end = max(self.offset + self.size, other.offset + other.size)
        return Interval(self.stride, start, end - start)

    def clip(self, length: int) -> "Interval":
        """The same without what never lies in 0..length; the whole axis if it is as long."""
        if self.size >= length:
            return whole(length)
        if self.stride:
            return self
        start = min(max(self.offset, 0), length - 1)  # never empty, even where all is padding
        end = max(min(self.offset + self.size, length), start + 1)
        return Interval(0, start, end - start)

    def at(self, position: int) -> "Interval":
        """The interval of one position, with stride 0."""
        return Interval(0, self.stride * position + self.offset, self.size)


Field = tuple[Interval, Interval]
"""Along y and x. `Field | None`: None for a value without positions, or where an operation reads
more than an interval."""

HERE: Field = (Interval(1, 0, 1), Interval(1, 0, 1))


def whole(length: int) -> Interval:
    """All of an axis."""
    return Interval(0, 0, length)


def has_positions(shape: Shape) -> bool:
    """Whether a value is a map: (N, channels, H, W), the channels in one axis or more."""
    return len(shape) >= 4


def everywhere(shape: Shape) -> Field | None:
    """The whole of a value of this shape."""
    return (whole(shape[-2]), whole(shape[-1])) if has_positions(shape) else None


def then(above: Field, below: Field) -> Field:
    """Compose two fields, axis by axis."""
    return above[0].then(below[0]), above[1].then(below[1])


def hull(a: Field, b: Field, shape: Shape) -> Field:
    """The smallest field over both, in a value of this shape."""
    return a[0].join(b[0], shape[-2]), a[1].join(b[1], shape[-1])


@dataclass(frozen=True)
class Step:
    """The geometry of one operation.

    Attributes:
        output: Name of the operation's value.
        inputs: Names of the values that get a signal from it.
        field: Interval of each input that one output position reads; None if it is no interval.
    """

    output: str
    inputs: tuple[str, ...]
    field: Field | None


def receptive_fields(
    steps: Sequence[Step], image: str, shapes: Mapping[str, Shape]
) -> dict[str, Field]:
    """The receptive field of each value's units, over all paths.

    Args:
        steps: The operations of a network, in the order of execution.
        image: Name of the images' value.
        shapes: Value name -> shape.

    Returns:
        Value name -> field from a position of the value to pixels.
    """
    picture = shapes[image]
    all_of_it = (whole(picture[2]), whole(picture[3]))
    fields = {image: HERE}
    for step in steps:
        if step.field is None or not has_positions(shapes[step.output]):
            fields[step.output] = all_of_it
            continue
        paths = [then(step.field, fields[name]) for name in step.inputs]
        joined = paths[0] if paths else HERE
        for path in paths[1:]:
            joined = hull(joined, path, picture)
        fields[step.output] = joined
    return fields


def windows_below(
    steps: Sequence[Step], top: Mapping[str, Field | None], shapes: Mapping[str, Shape]
) -> dict[str, Field | None]:
    """The window in each value that a signal covers on its way down.

    Each operation maps its output's window to what it reads of its inputs: windows grow, and where
    branches of the network part, the windows of all paths are joined. An operation whose receptive
    field is no interval takes and gives whole maps.

    Args:
        steps: The operations below the signals, in the order of execution.
        top: Name of a value with a signal -> the signal's window; None without positions.
        shapes: Value name -> shape.

    Returns:
        Value name -> its window, counted from the same positions as those of `top`.
    """
    needs_all = {step.output for step in steps if step.field is None}
    windows: dict[str, Field | None] = {}

    def widen(name: str, window: Field | None) -> None:
        shape = shapes[name]
        if window is None or not has_positions(shape) or name in needs_all:
            windows[name] = everywhere(shape)
            return
        window = window[0].clip(shape[-2]), window[1].clip(shape[-1])
        held = windows.get(name)
        windows[name] = window if held is None else hull(held, window, shape)

    for name, window in top.items():
        widen(name, window)
    for step in reversed(steps):
        above = windows[step.output]
        for name in step.inputs:
            widen(name, then(above, step.field) if above and step.field else None)
    return windows
