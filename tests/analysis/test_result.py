"""What is written of a result can be read again."""

import json
from dataclasses import dataclass

import torch
from matplotlib.figure import Figure
from PIL import Image

from deconvviz.analysis import Result
from deconvviz.analysis.result import plain


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
    stored = json.loads(numbers.read_text())
    assert stored == {"analysis": "drawn", "summary": "It is 0.5.", "value": 0.5}
    with Image.open(picture) as shown:
        assert shown.size == (400, 200)


@dataclass(frozen=True)
class Part:
    values: torch.Tensor
    picture: torch.Tensor
    derived = ("total",)

    @property
    def total(self):
        return self.values.sum()


def test_plain_values_follow_the_attributes_and_hold_no_nan():
    part = Part(torch.tensor([1.0, float("nan")]), torch.ones(9))
    found = plain({"parts": (part,), "name": "a", "none": None}, omitted=["picture"])
    assert found == {"parts": [{"values": [1.0, None], "total": None}], "name": "a", "none": None}
