"""A unit's figure and its files: the numbers by a plain loop, the texts read by hand."""

import re
import zlib
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from deconvviz.analysis.unit import unit_in_picture
from deconvviz.errors import SelectionError
from deconvviz.io.bundle import Bundle
from deconvviz.plots.unit import file
from deconvviz.units import Unit

NAME = "<b>my & cat</b>.png"


@pytest.fixture(scope="module")
def bundle():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(), nn.Conv2d(5, 4, 3), nn.ReLU())
    return Bundle.of(model, (3, 16, 16), (0.5,) * 3, (0.2,) * 3, name="small")


@pytest.fixture(scope="module")
def picture():
    return Image.effect_noise((20, 16), 90).convert("RGB")


@pytest.fixture(scope="module")
def unit(bundle, picture):
    with torch.no_grad():
        maps = bundle.model(bundle.preprocess(picture, size=None)[None])[0]
    channel, y, x = np.unravel_index(int(maps.argmax()), maps.shape)
    return Unit("3", int(channel), int(y), int(x)), float(maps.max())


@pytest.fixture(scope="module")
def found(bundle, picture, unit):
    return unit_in_picture(bundle, picture, unit[0], name=NAME)


def test_it_holds_the_activation_the_window_and_the_gradient(bundle, picture, unit, found):
    (place, value), (top, left, bottom, right) = unit, found.box
    assert (found.activation, found.share) == (pytest.approx(value), pytest.approx(1))
    assert (top, left, bottom, right) == (place.y - 1, place.x - 1, place.y + 4, place.x + 4)
    pixels = bundle.preprocess(picture, size=None)[None].requires_grad_()
    bundle.model(pixels)[0, place.channel, place.y, place.x].backward()
    gradient = nn.functional.pad(pixels.grad[0], (1,) * 4) * value
    expected = gradient[:, top + 1 : bottom + 1, left + 1 : right + 1]
    torch.testing.assert_close(found.projections["gradient"], expected)
    assert set(found.projections) == {"deconvnet", "guided", "gradient"}
    numbers = found.to_dict()
    assert "picture" not in numbers
    assert numbers["box"] == list(found.box)


def test_a_place_beyond_the_map_is_refused(bundle, picture):
    with pytest.raises(SelectionError):
        unit_in_picture(bundle, picture, Unit("3", 0, 99, 0))


def test_a_png_file_says_what_it_is_of(found, unit):
    with Image.open(BytesIO(file(found, "png", "deconvviz 9"))) as stored:
        assert stored.width > 1000
        texts = stored.text
        shades = np.asarray(stored.convert("RGB"))
    assert (shades == 255).all(2).mean() > 0.2  # on white paper
    assert texts["Software"] == "deconvviz 9"
    assert (texts["network"], texts["picture"], texts["layer"]) == ("small", NAME, "3")
    assert (texts["unit"], texts["rule"]) == (
        str(unit[0].channel),
        "deconvnet, guided, gradient",
    )
    assert texts["position"] == f"y {unit[0].y}, x {unit[0].x}"


def test_an_svg_file_is_inert_and_holds_its_pictures_and_texts(found):
    content = file(found, "svg", "deconvviz 9").decode()
    assert content.count("data:image/png;base64,") == 5
    assert "<b>" not in content
    assert "&lt;b&gt;my &amp; cat&lt;/b&gt;.png" in content
    assert "network: small" in content
    assert "<script" not in content
    outside = re.findall(r'(?:href|src)="([^"#][^"]*)"', content)
    assert all(address.startswith("data:") for address in outside)


def test_a_pdf_file_holds_its_pictures_and_texts(found):
    content = file(found, "pdf", "deconvviz 9")
    assert content.startswith(b"%PDF-")
    assert len(re.findall(rb"/Subtype /Image", content)) >= 5
    streams = [
        zlib.decompress(one)
        for one in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", content, re.DOTALL)[:1]
    ]
    assert streams
    assert b"network: small" in content or b"network: small".hex().encode() in content.lower()
    assert b"CreationDate" not in content
