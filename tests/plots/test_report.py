"""The report of a picture stands alone, and its numbers and pictures are those of the network."""

import base64
import re
import sys
from html import unescape
from html.parser import HTMLParser
from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from deconvviz.analysis.report import ReportOptions, report
from deconvviz.cli import app
from deconvviz.errors import SelectionError
from deconvviz.io.bundle import Bundle
from deconvviz.io.images import open_picture, photograph, to_png
from deconvviz.io.zoo import load
from deconvviz.plots.report import page

runner = CliRunner()
VOID = ("meta", "img", "br", "input")


class Reader(HTMLParser):
    """All tags with their attributes, and that each is closed where it was opened."""

    def __init__(self, content):
        super().__init__()
        self.tags, self.open, self.texts = [], [], []
        self.feed(content)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.texts.append(data)

    @property
    def words(self):
        return " ".join("".join(self.texts).split())

    def pictures(self):
        """Text alternative -> pixels."""
        found = {}
        for tag, attributes in self.tags:
            if tag == "img":
                head, _, data = attributes["src"].partition(",")
                assert head == "data:image/png;base64"
                with Image.open(BytesIO(base64.b64decode(data))) as stored:
                    found[attributes["alt"]] = np.asarray(stored.convert("RGB"))
        return found


@pytest.fixture(scope="module")
def demo():
    return load("demo")


@pytest.fixture(scope="module")
def html(demo):
    return page(report(demo, photograph("motorcycle")))


def test_a_page_stands_alone_and_is_small(html):
    assert len(html.encode()) < 3_000_000
    read = Reader(html)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in read.tags}
    assert not re.search(r"https?:|url\(|@import", html)
    images = [attributes for tag, attributes in read.tags if tag == "img"]
    assert all(one["alt"].strip() for one in images)
    assert all(one["src"].startswith("data:image/png;base64,") for one in images)
    assert not any(name.startswith("on") for _, attributes in read.tags for name in attributes)
    assert "prefers-color-scheme: dark" in html
    assert ("html", {"lang": "en"}) in read.tags
    levels = [int(tag[1]) for tag, _ in read.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_the_answer_and_the_units_are_those_of_the_network(demo, html):
    read = Reader(html)
    pixels = demo.preprocess(photograph("motorcycle").image)[None]
    maps = {}
    hooks = [
        demo.model.get_submodule(name).register_forward_hook(
            lambda *args, name=name: maps.update({name: args[-1].detach()[0].clone()})
        )
        for name in ("stage1.relu1", "stage2.relu2", "stage3.relu2")
    ]
    with torch.no_grad():
        shares = demo.model(pixels)[0].softmax(0)
    for hook in hooks:
        hook.remove()
    best = demo.classes[int(shares.argmax())]
    assert f"demo says {best}, {float(shares.max()):.0%}, of 10 classes" in read.words
    for name, values in maps.items():
        for channel in values.amax((1, 2)).topk(3).indices.tolist():
            said = f"unit {channel}, activation {float(values[channel].max()):.3g}"
            assert said in read.words
            assert f"Unit {channel} of {name}: the patch that it sees" in read.pictures()
    second = demo.classes[int(shares.topk(2).indices[1])]
    assert f"Why {best} rather than {second}?" in read.words


def test_the_contributions_are_those_of_autograd(demo, html):
    pixels = demo.preprocess(photograph("motorcycle").image)[None]
    maps = []
    hook = demo.model.get_submodule("stage3.relu2").register_forward_hook(
        lambda *args: maps.append(args[-1])
    )
    scores = demo.model(pixels)[0]
    hook.remove()
    first, second = scores.topk(2).indices.tolist()
    (gradient,) = torch.autograd.grad(scores[first] - scores[second], maps[0])
    gains = (maps[0] * gradient).detach().sum((0, 2, 3))
    for channel in gains.topk(3).indices.tolist():
        assert f"unit {channel}: contributes {float(gains[channel]):+.2f};" in Reader(html).words


def test_the_pictures_are_the_input_the_patch_and_the_projection(demo):
    noise = open_picture(to_png(Image.effect_noise((32, 32), 90).convert("RGB")), "noise.png")
    found = report(demo, noise, ReportOptions(1, "gradient"))
    pictures = Reader(page(found)).pictures()
    assert np.array_equal(pictures["noise.png as the network sees it"], np.asarray(noise.image))
    (layer,) = [one for one in found.layers if one.name == "stage2.relu2"]
    (unit,), (box,) = layer.units, layer.projection.boxes.tolist()
    padded = np.pad(np.asarray(noise.image), ((40, 40), (40, 40), (0, 0)), constant_values=128)
    top, left, bottom, right = (edge + 40 for edge in box)
    patch = pictures[f"Unit {unit.channel} of stage2.relu2: the patch that it sees"]
    assert np.array_equal(patch, padded[top:bottom, left:right])
    pixels = demo.preprocess(noise.image)[None].requires_grad_()
    maps = []
    hook = demo.model.get_submodule("stage2.relu2").register_forward_hook(
        lambda *args: maps.append(args[-1])
    )
    demo.model(pixels)
    hook.remove()
    maps[0][0, unit.channel, unit.y, unit.x].backward()
    gradient = nn.functional.pad(pixels.grad[0], (40,) * 4)[:, top:bottom, left:right].numpy()
    name = f"Unit {unit.channel} of stage2.relu2: its projection by the gradient rule"
    shown = pictures[name].astype(float).transpose(2, 0, 1) - 128
    inside = np.abs(shown) < 120  # not at full contrast
    assert np.corrcoef(shown[inside], gradient[inside])[0, 1] > 0.99


@pytest.fixture(scope="module")
def odd():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Conv2d(5, 4, 3), nn.ReLU())
    return Bundle.of(model, (3, 16, 16), name="<b>odd</b> & mine")


