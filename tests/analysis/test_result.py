"""What is written of a result can be read again."""

import json
from dataclasses import dataclass

from matplotlib.figure import Figure
from PIL import Image

from deconvviz.analysis import Result


@dataclass(frozen=True)
class Drawn(Result):
    value: float
    name = "drawn"

    def to_dict(self):
        return {"value": self.value}

    def summary(self):
        return f"It is {self.value}."

    def figure(self, ink="black"):  # noqa: ARG002
        return Figure(figsize=(2, 1))


def test_numbers_and_picture_are_written(tmp_path):
    numbers, picture = Drawn(0.5).save(tmp_path / "new")
    told = json.loads(numbers.read_text())
    assert told == {"analysis": "drawn", "summary": "It is 0.5.", "value": 0.5}
    with Image.open(picture) as shown:
        assert shown.size == (400, 200)
