"""One forward pass: the chosen activations, and the state that their projection needs."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from deconvviz.deconv.layers import unknown_layer, value_of
from deconvviz.deconv.selection import Selection
from deconvviz.deconv.table import Saved, row_of
from deconvviz.deconv.tape import Operation, Tape, weight_of
from deconvviz.errors import PictureError, SelectionError

_SHOWN = 6  # layers that the repr of a recording names


@dataclass(frozen=True)
class Peaks:
    """The strongest position of every feature map of every image.

    Attributes:
        value: (N, C) the spatial maximum.
        y: (N, C) its row; of equal maxima the first in reading order.
        x: (N, C) its column.
    """

    value: Tensor
    y: Tensor
    x: Tensor


@dataclass(frozen=True, eq=False)
class Recording:
    """One forward pass of N images, made by `Deconvnet.record`.

    Attributes:
        tape: The model's tape.
        shapes: Value name -> shape, of the images and of all values up to the kept layers.
        saved: Value name -> state for the operation's adjoint: switches, masks, statistics.
        activations: Layer name -> (N, C, H, W); (N, C, 1, 1) for a linear layer.
    """

    tape: Tape
    shapes: Mapping[str, tuple[int, ...]]
    saved: Mapping[str, Saved]
    activations: Mapping[str, Tensor]

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the kept layers, in the order in which they were chosen."""
        return tuple(self.activations)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images, in pixels."""
        shape = self.shapes[self.tape.input]
        return shape[2], shape[3]

    @property
    def device(self) -> torch.device:
        """The device of model and images."""
        return next(iter(self.activations.values())).device

    @property
    def dtype(self) -> torch.dtype:
        """The activations' dtype, which is the model's."""
        return next(iter(self.activations.values())).dtype

    def __len__(self) -> int:
        """The number of images."""
        return self.shapes[self.tape.input][0]

    def __repr__(self) -> str:
        height, width = self.size
        images = "1 image" if len(self) == 1 else f"{len(self)} images"
        layers = ", ".join(self.layers[:_SHOWN])
        more = f" and {len(self.layers) - _SHOWN} more" if len(self.layers) > _SHOWN else ""
        return f"Recording({images} of {height} x {width}: {layers}{more})"

    def __getitem__(self, layer: str) -> Tensor:
        """The activations of a layer: (N, C, H, W), and (N, C, 1, 1) for a linear layer.

        Raises:
            UnknownLayerError: The layer is not kept in this recording.
        """
        if layer not in self.activations:
            raise unknown_layer(layer, self.activations, "this recording")
        return self.activations[layer]

    def values(self, selection: Selection) -> Tensor:
        """The selected units' own activations, of shape (K,).

        Raises:
            UnknownLayerError: The layer is not kept in this recording.
            SelectionError: There is no such image, channel or position.
        """
        maps = self[selection.layer]
        sizes = zip(("image", "channel", "y", "x"), maps.shape, strict=True)
        indices = []
        for name, size in sizes:
            index: Tensor = getattr(selection, name)
            wrong = index[(index < 0) | (index >= size)]
            if len(wrong):
                raise SelectionError(
                    f"no {name} {int(wrong[0])} in `{selection.layer}`; it has {size}"
                    f"{', counted from 0' if int(wrong[0]) == size else ''}"
                )
            indices.append(index.to(maps.device))
        return maps[tuple(indices)]

    def peaks(self, layer: str) -> Peaks:
        """The strongest activation of every feature map of every image, and where it is.

        Raises:
            UnknownLayerError: The layer is not kept in this recording.
        """
        maps = self[layer]
        value, place = maps.flatten(2).max(dim=2)
        width = maps.shape[3]
        return Peaks(value, place // width, place % width)

    def strongest(self, layer: str, k: int = 9) -> Selection:
        """Per image the `k` channels with the highest maximum, one position each.

        Only positive activations count, so there may be fewer rows. Rows are sorted by image, then
        by falling activation; ties go to the lower channel, and to the first position.

        Raises:
            UnknownLayerError: The layer is not kept in this recording.
        """
        peaks = self.peaks(layer)
        value, channel = peaks.value.sort(dim=1, descending=True, stable=True)
        value, channel = value[:, :k], channel[:, :k]
        image, rank = torch.nonzero(value > 0, as_tuple=True)
        channel = channel[image, rank]
        return Selection(layer, image, channel, peaks.y[image, channel], peaks.x[image, channel])


def record(
    tape: Tape, model: nn.Module, names: Mapping[str, str], images: Tensor, layers: Sequence[str]
) -> Recording:
    """Run the tape up to the highest of `layers`. See `Deconvnet.record` for the rest.

    Args:
        tape: The model's tape.
        model: The model whose weights are read.
        names: Layer name -> value name, of all layers.
        images: (N, C, H, W).
        layers: Names of the layers that are kept.
    """
    values = _values_of(names, layers)
    kept: dict[str, Tensor] = {}
    shapes: dict[str, tuple[int, ...]] = {tape.input: tuple(images.shape)}
    saved: dict[str, Saved] = {}
    for op, value, needed in _run(tape, model, images, values, save=True):
        if op.shape is not None:
            shapes[op.name] = tuple(_first(value).shape)
        if needed is not None:
            saved[op.name] = needed
        if op.name in values:
            kept[op.name] = value
    activations = {layer: _as_maps(kept[names[layer]]) for layer in layers}
    return Recording(tape, shapes, saved, activations)


def stream(
    tape: Tape, model: nn.Module, names: Mapping[str, str], images: Tensor, layers: Sequence[str]
) -> Iterator[tuple[str, Tensor]]:
    """Run the tape up to the highest of `layers` and yield each as soon as it is known.

    See `Deconvnet.stream` and `record` for the rest.
    """
    values = _values_of(names, layers)
    for op, value, _ in _run(tape, model, images, values, save=False):
        for layer in values.get(op.name, ()):
            yield layer, _as_maps(value)


def values(
    tape: Tape, model: nn.Module, images: Tensor, wanted: Iterable[str]
) -> Iterator[tuple[Operation, Any]]:
    """Run the operations that `wanted` depends on, as `record` does: each with its value."""
    for op, value, _ in _run(tape, model, images, wanted, save=True):
        yield op, value


def _values_of(names: Mapping[str, str], layers: Sequence[str]) -> dict[str, list[str]]:
    """Value name -> the layers of that value, each of which may have several names."""
    values: dict[str, list[str]] = {}
    for layer in layers:
        values.setdefault(value_of(layer, names), []).append(layer)
    return values


def _as_maps(value: Tensor) -> Tensor:
    return value if value.dim() == 4 else value[:, :, None, None]


def _run(
    tape: Tape, model: nn.Module, images: Tensor, wanted: Iterable[str], *, save: bool
) -> Iterator[tuple[Operation, Any, Saved | None]]:
    """Run the operations that `wanted` depends on: each with its value and its adjoint's state.

    A value is freed when its last reader has run. What adjoints need is computed only to `save` it.
    """
    operations = tape.runnable(wanted, model)
    _check_images(tape, model, images)
    # Channels last: convolutions are as fast or faster, and windows are cut in runs of bytes.
    images = images.detach().contiguous(memory_format=torch.channels_last)
    values: dict[str, Any] = {**tape.state(model), tape.input: images}
    readers = Counter(name for op in operations for name in op.reads)
    for op in operations:
        row, call = row_of(op) if op.shape is not None else None, op.call(values)
        with torch.no_grad(), _fitting(op, images):
            if row is None:
                value, needed = call.run(), None
            else:
                value, needed = row.run(call) if save else (row.value(call), None)
        if op.shape is not None and op.batched and _first(value).shape[:1] != images.shape[:1]:
            raise _misfit(op, images, "it would mix pixels with the batch")
        yield op, value, needed
        values[op.name] = value
        for name in op.reads:
            readers[name] -= 1
            if not readers[name]:
                del values[name]


def _first(value: Any) -> Tensor:
    """An operation's value, or the first of several."""
    first: Tensor = value if isinstance(value, Tensor) else value[0]
    return first


