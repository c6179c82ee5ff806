"""The activation of units as a module, a function of images: for gradients, attributions, edits."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from deconvviz.deconv.layers import name_values, value_of
from deconvviz.deconv.selection import Selection
from deconvviz.deconv.table import row_of
from deconvviz.deconv.tape import Tape


class UnitActivation(nn.Module):
    """The weighted sum of some units' activations, as a function of images (N, C, H, W).

    Gradients flow to the images through every operation, written as a module or not; weights are
    read from the model at each call, and no hook is set on it.

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
        self._model = (model,)  # in a tuple, so that torch does not register it as a submodule
        self._tape = tape
        self._selection = selection
        names = name_values(tape)
        self._top = value_of(selection.layer, names)
        self._through = None if through is None else value_of(through, names)
        self._operations = tape.runnable([self._top], model)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) -> (N,)."""
        values: dict[str, Any] = {**self._tape.state(self._model[0]), self._tape.input: images}
        for op in self._operations:
            row, call = row_of(op), op.call(values)
            value = row.value(call)
            values[op.name] = self.maps(value) if op.name == self._through else value
        maps: Tensor = values[self._top]
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
