"""From chosen activations back down to pixels."""

import math
import operator
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from deconvviz.deconv.geometry import Field, Interval, windows_below
from deconvviz.deconv.precision import Precision, finite, signal_dtype, with_weights_in
from deconvviz.deconv.recording import Recording
from deconvviz.deconv.rules import RULES, Rule
from deconvviz.deconv.selection import Selection
from deconvviz.deconv.table import TABLE, Saved, refusal, row_of, step_of
from deconvviz.deconv.tape import Call
from deconvviz.deconv.windows import Anchors, Windows, gather, inside
from deconvviz.errors import SelectionError, UnsupportedOperationError
from deconvviz.views import view

Box = tuple[int, int, int, int]
"""Top, left, bottom, right in pixels, the last two exclusive; it may leave the picture."""

Start = Literal["activation", "one"]

_CACHE = 2**23  # bytes of one signal tensor, of which a few are at work at once
_FEW = 4  # signals; fewer at once are slower than each alone in a window of its own
_SHOWN = 64  # pictures of a projection that a notebook shows

_Fields = Mapping[str, Field | None]


@dataclass(frozen=True, eq=False)
class Projection:
    """G reconstructions in pixel space, each in its own window of the picture.

    A notebook shows the first 64 as a contact sheet; `plot` adds titles and a caption.

    Attributes:
        pixels: (G, C, h, w) signed, in normalised input units, in the model's dtype and on its
            device. Outside the picture, where a window may extend, they are zero.
        boxes: (G, 4) int64: top, left, bottom, right of each window, in input pixels, the last two
            exclusive.
        image: (G,) int64: the image of the recording.
        size: Height and width of the picture, in pixels.
        selection: The K projected units; one picture per row, or per group by rising number.
        rule: The rule at activations.
        start: "activation" or "one": the units' values at the start.
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

    def _repr_png_(self) -> bytes:
        png: bytes = view("projections.thumbnails")(self, _SHOWN)
        return png

    def plot(
        self, columns: int | None = None, images: Tensor | None = None, most: int = _SHOWN
    ) -> Any:
        """Every projection as a picture under a title, above a caption.

        Args:
            columns: Pictures in a row; by default 6, or 3 beside their images.
            images: (N, C, H, W), the recorded images: each window's part of its image is then shown
                left of the projection.
            most: Maximum number of projections shown, the first ones.

        Returns:
            matplotlib Figure, transparent, unknown to pyplot; `savefig` writes it to a file.

        Raises:
            PictureError: The pixels are not finite, or the images are not those of the recording.
            ValueError: `columns` or `most` is not positive.
        """
        return view("projections.figure")(self, columns, images, most)


def project(
    model: nn.Module,
    value: str,
    recording: Recording,
    selection: Selection,
    rule: Rule,
    start: Start,
    max_bytes: int,
    precision: Precision = "full",
) -> Projection:
    """Project a selection of the layer whose value on the tape is `value`.

    See `Deconvnet.project` for the rest.
    """
    _check_choice("rule", rule, RULES)
    _check_choice("start", start, get_args(Start))
    dtype = signal_dtype(precision, recording.dtype, recording.device)
    values = recording.values(selection)
    values = values if start == "activation" else torch.ones_like(values)
    if selection.weight is not None:
        values = values * selection.weight.to(values)
    anchors, group, size = _grouped(selection)
    with torch.no_grad():
        backward = _Backward(model, value, recording, size, rule, dtype)
        chunk = max(1, max_bytes // backward.bytes_per_signal())
        chunks = (
            backward.run(anchors, selection, values, group, slice(first, first + chunk))
            for first in range(0, max(1, len(anchors)), chunk)
        )
        pixels = finite(_concatenated(chunks, len(anchors)), precision)
    windows = Windows(anchors.to(values.device), backward.fields[recording.tape.input])
    image = windows.anchors.image
    return Projection(pixels, windows.boxes(), image, recording.size, selection, rule, start)


def _check_choice(name: str, given: str, known: Sequence[str]) -> None:
    if given not in known:
        raise ValueError(f"no {name} `{given}`; there are {', '.join(known)}")


def _grouped(selection: Selection) -> tuple[Anchors, Tensor, tuple[int, int]]:
    """The groups of a selection, by rising group number; without numbers each row is a group.

    Returns:
        The upper left corner of each of the G groups, the group of each of the K rows, and height
        and width of the largest group, in units; all on the CPU.
    """
    alone = torch.arange(len(selection))
    group = alone if selection.group is None else selection.group
    numbers, group = torch.unique(group, return_inverse=True)
    blank = group.new_zeros(len(numbers))
    image, y, x = (
        blank.scatter_reduce(0, group, column, "amin", include_self=False)
        for column in (selection.image, selection.y, selection.x)
    )
    torn = group[selection.image != image[group]]
    if len(torn):
        raise SelectionError(
            f"group {int(numbers[torn[0]])} has units of several images; a group needs one"
        )
    spans = torch.stack([selection.y - y[group], selection.x - x[group]]) + 1
    height, width = spans.amax(dim=1) if len(group) else (1, 1)
    return Anchors(image, y, x), group, (int(height), int(width))


def _concatenated(chunks: Iterable[Tensor], count: int) -> Tensor:
    """`count` maps from chunks of them, of which only one is held beside the result."""
    whole, done = torch.empty(0), 0
    for chunk in chunks:
        if len(chunk) == count:
            return chunk
        if not done:
            size, last = (count, *chunk.shape[1:]), torch.channels_last
            whole = torch.empty(size, dtype=chunk.dtype, device=chunk.device, memory_format=last)
        whole[done : done + len(chunk)] = chunk
        done += len(chunk)
    return whole


class _Backward:
    """The backward pass from one layer to the pixels, planned once and run for many signals.

    Windows are planned once for all signals: of one size, counted from each signal's anchor, and
    possibly beyond the map's edge, so that signals are one batch. On a CPU the batch is cut into
    ever smaller chunks as windows grow (`chunk_sizes`). A signal that is alone on a CPU has its
    windows planned anew, from where it stands: only what lies on the map.
    """

    def __init__(
        self,
        model: nn.Module,
        top: str,
        recording: Recording,
        size: tuple[int, int],
        rule: Rule,
        dtype: torch.dtype,
    ) -> None:
        tape, self.shapes = recording.tape, recording.shapes
        operations = tape.ancestors([top])
        self.calls = _passed(tape.calls(operations, model, self.shapes), top, rule)
        self.calls = [with_weights_in(call, dtype) for call in self.calls]
        self.steps = [step_of(call, rule) for call in self.calls]
        window = (Interval(1, 0, size[0]), Interval(1, 0, size[1]))
        self.fields = windows_below(self.steps, {top: window}, self.shapes)
        self.top, self.input = top, tape.input
        self.saved, self.rule = recording.saved, rule
        self.dtype, self.own_dtype = dtype, recording.dtype
        self.itemsize = dtype.itemsize
        self.chunk_sizes = self._chunk_sizes(recording.device)

    def run(
        self, anchors: Anchors, selection: Selection, values: Tensor, group: Tensor, chunk: slice
    ) -> Tensor:
        """Project some of the groups.

        Args:
            anchors: All G groups' anchors.
            selection: K units.
            values: (K,) the units' values at the start.
            group: (K,) the group of each unit.
            chunk: The groups that are projected.

        Returns:
            (g, C, h, w) in the windows of the images.
        """
        rows = ((group >= chunk.start) & (group < chunk.stop)).nonzero()[:, 0]
        here = anchors[chunk].to(values.device)
        units, group = selection[rows], group[rows] - chunk.start
        signal = self._signal(here, units, values[rows.to(values.device)], group).to(self.dtype)
        return self._run_chunk(len(self.calls), {self.top: signal}, here).to(self.own_dtype)

    def _signal(self, anchors: Anchors, units: Selection, values: Tensor, group: Tensor) -> Tensor:
        """The chosen activations in their windows, every other unit zero."""
        windows, shape = Windows(anchors, self.fields[self.top]), self.shapes[self.top]
        group, channel = group.to(values.device), units.channel.to(values.device)
        if windows.field is None:
            signal = values.new_zeros(len(anchors), *shape[1:])
            return signal.index_put_((group, channel), values, accumulate=True)
        y = units.y.to(values.device) - windows.top[group]
        x = units.x.to(values.device) - windows.left[group]
        signal = values.new_zeros(len(anchors), *windows.size, shape[1])
        signal.index_put_((group, y, x, channel), values, accumulate=True)
        return signal.permute(0, 3, 1, 2)

    def _run_chunk(self, place: int, signals: dict[str, Tensor], anchors: Anchors) -> Tensor:
        """Send signals down through the first `place` calls, in the windows of `self.fields`."""
        if len(anchors) != 1 or anchors.y.device.type != "cpu":
            return self._run_calls(place, signals, anchors, self.fields)
        y, x = int(anchors.y), int(anchors.x)
        here = {n: f and (f[0].at(y), f[1].at(x)) for n, f in self.fields.items() if n in signals}
        fields = windows_below(self.steps[:place], here, self.shapes)
        for name, signal in signals.items():
            wide, narrow = Windows(anchors, self.fields[name]), Windows(anchors, fields[name])
            signals[name] = wide.move(signal, narrow, self.shapes[name])
        pixels = self._run_calls(place, signals, anchors, fields)
        wide = Windows(anchors, self.fields[self.input])
        narrow = Windows(anchors, fields[self.input])
        return narrow.move(pixels, wide, self.shapes[self.input])

    def _run_calls(
        self, place: int, signals: dict[str, Tensor], anchors: Anchors, fields: _Fields
    ) -> Tensor:
        """Send signals down through the first `place` calls, in smaller chunks as they grow."""
        while place:
            place -= 1
            size = self.chunk_sizes[place]
            if len(anchors) > size:
                chunks = [slice(i, i + size) for i in range(0, len(anchors), size)]
                return torch.cat(
                    [
                        self._run_chunk(
                            place + 1, {n: s[rows] for n, s in signals.items()}, anchors[rows]
                        )
                        for rows in chunks
                    ]
                )
            self._run_call(place, signals, anchors, fields)
        return signals[self.input]

    def _run_call(
        self, place: int, signals: dict[str, Tensor], anchors: Anchors, fields: _Fields
    ) -> None:
        """Replace the signal in one call's value by the signals in what the call reads."""
        call, step = self.calls[place], self.steps[place]
        here = Windows(anchors, fields[step.output])
        # Where whole maps are undone, so is what was saved of them, in whatever shape.
        read = Windows(anchors, None) if step.field is None else here
        row, arriving = row_of(call.operation), signals.pop(step.output)
        if not row.any_precision:
            arriving = arriving.to(self.own_dtype)
        saved = partial(self._saved, step.output, read)
        sent = row.adjoint(call, arriving, saved, self.rule)
        del arriving
        for name, signal in zip(step.inputs, sent, strict=True):
            signal = signal.to(self.dtype)
            there = Windows(anchors, fields[name])
            arrived = here.below(step.field, there).move(signal, there, self.shapes[name])
            # Calls run in reverse order, so that a value's signal is complete, summed over all its
            # readers, before the call that made the value is undone.
            signals[name] = signals[name] + arrived if name in signals else arrived

    def _saved(self, value: str, windows: Windows) -> Saved:
        saved = self.saved[value]
        if isinstance(saved, Tensor):
            return windows.read(saved)
        return tuple(windows.read(tensor) for tensor in saved)

    def _chunk_sizes(self, device: torch.device) -> list[int]:
        """The fastest number of signals at once for each call.

        On a CPU, as many as fit its cache: larger tensors are written to memory and back, and the
        system clears fresh pages for each of them. Few kernels then wait for many signals, because
        signals are small where kernels are large.
        """
        if device.type != "cpu":
            return [sys.maxsize] * len(self.steps)
        counts = [max(map(self._count, (step.output, *step.inputs))) for step in self.steps]
        sizes = [_CACHE // (self.own_dtype.itemsize * count) for count in counts]
        return [size if size >= _FEW else 1 for size in sizes]

    def bytes_per_signal(self) -> int:
        """Peak memory of one signal in bytes, intermediate copies included."""
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
        """Numbers of one signal in a value's window."""
        shape, window = self.shapes[value], self.fields[value]
        if window is None:
            return math.prod(shape[1:])
        return math.prod(shape[1:-2]) * window[0].size * window[1].size


def highest_below(
    model: nn.Module, names: Mapping[str, str], recording: Recording, layer: str, rule: Rule
) -> str | None:
    """The highest of the layers that `layer` depends on which can be projected; None without any.

    Args:
        model: The model.
        names: Layer name -> value name, in the order of execution.
        recording: A recording of the layer.
        layer: A layer above an operation that cannot be undone.
        rule: The rule at activations.
    """
    operations = recording.tape.ancestors([names[layer]])
    calls = recording.tape.calls(operations, model, recording.shapes)
    below = {call.operation.name for call in calls} - {names[layer]}
    for name, value in [*names.items()][::-1]:
        if value in below:
            try:
                _passed(calls, value, rule)
            except UnsupportedOperationError:
                continue
            return name
    return None


def _picks(call: Call) -> bool:
    """Whether a call takes one of several values."""
    return call.operation.target is operator.getitem


def _passed(calls: Sequence[Call], top: str, rule: Rule) -> list[Call]:
    """The calls that a signal from `top` passes, in the order of execution.

    Raises:
        UnsupportedOperationError: One of them has no adjoint.
    """
    reached, passed, refused = {top}, list[Call](), list[Call]()
    for call in reversed(calls):
        if call.operation.name in reached:
            if refusal(call):
                refused.append(call)
                reached.update(call.operation.inputs)
                continue
            reached.update(row_of(call.operation).targets(call.operation, rule))
            passed.append(call)
    if refused:
        # Attention says more than the transpositions around it, which have a row and refuse too;
        # and an operation of several values more than the choice of one.
        call = min(refused, key=lambda call: (call.operation.target in TABLE, _picks(call)))
        raise UnsupportedOperationError(f"cannot undo {call.operation}: {refusal(call)}")
    return passed[::-1]
