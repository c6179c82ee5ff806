"""Activations as functions of images: for gradients, attributions, and units switched off."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from torch import Tensor, nn

from deconvviz.deconv.layers import name_values, value_of
from deconvviz.deconv.selection import Selection
from deconvviz.deconv.table import row_of
from deconvviz.deconv.tape import Tape

Edit = Callable[[Tensor], Tensor]
"""A change of a layer's maps."""


class LayerMaps:
    """The maps of one layer as a function of images, with the layers below it open to change.

    Gradients flow to the images through every operation, written as a module or not; weights are
    read from the model at each call, and no hook is set on it.

    Args:
        model: The model that is read.
        tape: The model's tape, from a recording.
        layer: The layer.

    Raises:
        UnknownLayerError: The tape has no such layer.
        TraceError: An attribute of the model is not what it was when traced.
    """

    def __init__(self, model: nn.Module, tape: Tape, layer: str) -> None:
        self._set(model, tape, value_of(layer, name_values(tape)))

    @classmethod
    def of_value(cls, model: nn.Module, tape: Tape, value: str) -> Self:
        """The same of a value on the tape that no layer's name stands for.

        Raises:
            TraceError: As above.
            UnsupportedOperationError: The tape cannot run an operation below it.
        """
        made = cls.__new__(cls)
        made._set(model, tape, value)
        return made

    def _set(self, model: nn.Module, tape: Tape, value: str) -> None:
        self._model, self._tape, self._top = model, tape, value
        self._names = name_values(tape)
        self._operations = tape.runnable([value], model)

    def __call__(self, images: Tensor, edits: Mapping[str, Edit] | None = None) -> Tensor:
        """Images (N, C, H, W) -> (N, channels, h, w), or (N, channels).

        Args:
            images: Normalised images.
            edits: Layer -> function of its maps, whose result goes on in their place. It is not
                called if this layer does not depend on that one.
        """
        changes: defaultdict[str, list[Edit]] = defaultdict(list)
        for name, edit in (edits or {}).items():  # two names may be of one value
            changes[value_of(name, self._names)].append(edit)
        values: dict[str, Any] = {**self._tape.state(self._model), self._tape.input: images}
        readers = Counter(name for op in self._operations for name in op.reads)
        readers[self._top] += 1
        for op in self._operations:
            row, call = row_of(op), op.call(values)
            value = row.value(call)
            for edit in changes[op.name]:
                value = edit(value)
            values[op.name] = value
            for name in op.reads:  # at 224 pixels, the maps of many pictures would fill gigabytes
                readers[name] -= 1
                if not readers[name]:
                    del values[name]
        maps: Tensor = values[self._top]
        return maps


class UnitActivation(nn.Module):
    """The weighted sum of some units' activations, as a function of images (N, C, H, W).

    It is as `LayerMaps`.

    Attributes:
        maps: Identity that the feature maps of `through` pass, for hooks.

    Args:
        model: The model that is read.
        tape: The model's tape, from a recording.
        selection: The units with their weights; `image` is ignored.
        through: A layer below, whose feature maps pass through `maps`.

    Raises:
        UnknownLayerError: The tape has no such layer.
        TraceError: An attribute of the model is not what it was when traced.
    """

    def __init__(
        self, model: nn.Module, tape: Tape, selection: Selection, through: str | None = None
    ) -> None:
        super().__init__()
        self.maps = nn.Identity()
        self._layer = LayerMaps(model, tape, selection.layer)
        self._selection = selection
        self._edits: dict[str, Edit] = {} if through is None else {through: self.maps}

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) -> (N,)."""
        maps = self._layer(images, self._edits)
        chosen = self._selection
        columns = (chosen.channel, chosen.y, chosen.x)[: maps.dim() - 1]
        place = tuple(column.to(maps.device) for column in columns)
        units = maps.movedim(0, -1)[place].movedim(-1, 0)
        if chosen.weight is not None:
            units = units * chosen.weight.to(units)
        return units.sum(dim=1)


def layer_below(tape: Tape, layer: str, layers: Sequence[str]) -> str | None:
    """The last of `layers` that a layer's activations depend on; None without any.

    Raises:
        UnknownLayerError: The tape has no such layer.
    """
    names = name_values(tape)
    top = value_of(layer, names)
    below = {op.name for op in tape.ancestors([top])} - {top}
    return next((name for name in reversed(layers) if value_of(name, names) in below), None)
