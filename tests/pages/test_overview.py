"""The first page: what this is, and pictures without a click."""

import sys

from deconvviz.io.zoo import load
from tests.pages.conftest import all_words, alternatives


def test_it_says_what_this_is_and_how_good_the_network_is(open_page):
    app = open_page("overview")
    assert not app.exception
    assert not app.error
    words = all_words(app)
    assert "projection" in words
    assert "**not** an attribution" in words
    assert f"{load('demo').training['test']['accuracy']:.1%}" in words
    assert "symmetric about grey" in words


def test_the_cat_is_reconstructed_at_every_layer_without_a_click(open_page):
    texts = alternatives(open_page("overview"))
    bundle = load("demo")
    convolutions = sum(type(module).__name__ == "Conv2d" for module in bundle.model.modules())
    assert sum("reconstructed from unit" in text for text in texts) == convolutions
    assert sum("and its reconstruction" in text for text in texts) == convolutions
    assert all(texts)


def test_the_twin_can_be_looked_at(open_page):
    app = open_page("overview", model="demo-deconv")
    assert not app.exception
    assert "**demo-deconv**" in all_words(app)


def test_a_network_that_is_not_offered_is_the_first_one(open_page):
    app = open_page("overview", model="/etc/passwd")
    assert not app.exception
    assert "**demo**" in all_words(app)


def test_a_broken_checkpoint_is_one_sentence_and_the_other_network_still_works(
    open_page, tmp_path, monkeypatch
):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"\x08\0\0\0\0\0\0\0{broken}")
    monkeypatch.setattr("sys.argv", ["app.py", str(broken)])
    name = f"{tmp_path.name}/broken.safetensors"
    app = open_page("overview", model=name)
    assert not app.exception
    assert len(app.error) == 1
    assert "broken.safetensors" in app.error[0].value
    app.selectbox(key="model").set_value("demo").run()
    assert not app.error
    assert alternatives(app)


def test_it_says_how_each_operation_is_undone(open_page):
    (table,) = open_page("overview").dataframe
    rows = {row.operation: row for row in table.value.itertuples()}
    assert rows["conv2d"].status == "exact"
    assert rows["conv2d"].count == 6
    assert "switches" in rows["max_pool2d"].undone


CODE = """
from torch import nn

def deep():
    pairs = [(nn.Conv2d(4 if i else 3, 4, 3), nn.ReLU()) for i in range(12)]
    return nn.Sequential(*(layer for pair in pairs for layer in pair))
"""


def test_a_network_of_ones_own_is_shown_by_some_of_its_layers(open_page, tmp_path, monkeypatch):
    (tmp_path / "deep_nets.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    monkeypatch.setattr("sys.argv", ["app.py", "deep_nets:deep", "--flag"])
    app = open_page("overview", model="deep_nets:deep")
    assert not app.exception
    assert not app.error
    assert "(9 of 12)" in all_words(app)
    assert "**deep_nets:deep** · `Sequential`" in all_words(app)
