"""Kernels and the activity of units."""

import json

import pyarrow
import pytest

from deconvviz.io.zoo import load
from tests.pages.conftest import all_words, channels, fine, grid


def test_every_kernel_and_the_activity_of_every_unit_is_shown(open_page):
    app = fine(open_page("filters"))
    modules = load("demo").model.modules()
    first, *_, last = [module for module in modules if type(module).__name__ == "Conv2d"]
    assert channels(app) == list(range(first.out_channels))
    assert grid(app)["chosen"] in channels(app)
    table = app.dataframe[0].value
    assert len(table) == first.out_channels
    assert {"mean", "maximum", "active positions", "active tiles", "state"} <= set(table.columns)
    assert ((table["active positions"] >= 0) & (table["active positions"] <= 100)).all()
    assert ((table["maximum"] > 0) == (table["state"] == "active")).all()
    assert "natural tiles" in all_words(app)
    (chart,) = app.get("vega_lite_chart")
    has_dead = "dead" in set(table["state"])
    assert ('"color"' in chart.proto.spec) == has_dead  # else its legend would have one entry
    app.button_group(key="layer").set_value(app.button_group(key="layer").options[-1]).run()
    app.selectbox(key="unit").set_value("3").run()
    assert grid(fine(app))["chosen"] is None
    assert f"each of the {last.in_channels} feature maps" in all_words(app)
    assert "of its squared weights" in all_words(app)


@pytest.mark.parametrize("query", [{"unit": "99999"}, {"layer": "../../etc/passwd"}])
def test_a_bad_link_is_the_default(open_page, query):
    assert channels(fine(open_page("filters", **query)))


CODE = """
import torch
from torch import nn
from deconvviz.io.bundle import Bundle

def partly_dead():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU())
    with torch.no_grad():
        model[0].bias[:2] = -100
    return Bundle.of(model, (3, 32, 32), name="dead_nets:partly_dead")
"""


def test_dead_units_are_drawn_last_and_no_dot_is_cut_off(open_page, tmp_path, monkeypatch):
    (tmp_path / "dead_nets.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sys.argv", ["app.py", "dead_nets:partly_dead"])
    app = fine(open_page("filters", model="dead_nets:partly_dead"))
    (chart,) = app.get("vega_lite_chart")
    spec = json.loads(chart.proto.spec)
    assert spec["encoding"]["x"]["scale"]["domain"] == [-3, 103]
    assert "color" in spec["encoding"]
    (data,) = [chart.proto.data, *(one.data for one in chart.proto.datasets)][-1:]
    rows = pyarrow.ipc.open_stream(data.data).read_all().to_pydict()
    assert rows["unit"][-2:] == [0, 1]
    assert rows["state"] == ["active"] * 4 + ["dead"] * 2
