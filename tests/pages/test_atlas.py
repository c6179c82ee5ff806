"""The atlas, as a person goes through it."""

import pytest

from deconvviz.atlas.cache import available_datasets, open_atlas
from deconvviz.io.zoo import load
from deconvviz.ui import ORDERS
from tests.pages.conftest import all_words, alternatives, grid


@pytest.fixture(scope="module")
def atlas():
    """The one that the pages find on the shelf."""
    bundle = load("demo")
    return open_atlas(bundle, available_datasets(bundle)["photos"])


def fine(app):
    assert not app.exception
    assert not app.error
    return app


def test_it_is_never_empty(open_page, atlas):
    app = fine(open_page("atlas"))
    layer = app.button_group(key="layer").value
    units = atlas[layer]
    strongest = int(units.value[:, 0].argmax())
    assert grid(app)["chosen"] == str(strongest)
    told = f"of unit {strongest} of {layer}, row by row from the strongest"
    texts = alternatives(app)
    assert f"The 9 strongest patches {told}" in texts
    assert f"The 9 projections {told}" in texts
    assert all(texts)
    words = all_words(app)
    assert ", ".join(f"{m.value:.3g}" for m in atlas.top(layer, strongest)) in words
    assert f"{units.activation_frequency[strongest]:.1%}" in words
    assert "symmetric about grey" in words
    assert f"{atlas.header.pictures} pictures: photographs" in words


def test_every_unit_of_every_layer_is_in_a_grid(open_page, atlas):
    app = open_page("atlas")
    assert app.button_group(key="layer").options == list(atlas.units)
    first, *_, last = atlas.units
    for layer in (first, last):
        app.button_group(key="layer").set_value(layer).run()
        seen = {tile["name"]: tile["caption"] for tile in grid(fine(app))["tiles"]}
        parts = [box for box in app.selectbox if box.key == "part"]
        for part in parts[0].options[1:] if parts else ():
            app.selectbox(key="part").set_value(part).run()
            seen |= {tile["name"]: tile["caption"] for tile in grid(fine(app))["tiles"]}
        peaks = atlas[layer].value[:, 0].tolist()
        assert seen == {
            str(unit): f"{peak:.3g}" if peak > 0 else "dead" for unit, peak in enumerate(peaks)
        }


def test_units_come_in_the_order_asked_for(open_page, atlas):
    app = open_page("atlas", order=ORDERS[1])
    peaks = atlas[app.button_group(key="layer").value].value[:, 0]
    shown = [int(tile["name"]) for tile in grid(fine(app))["tiles"]]
    assert shown == peaks.argsort(descending=True, stable=True).tolist()[: len(shown)]


def test_a_link_restores_layer_unit_and_rule(open_page, atlas):
    layer = list(atlas.units)[1]
    app = fine(open_page("atlas", layer=layer, unit="5", rule="guided"))
    assert app.button_group(key="layer").value == layer
    assert any(f"projections of unit 5 of {layer}" in text for text in alternatives(app))
    assert app.button_group(key="rule").value == "guided"


@pytest.mark.parametrize(
    "query", [{"unit": "99999"}, {"layer": "../../x"}, {"data": "x", "order": "<b>", "part": "-1"}]
)
def test_a_bad_link_is_the_default(open_page, query):
    app = fine(open_page("atlas", **query))
    assert grid(app)["tiles"]
    assert any("projections of unit" in text for text in alternatives(app))


CODE = """
import torch
from torch import nn

def half_dead():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 5, stride=4), nn.ReLU())
    with torch.no_grad():
        model[0].bias[:] = torch.tensor([9.0, -1e6, 9.0, 9.0])
    return model
"""


def test_a_dead_unit_is_said_to_be_dead(open_page, tmp_path, monkeypatch):
    (tmp_path / "half_dead_nets.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    name = "half_dead_nets:half_dead"
    monkeypatch.setattr("sys.argv", ["app.py", name])
    app = fine(open_page("atlas", model=name, unit="1"))
    assert "Unit 1 is dead" in app.info[0].value
    assert "4 units of 1, 1 dead" in all_words(app)
    assert [tile["caption"] == "dead" for tile in grid(app)["tiles"]] == [False, True, False, False]
