"""One unit at one place: the same four values from a page's URL to the engine."""

from dataclasses import dataclass

from deconvviz.deconv import Recording, Selection
from deconvviz.errors import SelectionError

__all__ = ["Unit"]


@dataclass(frozen=True)
class Unit:
    """One unit at one position of its feature map.

    Attributes:
        layer: The layer's name.
        channel: The feature map; the unit itself in a linear layer.
        y: Row in the feature map; 0 in a linear layer.
        x: Column in the feature map; 0 in a linear layer.
    """

    layer: str
    channel: int
    y: int
    x: int

    @classmethod
    def at_peak(cls, recording: Recording, layer: str, channel: int | None = None) -> "Unit":
        """The unit of a feature map where the first image excites it most.

        Args:
            recording: A recording with the layer.
            layer: The layer's name.
            channel: The feature map; by default the one with the highest maximum.

        Raises:
            SelectionError: The layer has no such feature map.
        """
        peaks = recording.peaks(layer)
        count = peaks.value.shape[1]
        channel = int(peaks.value[0].argmax()) if channel is None else channel
        if not 0 <= channel < count:
            raise SelectionError(f"no unit {channel} in `{layer}`; it has {count}, counted from 0")
        return cls(layer, channel, int(peaks.y[0, channel]), int(peaks.x[0, channel]))

    @classmethod
    def rows(cls, selection: Selection) -> tuple["Unit", ...]:
        """The unit of each row of a selection."""
        columns = (selection.channel.tolist(), selection.y.tolist(), selection.x.tolist())
        return tuple(cls(selection.layer, *row) for row in zip(*columns, strict=True))

    @property
    def selection(self) -> Selection:
        """The unit in the first image."""
        return Selection(self.layer, 0, self.channel, self.y, self.x)
