"""Interval arithmetic: which positions a unit reaches, along each axis.

One small class serves three purposes. A `Interval` from an operation's output to its input says what
the operation reads; composed from a layer down to the picture it is the receptive field; composed
from a chosen unit down to a value it is the window in which that value has to be computed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = [
    "HERE",
    "Field",
    "Interval",
    "Shape",
    "Step",
    "has_positions",
    "receptive_fields",
    "then",
    "windows_below",
]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Interval:
    """Position i reaches the `size` positions from `stride * i + offset` on.

    A stride of zero is a fixed interval, the same for every i.
    """

    stride: int
    offset: int
    size: int

    def then(self, below: "Interval") -> "Interval":
        """From i to what `below` reaches from anywhere within this."""
        return Interval(
            self.stride * below.stride,
            self.offset * below.stride + below.offset,
            (self.size - 1) * below.stride + below.size,
        )

    def join(self, other: "Interval", length: int) -> "Interval":
        """The smallest interval over both; all of `length` if they do not move in step."""
        if self.stride != other.stride:
            return whole(length)
        start = min(self.offset, other.offset)
        end = max(self.offset + self.size, other.offset + other.size)
        return Interval(self.stride, start, end - start)

    def clip(self, length: int) -> "Interval":
        """The same without what never lies in 0..length; a long window becomes the whole."""
        if self.size >= length:
            return whole(length)
        if self.stride:
            return self
        start = min(max(self.offset, 0), length - 1)  # never empty, even where all is padding
        end = max(min(self.offset + self.size, length), start + 1)
        return Interval(0, start, end - start)

    def at(self, position: int) -> "Interval":
        """What one position reaches, as a fixed interval."""
        return Interval(0, self.stride * position + self.offset, self.size)


# Along y and x. None stands for a value without positions, or for an operation that mixes them all.
Field = tuple[Interval, Interval]
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
    """What the arithmetic needs to know of one operation.

    Attributes:
        output: The name of its value.
        inputs: The names of the values that it sends a signal to.
        reach: What one position of its output reads of each input; None if that is no interval.
    """

    output: str
    inputs: tuple[str, ...]
    reach: Field | None


def receptive_fields(
    steps: Sequence[Step], image: str, shapes: Mapping[str, Shape]
) -> dict[str, Field]:
    """What one unit of each value sees of the images, over all paths."""
    picture = shapes[image]
    all_of_it = (whole(picture[2]), whole(picture[3]))
    fields = {image: HERE}
    for step in steps:
        if step.reach is None or not has_positions(shapes[step.output]):
            fields[step.output] = all_of_it
            continue
        paths = [then(step.reach, fields[name]) for name in step.inputs]
        joined = paths[0]
        for path in paths[1:]:
            joined = hull(joined, path, picture)
        fields[step.output] = joined
    return fields


def windows_below(
    steps: Sequence[Step], starts: Mapping[str, Field | None], shapes: Mapping[str, Shape]
) -> dict[str, Field | None]:
    """The window in each value, from where signals start downwards.

    Args:
        steps: The operations that the starts are made by, in the order of their execution.
        starts: Value name -> the window in which a signal stands there; None without positions.
        shapes: The shape of every value.

    Returns:
        Value name -> its window, as a field from the same positions as the starts.
    """
    mixing = {step.output for step in steps if step.reach is None}
    windows: dict[str, Field | None] = {}

    def widen(name: str, window: Field | None) -> None:
        shape = shapes[name]
        if window is None or not has_positions(shape) or name in mixing:
            windows[name] = everywhere(shape)
            return
        window = window[0].clip(shape[-2]), window[1].clip(shape[-1])
        held = windows.get(name)
        windows[name] = window if held is None else hull(held, window, shape)

    for name, window in starts.items():
        widen(name, window)
    for step in reversed(steps):
        above = windows[step.output]
        for name in step.inputs:
            widen(name, then(above, step.reach) if above and step.reach else None)
    return windows
