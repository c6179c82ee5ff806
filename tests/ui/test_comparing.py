"""What a network can be compared with."""

import hashlib
import shlex

from typer.testing import CliRunner

from deconvviz.analysis.compare import Side, match_units, side_by_side
from deconvviz.cli import app
from deconvviz.io.images import photograph
from deconvviz.io.zoo.names import demo_folder
from deconvviz.ui import comparing
from deconvviz.ui.choices import Choice
from deconvviz.ui.experiments import some_pictures
from deconvviz.ui.networks import input_view, network, opened


def uploaded(name):
    content = (demo_folder() / f"{name}.safetensors").read_bytes()
    return Choice("file", content=content, digest=hashlib.sha256(content).hexdigest())


def test_the_command_gives_the_same_numbers(tmp_path):
    demo, names = network("demo"), ("demo", comparing.RANDOM)
    other = comparing.others(demo)[comparing.RANDOM]()
    layers = (demo.layers[2], demo.layers[3])
    pictures = some_pictures(demo, "photos", 40)
    sides = [
        Side(one.bundle, one.net, layer) for one, layer in zip((demo, other), layers, strict=True)
    ]
    expected = side_by_side(
        *sides,
        match_units(*sides, pictures),
        input_view(demo, photograph("cat"), "trained").pixels[0],
        5,
        "guided",
    )
    options = {"units": 5, "count": 40}
    words = shlex.split(comparing.command(names, "cat", layers, "photos", "guided", options))
    assert words[:5] == ["deconvviz", "compare", "demo", "random", "cat"]
    given = [str(tmp_path) if word == "compare" else word for word in words[2:]]
    result = CliRunner().invoke(app, ["compare", *given])
    assert not result.exit_code, result.output
    assert (tmp_path / "compare.json").read_text() == expected.to_json()


def test_the_command_names_an_epoch_and_the_split(monkeypatch):
    choices = {"mine": Choice("mine.safetensors"), "twin": Choice("torchvision/a", None)}
    monkeypatch.setattr(comparing, "offered", lambda: choices)
    ends = ("low", "low"), "cifar10 test", "deconvnet", {}
    assert comparing.command(("mine", "after epoch 5"), "my cat.png", *ends) == (
        "deconvviz compare mine.safetensors random 'my cat.png' --epoch 5 --layer low "
        "--data cifar10 --split test --rule deconvnet --out compare"
    )
    assert "torchvision/a mine.safetensors x --weights none" in comparing.command(
        ("twin", "mine"), "x", *ends
    )
    assert not comparing.command(("mine", "twin"), "x", *ends)


def test_uploads_are_offered_and_a_network_is_never_compared_with_itself(monkeypatch):
    choices = {name: Choice(name) for name in ("demo", "demo-accurate", "demo-photos")}
    mine = {"mine": uploaded("demo-accurate"), "other": uploaded("demo-deconv")}
    missing = Choice("no_such_file.safetensors")
    monkeypatch.setattr(comparing, "offered", lambda: {**choices, **mine, "missing": missing})
    found = comparing.others(opened(mine["mine"]))
    assert list(found) == [comparing.RANDOM, "demo", "other"]  # demo-photos has another size
    assert found["other"]().key == mine["other"].digest
    assert "mine" in comparing.others(network("demo"))
