"""The atlas, as a person goes through it."""

import pytest

from deconvviz.analysis.useful import UsefulOptions, useful
from deconvviz.io.card import spaced
from deconvviz.plots.display import percent
from deconvviz.ui import networks
from deconvviz.ui.atlas import LIKE, ORDERS, atlas_view
from tests.pages.conftest import all_words, alternatives, channels, fine, grid


@pytest.fixture(scope="module")
def atlas(cache_folder):
    """The one that the pages show."""
    return atlas_view(networks.network("demo-accurate")).atlas


def captions(app):
    return {tile["channel"]: tile["caption"] for tile in grid(fine(app))["tiles"]}


def test_the_strongest_unit_of_a_layer_is_shown_without_a_click(open_page, atlas):
    app = fine(open_page("atlas", model="demo-accurate"))
    layer = app.button_group(key="layer").value
    units = atlas[layer]
    strongest = int(units.value[:, 0].argmax())
    assert grid(app)["chosen"] == strongest
    unit = f"of unit {strongest} of {layer}, row by row from the strongest"
    texts = alternatives(app)
    assert {f"The 9 strongest patches {unit}", f"The 9 projections {unit}"} <= set(texts)
    assert all(texts)
    words = all_words(app)
    assert ", ".join(f"{value:.3g}" for value in units.value[strongest].tolist()) in words
    assert percent(float(units.activation_frequency[strongest]), 1) in words
    assert "symmetric about grey" in words
    assert f"{spaced(atlas.header.pictures)} pictures: photographs" in words


def test_every_unit_of_a_layer_is_in_a_grid(open_page, atlas):
    app = open_page("atlas", model="demo-accurate")
    assert app.button_group(key="layer").options == list(atlas.units)
    last = list(atlas.units)[-1]
    app.button_group(key="layer").set_value(last).run()
    shown = captions(app)
    for part in app.selectbox(key="part").options[1:]:
        app.selectbox(key="part").set_value(part).run()
        shown |= captions(app)
    peaks = atlas[last].value[:, 0].tolist()
    assert shown == {n: f"{peak:.3g}" if peak > 0 else "dead" for n, peak in enumerate(peaks)}


def test_a_link_restores_order_layer_unit_and_rule(open_page, atlas):
    layer, order = list(atlas.units)[1], list(ORDERS)[1]
    app = fine(
        open_page("atlas", model="demo-accurate", layer=layer, unit="5", rule="guided", sort=order)
    )
    assert app.button_group(key="layer").value == layer
    assert any(f"projections of unit 5 of {layer}" in text for text in alternatives(app))
    assert app.button_group(key="rule").value == "guided"
    peaks = atlas[layer].value[:, 0].argsort(descending=True, stable=True).tolist()
    assert channels(app) == peaks[: len(channels(app))]


@pytest.mark.parametrize(
    "query",
    [
        {"unit": "99999", "layer": "../../x"},
        {"data": "x", "dataset": "y", "order": "<b>", "sort": "x", "part": "-1"},
    ],
)
def test_a_bad_link_is_the_default(open_page, query):
    app = fine(open_page("atlas", model="demo-accurate", **query))
    assert channels(app)
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
    assert [caption == "dead" for caption in captions(app).values()] == [False, True, False, False]


def test_photographs_are_not_called_classes(open_page, tmp_path, monkeypatch):
    (tmp_path / "alive_nets.py").write_text(CODE.replace("half_dead", "alive").replace("-1e6", "9"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sys.argv", ["app.py", "alive_nets:alive"])
    app = fine(open_page("atlas", model="alive_nets:alive"))
    assert "Photographs with the highest mean activation" in all_words(app)
    assert "lass selectivity" not in all_words(app)
    assert "class selectivity" not in app.selectbox(key="sort").options
    assert "photograph" in app.dataframe[0].value.columns


def test_units_are_filtered_and_sorted_by_their_projections(open_page):
    query = {"model": "demo", "layer": "stage1.relu1", "sort": "most of one direction"}
    app = fine(open_page("atlas", **query))
    everyone = channels(app)
    app = fine(open_page("atlas", **query, **{"only-direction": "|"}))
    upright = channels(app)
    assert 0 < len(upright) < len(everyone)
    assert upright == [channel for channel in everyone if channel in upright]
    assert f"{len(upright)} of {len(everyone)} units" in all_words(app)
    app = fine(open_page("atlas", **{**query, "sort": LIKE, "unit": str(everyone[0])}))
    assert channels(app)[0] == everyone[0]  # the example itself
    app = fine(open_page("atlas", **{**query, "sort": LIKE, "unit": "1", "like": str(everyone[0])}))
    assert channels(app)[0] == everyone[0]
    assert grid(app)["chosen"] == 1


def test_the_most_useful_pictures_of_a_unit_stand_beside_the_strongest(open_page):
    query = {"model": "demo-accurate", "unit": "3", "useful-for": "ship"}
    app = fine(open_page("atlas", **query))
    network = networks.network("demo-accurate")
    view, layer = atlas_view(network), app.button_group(key="layer").value
    options = UsefulOptions(layer=layer, unit=3, label="ship")
    found = useful(network.bundle, view.dataset, options, net=network.net)
    words = all_words(app)
    assert ", ".join(f"{value:+.3g}" for value in found.useful.value.tolist()) in words
    count = spaced(len(view.dataset))
    mean = f"{float(found.total[found.label]):+.3g}"
    assert f"It adds {mean} to the score of **ship** on average over {count} pictures" in words
    assert f"**{found.shared or 'none'}** " in words
    pictures = app.dataframe[1].value["picture"].tolist()
    assert pictures == found.useful.pictures.tolist()
    unit = f"of unit 3 of {layer}, row by row from the most useful"
    assert {f"The 9 most useful patches {unit}", f"The 9 projections {unit}"} <= {
        *alternatives(app)
    }
    app.selectbox(key="useful-for").set_value("no class").run()
    assert "on average over" not in all_words(fine(app))


def test_a_network_without_classes_is_not_asked_about_them(open_page, tmp_path, monkeypatch):
    (tmp_path / "wordless_nets.py").write_text(CODE.replace("half_dead", "wordless"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sys.argv", ["app.py", "wordless_nets:wordless"])
    app = fine(open_page("atlas", model="wordless_nets:wordless", **{"useful-for": "ship"}))
    assert not [box for box in app.selectbox if box.key == "useful-for"]


def test_classes_are_named_without_underscores(open_page):
    app = fine(open_page("atlas", model="demo-photos", layer="stage4.relu1", unit="5"))
    bars = [one.proto.text for one in app.get("progress")]
    assert len(bars) == 5
    assert not [text for text in bars if "_" in text]
