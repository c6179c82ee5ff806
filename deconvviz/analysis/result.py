"""What every experiment gives: numbers, a sentence, a figure, and the files that hold them."""

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from matplotlib.figure import Figure

from deconvviz.io.files import write_atomically
from deconvviz.plots.figures import NEUTRAL_INK, figure_png

__all__ = ["Result"]


class Result(ABC):
    """The outcome of one experiment; a frozen dataclass in each of its modules.

    Attributes:
        name: The experiment's name on the command line, and of its files.
    """

    name: ClassVar[str]

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Every number, with what it was measured on: plain values that JSON can hold."""

    @abstractmethod
    def summary(self) -> str:
        """What was found, for people, with its figures and their chance level."""

    @abstractmethod
    def figure(self, ink: str = NEUTRAL_INK) -> Figure:
        """The result as a picture without a ground; `ink` is the colour of lines and letters."""

    def save(self, folder: Path) -> tuple[Path, Path]:
        """Write `folder/NAME.json` and `folder/NAME.png`, each at once or not at all."""
        numbers, picture = folder / f"{self.name}.json", folder / f"{self.name}.png"
        told = {"experiment": self.name, "finding": self.summary(), **self.to_dict()}
        write_atomically(numbers, json.dumps(told, indent=1) + "\n")
        write_atomically(picture, figure_png(self.figure()))
        return numbers, picture
