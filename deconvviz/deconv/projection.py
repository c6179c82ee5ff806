"""From chosen activations back down to pixels."""

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch import Tensor, nn

from deconvviz.deconv.geometry import Field, Interval, windows_below
from deconvviz.deconv.recording import Recording
from deconvviz.deconv.rules import RULES, Rule
from deconvviz.deconv.selection import Selection
from deconvviz.deconv.table import TABLE, Saved, refusal, row_of, step_of
from deconvviz.deconv.tape import Call
from deconvviz.deconv.windows import Starts, Windows, gather, inside
from deconvviz.errors import SelectionError, UnsupportedOperationError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Projection", "Start", "project"]

Start = Literal["activation", "one"]
STARTS: tuple[Start, ...] = get_args(Start)
_CACHE = 2**23  # bytes of one signal tensor, of which a few are at work at once
_FEW = 4  # signals; fewer at once are slower than each alone in a window of its own
_SHOWN = 64  # pictures of a projection that a person is shown unasked

_Fields = Mapping[str, Field | None]


@dataclass(frozen=True, eq=False)
class Projection:
    """G reconstructions in pixel space, each in its own window of the picture.

    A notebook shows the first 64 as a sheet of small pictures; `plot` says of each what it is.

    Attributes:
        pixels: (G, C, h, w) signed, in normalised input units, in the model's dtype and on its
            device. Outside the picture, where a window may reach, they are zero.
        boxes: (G, 4) int64: top, left, bottom, right of each window, in input pixels, the last two
            exclusive.
        image: (G,) int64: the image of the recording that each belongs to.
        size: Height and width of the picture, in pixels.
        selection: The K units that they started from; a picture each, or one a group by rising
            group number.
        rule: The rule that activations were undone by.
        start: What they started from: each unit's own "activation", or "one".
    """

    pixels: Tensor
    boxes: Tensor
    image: Tensor
    size: tuple[int, int]
    selection: Selection
    rule: Rule
    start: Start

    def __len__(self) -> int:
        return len(self.pixels)

    def full(self) -> Tensor:
        """Each window in its place: (G, C, H, W), zero elsewhere."""
        rows = torch.arange(len(self), device=self.pixels.device)
        top, left = -self.boxes[:, 0], -self.boxes[:, 1]
        filled = inside(top, left, self.size, (self.pixels.shape[2], self.pixels.shape[3]))
        return gather(self.pixels, rows, top, left, self.size) * filled.to(self.pixels.dtype)

    def __repr__(self) -> str:
        height, width = self.pixels.shape[2:]
        return f"Projection({len(self)} windows of {height} x {width} pixels)"

    # Drawing needs matplotlib and Pillow, which nobody else should wait for.

    def _repr_png_(self) -> bytes:
        from deconvviz.plots.projections import thumbnails

        return thumbnails(self, _SHOWN)

    def plot(
        self, columns: int | None = None, images: Tensor | None = None, most: int = _SHOWN
    ) -> "Figure":
        """Every projection as a picture under a title, and below them how they are displayed.

        Args:
            columns: Pictures in a row; by default 6, or 3 beside what their units saw.
            images: (N, C, H, W), what was recorded: what each window holds of its image is then
                shown beside its projection.
            most: Only so many are shown, the first ones.

        Returns:
            Figure that pyplot does not know, without a ground; `savefig` writes it to a file.

        Raises:
            PictureError: The pixels are not finite, or the images are not those of the recording.
            ValueError: `columns` or `most` is not positive.
        """
        from deconvviz.plots.projections import captioned

        return captioned(self, columns, images, most)


