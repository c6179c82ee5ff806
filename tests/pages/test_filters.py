"""Kernels and the activity of units."""

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
