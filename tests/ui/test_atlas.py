"""Atlases, as the pages have them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest
from torch import nn

from deconvviz.analysis.find import FindOptions
from deconvviz.atlas import build_atlas
from deconvviz.deconv import Deconvnet
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import draw_shapes
from deconvviz.plots.atlas import render_units
from deconvviz.plots.look import Look
from deconvviz.ui import atlas
from deconvviz.ui.grid import Tile
from deconvviz.ui.networks import Network

DEAD = 2


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 6, 5, stride=2), nn.ReLU())
    with torch.no_grad():
        model[0].bias[DEAD] = -1e6
    return Network(Bundle.of(model, (3, 64, 64)), Deconvnet(model, (3, 64, 64)))


@pytest.fixture(scope="module")
def view(small):
    pictures = draw_shapes(30, 64)
    built = build_atlas(small.bundle, pictures, net=small.net)
    return atlas.AtlasView("shapes", built, pictures, built)


def by(name, small, view, channel=0):
    """The units of a layer in an order."""
    everyone = torch.ones(6, dtype=torch.bool)
    return atlas.ordered(atlas.ORDERS[name](small, view, "1", channel), everyone)


def test_units_are_in_order(small, view):
    units = view.atlas["1"]
    keys = {
        "unit number": list(range(6)),
        "strongest activation": (-units.value[:, 0]).tolist(),
        "class selectivity": (-units.selectivity).tolist(),
        "most often active": (-units.activation_frequency).tolist(),
        "least often active": units.activation_frequency.tolist(),
    }
    assert set(keys) < set(atlas.ORDERS)
    for name, key in keys.items():
        expected = sorted(range(6), key=lambda unit, key=key: (key[unit], unit))
        assert by(name, small, view) == expected


def test_orders_by_projections_have_the_dead_unit_last_and_likeness_the_unit_itself(small, view):
    for name in ("clearest", "most of one colour", "most of one direction"):
        assert by(name, small, view)[-1] == DEAD
        assert sorted(by(name, small, view)) == list(range(6))
    found = by(atlas.LIKE, small, view, 4)
    assert (found[0], found[-1]) == (4, DEAD)
    maps = small.net.record(small.bundle.preprocessing.normalised(view.dataset.images), ["1"])["1"]
    others = [0, 1, 3, 5]
    rows = np.corrcoef(maps.movedim(1, 0).flatten(1).numpy()[[4, *others]])[0, 1:]
    assert found[1] == others[int(rows.argmax())]


def test_units_that_do_not_fit_are_left_out(small, view):
    few = torch.tensor([False, True, False, True, False, False])
    assert atlas.ordered(None, few) == [1, 3]
    assert atlas.ordered(torch.arange(6.0), few) == [3, 1]
    wanted = FindOptions(label=view.numbers.header.classes[0])
    preferred = view.atlas["1"].preferred
    fits = atlas.fits(small, view, "1", wanted)
    assert fits.tolist() == [unit != DEAD and int(preferred[unit]) == 0 for unit in range(6)]


def test_without_statistics_units_are_by_number(small, view):
    found = build_atlas(small.bundle, draw_shapes(30, 64), net=small.net, statistics=False)
    for name in ("class selectivity", "most often active", "least often active"):
        assert by(name, small, replace(view, atlas=found, numbers=found)) == list(range(6))


def test_tiles_show_the_strongest_patch_beside_its_projection(small, view):
    tiles = atlas.tiles(small, view, "1", (4, DEAD, 0), Look())
    assert [tile.channel for tile in tiles] == [4, DEAD, 0]
    assert tiles[1].caption == "dead"
    (sheet,) = render_units(view.atlas, small.bundle, view.dataset, "1", [4], net=small.net)
    assert tiles[0].pictures == Tile.of(4, (sheet.patches[0], sheet.shown[0]), "", "").pictures
    assert tiles[0].caption == f"{view.atlas['1'].value[4, 0]:.3g}"


def test_sheets_are_cached_by_rule(small, view):
    first = atlas.unit_tiles(small, view, "1", 4, "guided")
    assert atlas.unit_tiles(small, view, "1", 4, "guided") is first
    assert atlas.unit_tiles(small, view, "1", 4, "gradient") is not first
    assert len(first) == 9


def page():
    import streamlit as st

    from deconvviz.ui import atlas, networks

    network = networks.network("build_once_nets:net")
    one, two = atlas.atlas_view(network), atlas.atlas_view(network)
    st.write(one is two, one.atlas.header.pictures == len(atlas.datasets(network)["photos"]))


CODE = "from torch import nn\nnet = lambda: nn.Sequential(nn.Conv2d(3, 2, 9, stride=4), nn.ReLU())"


def test_an_atlas_is_built_once_for_all_sessions(tmp_path, monkeypatch):
    (tmp_path / "build_once_nets.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for _ in range(2):
        app = AppTest.from_function(page, default_timeout=120).run()
        assert not app.exception
        assert [said.value for said in app.markdown] == ["`True` `True`"]
        monkeypatch.setattr(atlas, "open_atlas", lambda *_, **__: pytest.fail("built again"))