def project(
    model: nn.Module,
    value: str,
    recording: Recording,
    selection: Selection,
    rule: Rule,
    start: Start,
    max_bytes: int,
) -> Projection:
    """Project a selection of the layer whose value on the tape is `value`.

    See `Deconvnet.project` for the rest.
    """
    _check_choice("rule", rule, RULES)
    _check_choice("start", start, STARTS)
    activations = recording.values(selection)
    groups = _Groups.of(selection)
    begin = activations if start == "activation" else torch.ones_like(activations)
    if selection.weight is not None:
        begin = begin * selection.weight.to(begin)
    with torch.no_grad():
        descent = _Descent(model, value, recording, groups.size, rule)
        at_once = max(1, max_bytes // descent.bytes_per_signal())
        parts = (
            descent.run(groups.between(first, first + at_once), begin)
            for first in range(0, max(1, len(groups)), at_once)
        )
        pixels = _together(parts, len(groups))
        windows = descent.windows_of(recording.tape.input, groups.starts(begin.device))
    boxes, image = windows.boxes(), windows.starts.image
    return Projection(pixels, boxes, image, recording.size, selection, rule, start)


def _together(parts: Iterable[Tensor], count: int) -> Tensor:
    """`count` maps from their parts; the parts are never all there beside what they make."""
    whole, done = torch.empty(0), 0
    for part in parts:
        if len(part) == count:
            return part
        if not done:
            size, last = (count, *part.shape[1:]), torch.channels_last
            whole = torch.empty(size, dtype=part.dtype, device=part.device, memory_format=last)
        whole[done : done + len(part)] = part
        done += len(part)
    return whole


def _check_choice(name: str, given: str, known: Sequence[str]) -> None:
    if given not in known:
        raise ValueError(f"no {name} `{given}`; there are {', '.join(known)}")


@dataclass(frozen=True)
class _Groups:
    """G starts, each of some units of one image, all on the CPU.

    Attributes:
        image: (G,) the image of each group.
        top: (G,) the first row that the group starts in.
        left: (G,) the first column that the group starts in.
        size: Height and width of the largest group, in units.
        unit: (K,) each unit's row in the selection, sorted by group.
        group: (K,) which group it is of, counted from zero.
        channel: (K,) its channel.
        y: (K,) its row in the feature map.
        x: (K,) its column in the feature map.
    """

    image: Tensor
    top: Tensor
    left: Tensor
    size: tuple[int, int]
    unit: Tensor
    group: Tensor
    channel: Tensor
    y: Tensor
    x: Tensor

    @classmethod
    def of(cls, selection: Selection) -> "_Groups":
        """Sort a selection into its groups, by rising group number."""
        alone = torch.arange(len(selection))
        group = alone if selection.group is None else selection.group
        numbers, group = torch.unique(group, return_inverse=True)
        group, unit = group.sort(stable=True)
        image, y, x = selection.image[unit], selection.y[unit], selection.x[unit]
        first = group.new_zeros(len(numbers))
        of_image, top, left = (
            first.scatter_reduce(0, group, column, "amin", include_self=False)
            for column in (image, y, x)
        )
        torn = group[image != of_image[group]]
        if len(torn):
            raise SelectionError(
                f"group {int(numbers[torn[0]])} has units of several images; a group needs one"
            )
        spans = torch.stack([y - top[group], x - left[group]]) + 1
        height, width = spans.amax(dim=1) if len(group) else (1, 1)
        return cls(
            image=of_image,
            top=top,
            left=left,
            size=(int(height), int(width)),
            unit=unit,
            group=group,
            channel=selection.channel[unit],
            y=y,
            x=x,
        )

    def __len__(self) -> int:
        return len(self.image)

    def between(self, first: int, last: int) -> "_Groups":
        """The groups from `first` up to `last`, exclusive."""
        edges = torch.searchsorted(self.group, torch.tensor([first, last]))
        rows = slice(int(edges[0]), int(edges[1]))
        return replace(
            self,
            image=self.image[first:last],
            top=self.top[first:last],
            left=self.left[first:last],
            unit=self.unit[rows],
            group=self.group[rows] - first,
            channel=self.channel[rows],
            y=self.y[rows],
            x=self.x[rows],
        )

    def starts(self, device: torch.device) -> Starts:
        """Where the groups start, on a device."""
        return Starts(self.image.to(device), self.top.to(device), self.left.to(device))


class _Descent:
    """The way down from one layer to the pixels, planned once and run for many signals."""

    def __init__(
        self, model: nn.Module, top: str, recording: Recording, size: tuple[int, int], rule: Rule
    ) -> None:
        tape, self.shapes = recording.tape, recording.shapes
        operations = tape.ancestors([top])
        self.calls = _on_the_way(tape.calls(operations, model, self.shapes), top, rule)
        self.steps = [step_of(call, rule) for call in self.calls]
        start = (Interval(1, 0, size[0]), Interval(1, 0, size[1]))
        self.fields = windows_below(self.steps, {top: start}, self.shapes)
        self.top, self.input = top, tape.input
        self.residues, self.rule = recording.residues, rule
        self.itemsize = recording.dtype.itemsize
        self.parts = self._parts(recording.device)

    def windows_of(self, value: str, starts: Starts) -> Windows:
        """The windows in a value of the signals from `starts`, all of one size."""
        return Windows(starts, self.fields[value])

    def run(self, groups: _Groups, begin: Tensor) -> Tensor:
        """Project some groups: (G, C, h, w) in the windows of the images."""
        starts = groups.starts(begin.device)
        signals = {self.top: self._start(groups, starts, begin)}
        return self._part(len(self.calls), signals, starts)

    def _part(self, place: int, signals: dict[str, Tensor], starts: Starts) -> Tensor:
        """Send signals through the first `place` calls, in the windows of `self.fields`."""
        if len(starts) != 1 or starts.y.device.type != "cpu":
            return self._down(place, signals, starts, self.fields)
        # One alone needs no window of the size of others', but only what lies on the map.
        y, x = int(starts.y), int(starts.x)
        here = {n: f and (f[0].at(y), f[1].at(x)) for n, f in self.fields.items() if n in signals}
        fields = windows_below(self.steps[:place], here, self.shapes)
        for name, signal in signals.items():
            there = Windows(starts, fields[name])
            signals[name] = self.windows_of(name, starts).carry(signal, there, self.shapes[name])
        pixels = self._down(place, signals, starts, fields)
        windows, shape = self.windows_of(self.input, starts), self.shapes[self.input]
        return Windows(starts, fields[self.input]).carry(pixels, windows, shape)

    def _down(
        self, place: int, signals: dict[str, Tensor], starts: Starts, fields: _Fields
    ) -> Tensor:
        """Send signals through the first `place` calls, in ever smaller parts as they grow."""
        while place:
            place -= 1
            part = self.parts[place]
            if len(starts) > part:
                rows = [slice(i, i + part) for i in range(0, len(starts), part)]
                return torch.cat(
                    [
                        self._part(place + 1, {n: s[row] for n, s in signals.items()}, starts[row])
                        for row in rows
                    ]
                )
            self._undo(place, signals, starts, fields)
        return signals[self.input]

    def _undo(
        self, place: int, signals: dict[str, Tensor], starts: Starts, fields: _Fields
    ) -> None:
        """Send the signal in one call's value on to what that was made of."""
        call, step = self.calls[place], self.steps[place]
        here = Windows(starts, fields[step.output])
        sent = TABLE[call.operation.target].adjoint(
            call, signals.pop(step.output), partial(self._recall, step.output, here), self.rule
        )
        for name, signal in zip(step.inputs, sent, strict=True):
            there = Windows(starts, fields[name])
            arrived = here.reaching(step.reach, there).carry(signal, there, self.shapes[name])
            signals[name] = signals[name] + arrived if name in signals else arrived

    def _recall(self, value: str, windows: Windows) -> Saved:
        residue = self.residues[value]
        if isinstance(residue, Tensor):
            return windows.read(residue)
        return tuple(windows.read(part) for part in residue)

    def _start(self, groups: _Groups, starts: Starts, begin: Tensor) -> Tensor:
        """The chosen activations in their windows, every other unit zero."""
        values = begin[groups.unit]
        windows = self.windows_of(self.top, starts)
        group, channel = groups.group.to(begin.device), groups.channel.to(begin.device)
        if windows.field is None:
            signal = begin.new_zeros(len(groups), *self.shapes[self.top][1:])
            return signal.index_put_((group, channel), values)
        y = groups.y.to(begin.device) - windows.top[group]
        x = groups.x.to(begin.device) - windows.left[group]
        signal = begin.new_zeros(len(groups), *windows.size, self.shapes[self.top][1])
        return signal.index_put_((group, y, x, channel), values).permute(0, 3, 1, 2)

    def _parts(self, device: torch.device) -> list[int]:
        """How many signals at once each call undoes fastest.

        On a CPU, as many as its cache holds: larger tensors are written to memory and back, and the
        system clears fresh pages for each of them. Few kernels then wait for many signals, because
        signals are small where kernels are large.
        """
        if device.type != "cpu":
            return [sys.maxsize] * len(self.steps)
        sizes = [max(map(self._count, (step.output, *step.inputs))) for step in self.steps]
        parts = [_CACHE // (self.itemsize * size) for size in sizes]
        return [part if part >= _FEW else 1 for part in parts]

    def bytes_per_signal(self) -> int:
        """How much memory one signal takes at its widest, intermediate copies included."""
        held = {self.top: self._count(self.top)}
        most = held[self.top]
        for step in reversed(self.steps):
            signal = held.pop(step.output)
            sent = sum(self._count(name) for name in step.inputs)
            # The signal and its recorded map; what is sent, before and after it is cut to size.
            most = max(most, sum(held.values()) + 2 * signal + 3 * sent)
            held.update((name, self._count(name)) for name in step.inputs)
        return max(1, most * self.itemsize)

    def _count(self, value: str) -> int:
        shape, window = self.shapes[value], self.fields[value]
        if window is None:
            return math.prod(shape[1:])
        return math.prod(shape[1:-2]) * window[0].size * window[1].size


def _on_the_way(calls: Sequence[Call], top: str, rule: Rule) -> list[Call]:
    """The calls that a signal from `top` passes, in the order of their execution.

    Raises:
        UnsupportedOperationError: One of them cannot be undone.
    """
    reached, passed, refused = {top}, list[Call](), list[Call]()
    for call in reversed(calls):
        if call.operation.name in reached:
            if refusal(call):
                refused.append(call)
                reached.update(call.operation.inputs)
                continue
            reached.update(TABLE[call.operation.target].targets(call.operation, rule))
            passed.append(call)
    if refused:
        # Attention itself tells more than the transpositions around it, which have a row.
        call = min(refused, key=lambda call: row_of(call.operation) is not None)
        raise UnsupportedOperationError(f"cannot undo {call.operation}: {refusal(call)}")
    return passed[::-1]
