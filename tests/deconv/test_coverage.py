import json

import torch
from torch import Tensor, nn

from deconvviz.deconv import Deconvnet
from tests.deconv.networks import deconvnet


class Odd(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.Softmax2d(), nn.Softmax2d())

    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.fft2(self.stem(x)).real


def test_a_supported_network_has_nothing_unsupported() -> None:
    for family in ("demo", "alexnet", "odd"):
        coverage = deconvnet(family).coverage
        assert not coverage.unsupported
        assert {op.status for op in coverage.operations} == {"exact"}


def test_every_operation_is_listed_once_with_its_modules() -> None:
    operations = deconvnet("seed-cnn").coverage.operations
    by_name = {op.operation: op for op in operations}
    assert list(by_name) == ["conv2d", "relu", "max_pool2d", "flatten", "linear"]
    assert by_name["conv2d"].modules == ("stage1.conv", "stage2.conv", "stage3.conv")
    assert "switches" in by_name["max_pool2d"].undone


def test_extensions_and_the_unsupported_are_told_apart() -> None:
    coverage = Deconvnet(Odd(), (3, 8, 8)).coverage
    status = {op.operation: op.status for op in coverage.operations}
    assert status["conv2d"] == "exact"
    assert status["gelu"] == "extension"
    assert status["softmax"] == "unsupported"
    assert coverage.unsupported[0].operation == "softmax"


def test_as_json_it_says_the_same() -> None:
    coverage = Deconvnet(Odd(), (3, 8, 8)).coverage
    rows = json.loads(coverage.json())
    assert [row["operation"] for row in rows] == [op.operation for op in coverage.operations]
    assert rows[2]["status"] == "unsupported"
    assert rows[2]["modules"] == ["stem.2", "stem.3"]


def test_the_text_is_for_people() -> None:
    lines = str(Deconvnet(Odd(), (3, 8, 8)).coverage).splitlines()
    assert lines[0].split()[:4] == ["1", "x", "conv2d", "exact"]
    assert "2 x softmax" in lines[2]
    assert "unsupported  there is no rule to undo it (in `stem.2`, `stem.3`)" in lines[2]
    assert "(in the model itself)" in lines[-1]
