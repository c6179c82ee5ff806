"""Readers of what a person saved, projections, projects and atlases, given wrong files."""

import io
import json
import zipfile

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from deconvviz.analysis.rendering import render
from deconvviz.atlas import build_atlas, load_atlas
from deconvviz.deconv import Deconvnet
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import draw_shapes
from deconvviz.io.images import open_picture, to_png
from deconvviz.io.project import read_project
from deconvviz.io.saved import read_projection
from deconvviz.ui.networks import Network, input_view
from deconvviz.ui.reconstructions import Projector, reconstruct, whole_to_safetensors
from tests.mutations import safetensors, texts, zips
from tests.readers.reading import PNG, examples, one_sentence_or_valid, stored

pytestmark = pytest.mark.timeout(3000)


def saved_projection():
    """A unit of a small network in a picture of 12 x 10 pixels, as a file."""
    bundle = Bundle.of(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), (3, 12, 12))
    noise = open_picture(to_png(Image.effect_noise((12, 12), 90).convert("RGB")), "noise.png")
    drawn = Network(bundle, Deconvnet(bundle.model, bundle.input_size))
    projector = Projector(drawn, input_view(drawn, noise, "trained"))
    (one,) = reconstruct(projector, "1")
    return bundle, drawn.net, whole_to_safetensors(projector, one, 0.1)


@examples(60)
@given(data=st.data())
def test_saved_projections(saved, data):
    bundle, net, content = saved
    with stored(data.draw(safetensors(content, None)), "p") as path, one_sentence_or_valid():
        found = read_projection(path)
        assert render(found, bundle, net).pixels.isfinite().all()


PROJECT = {
    "network": "demo",
    "sha256": "0" * 64,
    "choices": {"layer": ["stage2.relu1"], "pictures": ["a.png", "cat"], "place": ["0.5,0.5"]},
    "pictures": ["a.png"],
    "versions": {"torch": "2"},
}


@examples(60)
@given(data=st.data())
def test_projects(data):
    text = data.draw(st.one_of(texts(PROJECT), st.just(json.dumps(PROJECT))))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("project.json", text.encode(errors="surrogatepass"))
        archive.writestr("pictures/0.png", PNG)
    content = data.draw(st.one_of(zips(stream.getvalue()), st.just(stream.getvalue())))
    with one_sentence_or_valid():
        for one in read_project(content, "mine.deconvviz", 64).pictures.values():
            assert max(one.image.size) <= 64


@pytest.fixture(scope="module")
def saved():
    return saved_projection()


@pytest.fixture(scope="module")
def atlas_file(tmp_path_factory):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 2, 3, stride=4), nn.ReLU())
    place = tmp_path_factory.mktemp("atlas")
    build_atlas(Bundle.of(model, (3, 32, 32)), draw_shapes(8), place, k=2)
    return (place / "atlas.safetensors").read_bytes()


@examples(30)
@given(data=st.data())
def test_atlases(atlas_file, data):
    content = data.draw(safetensors(atlas_file, "deconvviz_atlas"))
    with stored(content, "atlas.safetensors") as path, one_sentence_or_valid():
        found = load_atlas(path)
        for layer, units in found.units.items():
            assert units.value.shape == (found.header.layers[layer][0], found.header.k)
