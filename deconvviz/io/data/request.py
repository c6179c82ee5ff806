"""What a caller asks of a loader."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from deconvviz.io.data.dataset import Dataset

__all__ = ["Loader", "Request"]


@dataclass(frozen=True)
class Request:
    """The options of `load_dataset`, as every loader receives them."""

    split: str
    data_dir: Path | None
    size: int | None
    channels: int | None
    download: bool
    byte_budget: int
    progress: bool

    def channels_or(self, own: int) -> int:
        """The channels that were asked for, or else the `own` ones of the data set."""
        return own if self.channels is None else self.channels

    def of(self, split: str) -> "Request":
        """The same request of another split."""
        return replace(self, split=split)


Loader = Callable[[Request], Dataset]
