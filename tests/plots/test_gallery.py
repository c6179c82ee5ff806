"""The gallery: what it says and shows is what the atlas has; it needs nothing but itself."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from deconvviz.atlas import build_atlas
from deconvviz.deconv import Deconvnet
from deconvviz.errors import AtlasError
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset, draw_shapes
from deconvviz.plots.atlas import render_units
from deconvviz.plots.gallery import INDEX, render

DEAD = 3  # of the second layer


@pytest.fixture(scope="module")
def net(bundle):
    return Deconvnet(bundle.model, bundle.input_size)


@pytest.fixture(scope="module")
def atlas(bundle, shapes, net):
    return build_atlas(bundle, shapes, net=net)


@pytest.fixture(scope="module")
def folder(atlas, bundle, shapes, net, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gallery")
    assert render(atlas, bundle, shapes, folder, net=net) == folder / INDEX
    return folder


def data_of(page):
    """The data of the page's script."""
    (found,) = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL
    )
    return json.loads(found)


@pytest.fixture(scope="module")
def data(folder):
    return data_of((folder / INDEX).read_text("utf-8"))


def test_every_unit_has_its_activations_and_statistics(atlas, shapes, data):
    assert [layer["name"] for layer in data["layers"]] == list(atlas.units)
    for layer in data["layers"]:
        units = atlas[layer["name"]]
        assert len(layer["units"]) == len(units)
        for number, unit in enumerate(layer["units"]):
            expected = [
                [
                    pytest.approx(m.value, rel=1e-4),
                    m.picture,
                    int(shapes.labels[m.picture]),
                    m.y,
                    m.x,
                ]
                for m in atlas.top(layer["name"], number)
            ]
            assert unit["top"] == expected
            for name in ("mean", "active", "activation_frequency", "selectivity"):
                assert unit[name] == pytest.approx(float(getattr(units, name)[number]), rel=1e-4)
            if unit["top"]:
                assert unit["classes"][0][0] == int(units.preferred[number])
            histogram = unit["histogram"]
            whole = [histogram["inactive"], *[0] * (len(units.histogram[number]) - 1)]
            first = 1 + histogram["first"]
            whole[first : first + len(histogram["counts"])] = histogram["counts"]
            assert whole == units.histogram[number].tolist()


def test_every_unit_has_its_pictures_and_a_dead_one_none(atlas, bundle, shapes, net, folder, data):
    for layer in data["layers"]:
        high, wide = layer["tile"]
        for sheet in render_units(atlas, bundle, shapes, layer["name"], net=net):
            path = folder / data["folder"] / str(layer["number"]) / f"{sheet.unit}.png"
            assert path.is_file() == bool(len(sheet))
            if not len(sheet):
                continue
            with Image.open(path) as image:
                pixels = np.asarray(image)
            assert pixels.shape == (2 * high, 9 * wide, 3)
            for place in range(len(sheet)):
                columns = slice(place * wide, (place + 1) * wide)
                assert np.array_equal(pixels[:high, columns], sheet.patches[place])
                assert np.array_equal(pixels[high:, columns], sheet.shown[place])
    assert not data["layers"][1]["units"][DEAD]["top"]


def test_nothing_is_asked_of_a_network(folder):
    page = (folder / INDEX).read_text("utf-8")
    code = re.sub(r"http://www\.w3\.org/\S+", "", page)  # a name in SVG, not an address
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(|fetch\(|XMLHttp|import\(", code)
    assert not re.search(r"<(script|link|img|iframe)[^>]*(src|href)=", code)
    assert "{{" not in page


def test_a_second_call_draws_what_is_missing_and_nothing_else(
    atlas, bundle, shapes, net, folder, data
):
    paths = sorted((folder / data["folder"]).rglob("*.png"))
    missing, *others = paths
    content, before = missing.read_bytes(), [path.stat().st_mtime_ns for path in others]
    missing.unlink()
    seen = []
    render(atlas, bundle, shapes, folder, net=net, progress=lambda *at: seen.append(at))
    assert missing.read_bytes() == content
    assert [path.stat().st_mtime_ns for path in others] == before
    assert seen[-1] == ("units", 20, 20)
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)


def test_an_interrupted_call_leaves_no_page_and_goes_on(atlas, bundle, shapes, net, tmp_path):
    def stop(title, done, total):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render(atlas, bundle, shapes, tmp_path, net=net, progress=stop)
    drawn = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")}
    assert drawn
    assert not (tmp_path / INDEX).exists()
    render(atlas, bundle, shapes, tmp_path, net=net)
    assert (tmp_path / INDEX).exists()
    assert all(path.stat().st_mtime_ns == before for path, before in drawn.items())


def test_pictures_of_another_atlas_or_rule_are_not_taken_for_its_own(
    atlas, bundle, shapes, net, data, tmp_path
):
    few = build_atlas(bundle, shapes, net=net, k=4)
    folders = {data["folder"]}
    for one, rule in ((few, "deconvnet"), (atlas, "gradient")):
        page = render(one, bundle, shapes, tmp_path, net=net, rule=rule).read_text("utf-8")
        folders.add(data_of(page)["folder"])
    assert len(folders) == 3


EVIL = '</script><img src=x onerror=alert(1)>&"{{data}}'


def test_names_are_text_and_never_markup(bundle, shapes, net, tmp_path):
    named = Bundle.of(bundle.model, bundle.input_size, (0.5,) * 3, (0.25,) * 3, name=EVIL)
    classes = (EVIL, *shapes.classes[1:])
    pictures = Dataset(shapes.images, shapes.labels, classes, title=EVIL)
    atlas = build_atlas(named, pictures, net=net)
    page = render(atlas, named, pictures, tmp_path, net=net).read_text("utf-8")
    assert "<img" not in page
    data = data_of(page)
    assert data["classes"] == list(classes)
    assert data["title"] == f"Atlas of {EVIL}"


def test_an_atlas_without_statistics_is_shown_without(bundle, shapes, net, tmp_path):
    atlas = build_atlas(bundle, shapes, net=net, statistics=False)
    data = data_of(render(atlas, bundle, shapes, tmp_path, net=net).read_text("utf-8"))
    assert not data["statistics"]
    assert set(data["layers"][0]["units"][0]) == {"top"}


def test_large_windows_are_shrunk(tmp_path):
    bundle = Bundle.of(load_large(), (3, 200, 200))
    pictures = draw_shapes(12, 200)
    atlas = build_atlas(bundle, pictures)
    data = data_of(render(atlas, bundle, pictures, tmp_path).read_text("utf-8"))
    assert data["layers"][0]["tile"] == [96, 96]


def load_large():
    from torch import manual_seed, nn

    manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 2, 121, stride=20), nn.ReLU())


def test_the_atlas_of_another_network_is_refused(atlas, bundle, shapes, net, tmp_path):
    with pytest.raises(AtlasError, match="other weights"):
        render(atlas, replace(bundle, sha256="0" * 64), shapes, tmp_path, net=net)
    assert not list(tmp_path.iterdir())
