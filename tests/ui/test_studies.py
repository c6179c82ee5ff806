"""What experiments found is kept on disk, apart for every network, set of pictures and picture."""

import pytest
import torch
from streamlit.testing.v1 import AppTest

from deconvviz.analysis import Evolution, Result
from deconvviz.io.data import draw_shapes
from deconvviz.ui import networks
from deconvviz.ui.studies import STUDIES, Inputs, history, kept, some_pictures


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture
def material(network, noise):
    return Inputs(network, draw_shapes(20), networks.input_view(network, noise, "trained"))


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_runs_and_is_kept(material, name):
    assert kept(material, name) is None
    told = []
    result = STUDIES[name].run(material, lambda *step: told.append(step))
    assert isinstance(result, Result)
    assert result.name == name
    assert told
    result.save(material.folder)
    found = kept(material, name)
    assert found.sentence == result.summary()
    assert found.picture.startswith(b"\x89PNG")


def test_every_material_has_a_place_of_its_own(material, make_network):
    network, pictures, sight = material.network, material.pictures, material.sight
    others = [
        Inputs(make_network("seed-cnn"), pictures, sight),
        Inputs(network, draw_shapes(21), sight),
        Inputs(network, pictures),
    ]
    assert len({one.folder for one in (material, *others)}) == 4


def test_what_is_damaged_counts_as_never_run(material):
    material.folder.mkdir(parents=True)
    (material.folder / "filters.png").write_bytes(b"")
    for content in ("{", "[]", '{"finding_": 1}'):
        (material.folder / "filters.json").write_text(content)
        assert kept(material, "filters") is None


def test_some_pictures_are_spread_over_all(network):
    some = some_pictures(network, "photos", 100)
    assert 50 < len(some) <= 100
    every = some_pictures(network, "photos", 10**6)
    assert torch.equal(some.images[1], every.images[-(-len(every) // 100)])


def page():
    import streamlit as st

    from deconvviz.deconv import Deconvnet
    from deconvviz.io.data import draw_shapes
    from deconvviz.io.zoo import load
    from deconvviz.ui.networks import Network
    from deconvviz.ui.studies import Inputs, kept, run_study

    bundle = load("demo")
    material = Inputs(Network(bundle, Deconvnet(bundle.model)), draw_shapes(12))
    run_study(material, "filters")
    st.write(kept(material, "filters").sentence)


def test_a_page_runs_one_with_a_bar_that_goes_away():
    app = AppTest.from_function(page, default_timeout=120).run()
    assert not app.exception
    assert "kernels of" in app.markdown[0].value
    assert not app.get("progress")


def test_a_history_has_the_first_units_of_one_layer():
    from deconvviz.deconv import Deconvnet
    from deconvviz.io.zoo import load

    bundle = load("demo")
    network = networks.Network(bundle, Deconvnet(bundle.model))
    layer = network.layers[0]
    found = history(network, draw_shapes(12), layer, 5)
    assert isinstance(found, Evolution)
    assert found.histories[0].units.tolist() == [0, 1, 2, 3, 4]
