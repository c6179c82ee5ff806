"""Kernels and the activity of units."""

import pytest

from deconvviz.io.zoo import load
from tests.pages.conftest import all_words, grid


@pytest.fixture(scope="module")
def convolutions():
    modules = load("demo").model.named_modules()
    return {name: module for name, module in modules if type(module).__name__ == "Conv2d"}


def test_every_kernel_of_the_first_layer_is_shown(open_page, convolutions):
    app = open_page("filters")
    assert not app.exception
    assert not app.error
    first = next(iter(convolutions.values()))
    assert len(grid(app)["tiles"]) == first.out_channels
    assert grid(app)["clickable"]


def test_a_later_unit_has_its_largest_kernels_and_their_share_shown(open_page, convolutions):
    app = open_page("filters")
    layers = app.button_group(key="layer").options
    app.button_group(key="layer").set_value(layers[-1]).run()
    app.selectbox(key="unit").set_value("3").run()
    assert not app.exception
    assert not grid(app)["clickable"]
    last = list(convolutions.values())[-1]
    assert f"each of the {last.in_channels} maps below" in all_words(app)
    assert "of its squared weights" in all_words(app)


def test_the_activity_of_every_unit_is_in_the_table(open_page, convolutions):
    app = open_page("filters")
    table = app.dataframe[0].value
    first = next(iter(convolutions.values()))
    assert len(table) == first.out_channels
    assert {"mean", "largest", "active positions", "active tiles", "state"} <= set(table.columns)
    assert ((table["active positions"] >= 0) & (table["active positions"] <= 100)).all()
    assert ((table["largest"] > 0) == (table["state"] == "alive")).all()
    assert "natural tiles" in all_words(app)


@pytest.mark.parametrize("query", [{"unit": "99999"}, {"layer": "../../etc/passwd"}])
def test_a_bad_link_is_the_default(open_page, query):
    app = open_page("filters", **query)
    assert not app.exception
    assert not app.error
    assert grid(app)["tiles"]
