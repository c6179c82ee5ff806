"""What excites each unit, as the pages have it."""

import pytest
import torch
from streamlit.testing.v1 import AppTest
from torch import nn

from deconvviz.atlas import build_atlas
from deconvviz.deconv import Deconvnet
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import draw_shapes
from deconvviz.plots.atlas import draw_units
from deconvviz.ui import surveys
from deconvviz.ui.explore import Network
from deconvviz.ui.grid import Tile

DEAD = 2


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 6, 5, stride=2), nn.ReLU())
    with torch.no_grad():
        model[0].bias[DEAD] = -1e6
    return Network(Bundle.of(model, (3, 64, 64)), Deconvnet(model, (3, 64, 64)))


@pytest.fixture(scope="module")
def survey(small):
    pictures = draw_shapes(30, 64)
    return surveys.AtlasView(build_atlas(small.bundle, pictures, net=small.net), pictures)


@pytest.mark.parametrize("order", surveys.ORDERS)
def test_units_are_in_order(survey, order):
    units = survey.atlas["1"]
    key = {
        "unit number": list(range(6)),
        "strongest activation": (-units.value[:, 0]).tolist(),
        "preference for one class": (-units.selectivity).tolist(),
        "fires most often": (-units.fires).tolist(),
        "fires least often": units.fires.tolist(),
    }[order]
    assert surveys.ordered(units, order) == sorted(range(6), key=lambda unit: (key[unit], unit))


def test_without_statistics_units_are_by_number(small):
    atlas = build_atlas(small.bundle, draw_shapes(30, 64), net=small.net, statistics=False)
    for order in ("preference for one class", "fires most often", "fires least often"):
        assert surveys.ordered(atlas["1"], order) == list(range(6))


def test_tiles_show_the_strongest_patch_beside_its_projection(small, survey):
    tiles = surveys.strongest_tiles(small, survey, "1", (4, DEAD, 0))
    assert [tile.name for tile in tiles] == ["4", str(DEAD), "0"]
    assert tiles[1].caption == "dead"
    (sheet,) = draw_units(survey.atlas, small.bundle, survey.dataset, "1", [4], net=small.net)
    expected = Tile.of("4", (sheet.patches[0], sheet.shown[0]), "", "")
    assert tiles[0].pictures == expected.pictures
    assert tiles[0].caption == f"{survey.atlas.moments('1', 4)[0].value:.3g}"


def test_a_second_look_is_the_first_one(small, survey):
    first = surveys.unit_sheet(small, survey, "1", 4, "guided")
    assert surveys.unit_sheet(small, survey, "1", 4, "guided") is first
    assert surveys.unit_sheet(small, survey, "1", 4, "gradient") is not first
    assert len(first) == 9


def page():
    import streamlit as st

    from deconvviz.ui import loaders, surveys

    network = loaders.network("sweep_once_nets:net")
    one, two = surveys.survey(network), surveys.survey(network)
    st.write(one is two, one.atlas.header.pictures == len(surveys.known(network)["photos"]))


CODE = "from torch import nn\nnet = lambda: nn.Sequential(nn.Conv2d(3, 2, 9, stride=4), nn.ReLU())"


def test_pictures_are_swept_once_for_all_sessions(tmp_path, monkeypatch):
    (tmp_path / "sweep_once_nets.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for _ in range(2):
        app = AppTest.from_function(page, default_timeout=120).run()
        assert not app.exception
        assert [said.value for said in app.markdown] == ["`True` `True`"]
        monkeypatch.setattr(surveys, "open_atlas", lambda *_, **__: pytest.fail("swept again"))