@contextmanager
def _fitting(op: Operation, images: Tensor) -> Iterator[None]:
    """Torch's errors on sizes that do not fit, as PictureError."""
    try:
        yield
    except (RuntimeError, ValueError, IndexError) as error:
        if op.shape is None:
            raise
        reason = str(error).strip().partition("\n")[0]
        raise _misfit(op, images, reason) from error


def _misfit(op: Operation, images: Tensor, reason: str) -> PictureError:
    height, width = images.shape[2:]
    return PictureError(f"images of {height} x {width} pixels do not fit {op}: {reason}")


def _check_images(tape: Tape, model: nn.Module, images: Tensor) -> None:
    """Refuse images that the model does not take, before torch fails somewhere inside."""
    channels = tape.input_shape[0]
    if not isinstance(images, Tensor):
        kind = type(images).__name__
        raise PictureError(f"images must be a tensor of shape (N, {channels}, H, W), got {kind}")
    if images.dim() != 4 or images.shape[1] != channels:
        raise PictureError(
            f"images must be of shape (N, {channels}, H, W), got {tuple(images.shape)}"
        )
    if not images.is_floating_point():
        raise PictureError(f"images must be floating point, normalised, got {images.dtype}")
    _check_size(tape, tuple(images.shape))
    weight = weight_of(model)
    if images.dtype != weight.dtype:
        raise PictureError(f"images are {images.dtype}, but the model is {weight.dtype}")
    if images.device != weight.device:
        raise PictureError(f"images are on {images.device}, but the model is on {weight.device}")
    if not torch.isfinite(images).all():
        raise PictureError("images contain NaN or inf")


def _check_size(tape: Tape, shape: tuple[int, ...]) -> None:
    (_, channels, h, w), (_, height, width) = shape, tape.input_shape
    advice = f"make a Deconvnet of it with input_size=({channels}, {h}, {w})"
    if tape.fixed_size and (h, w) != (height, width):
        raise PictureError(
            f"images are {h} x {w} pixels, but this network was traced for {height} x {width}"
            f" only; {advice}"
        )
    least = 2 * tape.multiple  # export takes no size for one, so that nothing is broadcast
    if tape.multiple > 1 and (h % tape.multiple or w % tape.multiple or min(h, w) < least):
        raise PictureError(
            f"images are {h} x {w} pixels, but this network takes sides that are multiples of "
            f"{tape.multiple}, at least {least}; crop or resize them"
        )
    for guard in tape.guards:
        if not guard.holds(shape):
            place = f" at {guard.line}" if guard.line else ""
            raise PictureError(
                f"{shape[0]} images of {h} x {w} pixels take another way{place} than"
                f" those of {height} x {width} that this network was traced at; {advice}"
            )