def test_names_are_inert_and_what_cannot_be_said_is_said(odd):
    mine = open_picture(to_png(Image.effect_noise((40, 30), 90).convert("RGB")), "mine.png")
    read = Reader(page(report(odd, mine), "deconvviz report 'a<b>' & b"))
    assert "b" not in {tag for tag, _ in read.tags}
    assert "<b>odd</b> & mine comes without names of classes" in read.words
    assert "is not a classifier at this size" in read.words
    assert "deconvviz report 'a<b>' & b" in read.words


def test_the_whole_picture_can_be_shown(demo):
    read = Reader(page(report(demo, photograph("cat"), ReportOptions(1, size=64))))
    assert read.pictures()["cat as the network sees it"].shape == (43, 64, 3)
    assert "deconvviz report demo cat --out report.html --units 1 --size 64" in read.words
    assert "The network sees the whole picture, at 64 × 43 pixels." in read.words


def test_a_network_without_maps_is_refused():
    flat = Bundle.of(nn.Sequential(nn.Flatten(), nn.Linear(192, 4)), (3, 8, 8))
    with pytest.raises(SelectionError, match="no feature maps"):
        report(flat, photograph("cat"))


def test_the_command_writes_the_page_and_says_how_it_was_made(tmp_path, monkeypatch):
    photograph("rocket").image.save(tmp_path / "my rocket.png")
    monkeypatch.chdir(tmp_path)
    words = ["report", "demo", "my rocket.png", "--out", "r.html", "--units", "1"]
    monkeypatch.setattr(sys, "argv", ["deconvviz", *words])
    done = runner.invoke(app, words)
    assert done.exit_code == 0, done.output
    assert done.output.startswith("demo says ")
    content = (tmp_path / "r.html").read_text("utf-8")
    assert "deconvviz report demo 'my rocket.png' --out r.html --units 1" in unescape(content)
    refused = runner.invoke(app, ["report", "demo", "cat", "--out", "r.txt"])
    assert "ends in .html" in str(refused.exception)
