"""Results of analyses: numbers, and the methods by which a notebook shows and saves them."""

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from deconvviz.io.files import write_atomically
from deconvviz.views import view


class Result:
    """Base of all results; each is a frozen dataclass of numbers.

    Figures and sentences are made by the functions `figure` and `summary` of
    `deconvviz.plots.NAME`, and where it has them by `story` and `headline`.

    Attributes:
        name: Name of the analysis, of its files, and of its module in `deconvviz.plots`.
        omitted: Attributes that `to_dict` leaves out, at every depth, such as pictures.
        derived: Properties that `to_dict` adds; the parts of a result may have some, too.
    """

    name: ClassVar[str]
    omitted: ClassVar[tuple[str, ...]] = ()
    derived: ClassVar[tuple[str, ...]] = ()

    def to_dict(self) -> dict[str, Any]:
        """Every number, by the names of the attributes, as plain values for JSON."""
        return dict(plain(self, self.omitted))

    def to_json(self) -> str:
        """The content of NAME.json: the analysis, its summary and every number."""
        content = {"analysis": self.name, "summary": self.summary(), **self.to_dict()}
        return json.dumps(content, indent=1) + "\n"

    def summary(self) -> str:
        """The result in a few sentences, with its chance level."""
        return str(view(f"{self.name}.summary")(self))

    def figure(self, ink: str = "") -> Any:
        """A matplotlib figure without background, with lines and letters in the colour `ink`."""
        draw = view(f"{self.name}.figure")
        return draw(self, ink) if ink else draw(self)

    def headline(self) -> str:
        """What is seen, in one plain sentence; by default the first one of the summary."""
        say = view(f"{self.name}.headline", None)
        return str(say(self)) if say else self.summary().partition(". ")[0].rstrip(".") + "."

    def story(self, ink: str = "") -> Any:
        """The picture that comes first, small enough for a telephone; by default the figure."""
        draw = view(f"{self.name}.story", None)
        if draw is None:
            return self.figure(ink)
        return draw(self, ink) if ink else draw(self)

    def save(self, folder: Path) -> tuple[Path, ...]:
        """Write `folder/NAME.json` and `folder/NAME.png`, each completely or not at all."""
        numbers, picture = folder / f"{self.name}.json", folder / f"{self.name}.png"
        write_atomically(numbers, self.to_json())
        write_atomically(picture, view("figures.figure_png")(self.figure()))
        return numbers, picture

    def _repr_png_(self) -> bytes:
        return bytes(view("figures.figure_png")(self.figure(), dpi=100))


def plain(value: Any, omitted: Collection[str] = ()) -> Any:
    """A value as JSON holds it: tensors as lists, dataclasses by their attributes, NaN as None."""
    if isinstance(value, Tensor):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if is_dataclass(value):
        names = [*(one.name for one in fields(value)), *getattr(value, "derived", ())]
        return {name: plain(getattr(value, name), omitted) for name in names if name not in omitted}
    if isinstance(value, Mapping):
        return {key: plain(one, omitted) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [plain(one, omitted) for one in value]
    return value
