"""Results of analyses: numbers, and the methods by which a notebook shows and saves them."""

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from deconvviz.io.files import write_atomically
from deconvviz.views import view

__all__ = ["Result"]


class Result(ABC):
    """Base of all results; each is a frozen dataclass of numbers.

    Figures and sentences are made by the functions `figure` and `summary` of
    `deconvviz.plots.NAME`.

    Attributes:
        name: Name of the analysis, of its files, and of its module in `deconvviz.plots`.
    """

    name: ClassVar[str]

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Every number, with what it was measured on, as plain values for JSON."""

    def summary(self) -> str:
        """What was found, in a few sentences, with its chance level."""
        return str(view(f"{self.name}.summary")(self))

    def figure(self, ink: str = "") -> Any:
        """A matplotlib figure without background.

        Args:
            ink: Colour of lines and letters; by default a grey for light and dark pages.
        """
        draw = view(f"{self.name}.figure")
        return draw(self, ink) if ink else draw(self)

    def save(self, folder: Path) -> tuple[Path, ...]:
        """Write `folder/NAME.json` and `folder/NAME.png`, each completely or not at all."""
        numbers, picture = folder / f"{self.name}.json", folder / f"{self.name}.png"
        content = {"analysis": self.name, "summary": self.summary(), **self.to_dict()}
        write_atomically(numbers, json.dumps(content, indent=1) + "\n")
        write_atomically(picture, view("figures.figure_png")(self.figure()))
        return numbers, picture

    def _repr_png_(self) -> bytes:
        return bytes(view("figures.figure_png")(self.figure(), dpi=100))
