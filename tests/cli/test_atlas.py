"""`deconvviz atlas show` and `render`, as a person calls them."""

import sys

import pytest
from PIL import Image
from typer.testing import CliRunner

from deconvviz import cli
from deconvviz.cli import app
from deconvviz.deconv import Deconvnet
from deconvviz.io.zoo import load

runner = CliRunner()


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """The folder that the caches of these tests lie in."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def layer():
    return Deconvnet(load("demo").model).default_layers[0]


@pytest.fixture(scope="module")
def atlas(cache):
    """An atlas, built without naming a folder."""
    words = ["atlas", "build", "--split", "test", "--device", "cpu"]
    built = runner.invoke(app, words, env={"XDG_CACHE_HOME": str(cache)})
    assert built.exit_code == 0, built.output
    (file,) = cache.rglob("atlas.safetensors")
    assert str(file) in built.output
    return file.parent


SAME = ["--split", "test", "--device", "cpu"]


def test_units_are_shown_as_a_figure(atlas, layer, tmp_path):
    words = ["atlas", "show", str(atlas), "--layer", layer, "--unit", "2", "--unit", "0"]
    out = tmp_path / "units.png"
    shown = runner.invoke(app, [*words, "--out", str(out), *SAME])
    assert shown.exit_code == 0, shown.output
    assert shown.output.splitlines()[0].startswith(f"{layer}, unit 2: peak ")
    assert shown.output.splitlines()[1].startswith(f"{layer}, unit 0: peak ")
    with Image.open(out) as figure:
        assert figure.width > 1000


def test_a_gallery_is_rendered_and_gone_on_with(layer, tmp_path):
    folder = str(tmp_path)
    built = runner.invoke(app, ["atlas", "build", "--out", folder, "--layer", layer, *SAME])
    assert built.exit_code == 0, built.output
    words = ["atlas", "render", folder, "--out", folder, *SAME]
    for _ in range(2):
        rendered = runner.invoke(app, words)
        assert rendered.exit_code == 0, rendered.output
        assert rendered.stdout.splitlines()[-1] == str(tmp_path / "index.html")
    assert layer in (tmp_path / "index.html").read_text("utf-8")
    assert list(tmp_path.rglob("*.png"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["show", "{atlas}", "--unit", "0", "--out", "x.jpg"], "ends in .png"),
        (["show", "{atlas}", "--unit", "999", "--out", "x.png", *SAME], "no unit 999 in"),
        (["show", "{atlas}", "--unit", "0", "--out", "x.png", "--rule", "lrp", *SAME], "no rule"),
        (["show", "{atlas}", "--unit", "0", "--out", "x.png"], "this atlas is of"),
        (["show", "nowhere", "--unit", "0", "--out", "x.png"], "no atlas at nowhere"),
        (["render", "{atlas}", "--out", "x", "--model", "demo-deconv", *SAME], "other weights"),
        (["build", "--no-statistics"], "with --out"),
        (["render", "nowhere", "--out", "x"], "no atlas at nowhere"),
    ],
)
def test_a_refusal_is_one_sentence(atlas, layer, tmp_path, monkeypatch, capsys, words, says):
    monkeypatch.chdir(tmp_path)
    words = [str(atlas) if word == "{atlas}" else word for word in words]
    words += ["--layer", layer] if words[0] == "show" else []
    monkeypatch.setattr(sys, "argv", ["deconvviz", "atlas", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
