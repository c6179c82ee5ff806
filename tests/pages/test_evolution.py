"""The epochs of a run, as a person slides through them."""

import pytest

from deconvviz.io.zoo import load
from tests.pages.conftest import all_words, alternatives, grid


@pytest.fixture(scope="module")
def epochs():
    bundle = load("demo")
    last = bundle.training["epochs"]
    return [*(epoch for epoch in bundle.snapshots if epoch < last), last]


def test_the_trained_network_comes_first_and_a_move_shows_the_start(open_page, epochs):
    app = open_page("evolution")
    assert not app.exception
    slider = app.select_slider(key="epoch")
    assert slider.options == list(map(str, epochs))
    assert slider.value == epochs[-1]
    words = all_words(app)
    assert f"Between epochs {epochs[-2]} and {epochs[-1]}" in words
    unit = grid(app)["chosen"]
    for epoch in epochs:
        assert f"Unit {unit} after epoch {epoch}" in alternatives(app)
    before = [tile["pictures"] for tile in grid(app)["tiles"]]
    slider.set_value(epochs[0]).run()
    assert not app.exception
    assert "The first epoch that was kept" in all_words(app)
    assert [tile["pictures"] for tile in grid(app)["tiles"]] != before


def test_a_link_restores_the_unit_and_a_wrong_one_is_the_default(open_page, epochs):
    app = open_page("evolution", unit="3", epoch=str(epochs[0]))
    assert grid(app)["chosen"] == "3"
    assert app.select_slider(key="epoch").value == epochs[0]
    app = open_page("evolution", unit="9999", epoch="-7")
    assert not app.exception
    assert app.select_slider(key="epoch").value == epochs[-1]


def test_a_network_without_snapshots_is_told_how_to_keep_some(open_page):
    app = open_page("evolution", model="demo-deconv")
    assert not app.exception
    assert "has no snapshots" in app.info[0].value
    assert "--snapshots" in app.info[0].value
