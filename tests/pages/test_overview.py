"""The loaded network, and pictures of every layer without a click."""

import sys

from deconvviz.io.zoo import load
from tests.pages.conftest import all_words, alternatives, fine


def test_it_describes_the_network_and_reconstructs_every_layer_without_a_click(open_page):
    app = fine(open_page("overview"))
    words, texts, bundle = all_words(app), alternatives(app), load("demo")
    assert f"{bundle.training['test']['accuracy']:.1%}" in words
    assert "symmetric about grey" in words
    assert "Input 3 × 32 × 32, mean 0.4" in words
    assert "Assumed" not in words
    assert "Checked: values equal the model's own (largest relative error" in words
    assert "projections of 6 units in 6 layers equal autograd" in words
    convolutions = sum(type(module).__name__ == "Conv2d" for module in bundle.model.modules())
    assert sum("reconstructed from unit" in text for text in texts) == convolutions
    assert sum("and its reconstruction" in text for text in texts) == convolutions
    assert all(texts)
    (table,) = app.dataframe
    rows = {row.operation: row for row in table.value.itertuples()}
    assert (rows["conv2d"].status, rows["conv2d"].count) == ("exact", 6)
    assert "switches" in rows["max_pool2d"].undone
    app.selectbox(key="model").set_value("demo-deconv").run()
    assert "**demo-deconv**" in all_words(fine(app))


def test_a_network_that_is_not_offered_is_the_first_one(open_page):
    assert "**demo-photos**" in all_words(fine(open_page("overview", model="/etc/passwd")))


def test_a_broken_checkpoint_is_one_sentence_and_the_other_network_still_works(
    open_page, tmp_path, monkeypatch
):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"\x08\0\0\0\0\0\0\0{broken}")
    monkeypatch.setattr("sys.argv", ["app.py", str(broken)])
    app = open_page("overview", model=f"{tmp_path.name}/broken.safetensors")
    assert not app.exception
    (error,) = app.error
    assert "broken.safetensors" in error.value
    app.selectbox(key="model").set_value("demo").run()
    assert alternatives(fine(app))


CODE = """
from torch import nn

def deep():
    pairs = [(nn.Conv2d(4 if i else 3, 4, 3), nn.ReLU()) for i in range(10)]
    return nn.Sequential(*(layer for pair in pairs for layer in pair))
"""


def test_a_network_of_ones_own_is_shown_by_some_of_its_layers(open_page, tmp_path, monkeypatch):
    (tmp_path / "deep_nets.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    monkeypatch.setattr("sys.argv", ["app.py", "deep_nets:deep", "--flag"])
    words = all_words(fine(open_page("overview", model="deep_nets:deep")))
    assert "(9 of 10)" in words
    assert r"**deep_nets\:deep** · `Sequential`, 1" in words  # without `\` a directive
    assert "444 parameters" in words  # 1444 of them
    assert "Input 3 × 224 × 224, mean 0, 0, 0, standard deviation 1, 1, 1." in words
    assert "none was given: input size, mean, standard deviation. If the network" in words
