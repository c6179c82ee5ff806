"""One unit at one place: the same four values from a page's URL to the engine."""

from dataclasses import dataclass

from deconvviz.deconv import Recording, Selection
from deconvviz.errors import SelectionError


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

    @classmethod
    def parse(cls, text: str) -> "Unit":
        """The unit that `str` writes as LAYER/CHANNEL/Y/X.

        Raises:
            SelectionError: The text has another form.
        """
        layer, *numbers = text.rsplit("/", 3)
        if len(numbers) != 3 or not all(n.isascii() and n.isdigit() for n in numbers):
            raise SelectionError(f"a unit is LAYER/CHANNEL/Y/X, got {text!r:.60}")
        return cls(layer, *map(int, numbers))

    def __str__(self) -> str:
        return f"{self.layer}/{self.channel}/{self.y}/{self.x}"

    @property
    def selection(self) -> Selection:
        """The unit in the first image."""
        return Selection(self.layer, 0, self.channel, self.y, self.x)
