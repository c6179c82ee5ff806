import inspect
import json
import re
from xml.etree import ElementTree

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from deconvviz.deconv import Deconvnet
from deconvviz.errors import UnsupportedOperationError
from tests.deconv.networks import deconvnet


class Odd(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.Softmax2d(), nn.Softmax2d())

    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.fft2(self.stem(x)).real


# All operations have one line: that of the only `forward` that is not torch's own.
ODD_LINE = f"test_coverage.py:{inspect.getsourcelines(Odd.forward)[1] + 1}"


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


def test_status_is_exact_extension_or_unsupported() -> None:
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
    assert rows == coverage.table()


def test_as_a_table_it_is_ready_for_pandas() -> None:
    coverage = Deconvnet(Odd(), (3, 8, 8)).coverage
    frame = pd.DataFrame(coverage.table())
    assert list(frame) == ["operation", "count", "status", "undone", "modules", "lines"]
    assert frame["count"].tolist() == [1, 1, 2, 1, 1]
    for name in ("operation", "status", "undone"):
        assert frame[name].tolist() == [getattr(op, name) for op in coverage.operations]
    assert frame["lines"][2] == [ODD_LINE] * 2


def test_a_notebook_shows_a_table_in_which_names_are_inert() -> None:
    model = nn.Sequential()
    model.add_module("<script>&", nn.Softmax2d())
    page = Deconvnet(model, (3, 8, 8)).coverage._repr_html_()
    table = ElementTree.fromstring(page)
    heads, row = [[cell.text for cell in row] for row in table]
    assert heads == ["operation", "count", "status", "how it is undone", "where"]
    assert row == ["softmax", "1", "unsupported", "there is no rule to undo it", "`<script>&`"]
    assert "<script>" not in page


def test_the_text_is_for_people() -> None:
    lines = str(Deconvnet(Odd(), (3, 8, 8)).coverage).splitlines()
    assert lines[0].split()[:4] == ["1", "x", "conv2d", "exact"]
    assert "2 x softmax" in lines[2]
    places = f"`stem.2` at {ODD_LINE}, `stem.3` at {ODD_LINE}"
    assert f"unsupported  there is no rule to undo it (in {places})" in lines[2]
    assert f"(in the model itself at {ODD_LINE})" in lines[-1]


def test_what_cannot_be_undone_is_refused_with_its_line() -> None:
    net = Deconvnet(Odd(), (3, 8, 8))
    recording = net.record(torch.rand(1, 3, 8, 8), ["stem.3"])
    reason = re.escape(f"softmax in `stem.3` ({ODD_LINE})")
    with pytest.raises(UnsupportedOperationError, match=reason):
        net.project(recording, recording.strongest("stem.3", 1))


def test_projectable_are_the_layers_that_can_be_projected():
    class Spectral(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3)
            self.relu, self.end = nn.ReLU(), nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            x = self.relu(self.first(x))
            return self.end(self.second(torch.fft.fft2(x).real))

    torch.manual_seed(0)
    net = Deconvnet(Spectral().eval(), (3, 12, 12))
    recording, found = net.record(torch.rand(1, 3, 12, 12), list(net.layers)), set()
    for name in net.layers:
        try:
            net.project(recording, recording.strongest(name, k=1))
            found.add(name)
        except UnsupportedOperationError:
            pass
    assert found
    assert net.projectable == found
    assert found < set(net.layers)
