"""What a network can be compared with."""

import hashlib

from deconvviz.io.zoo.names import demo_folder
from deconvviz.ui import comparing
from deconvviz.ui.choices import Choice
from deconvviz.ui.networks import network, opened


def uploaded(name):
    content = (demo_folder() / f"{name}.safetensors").read_bytes()
    return Choice("file", content=content, digest=hashlib.sha256(content).hexdigest())


def test_uploads_are_offered_and_a_network_is_never_compared_with_itself(monkeypatch):
    choices = {name: Choice(name) for name in ("demo", "demo-accurate", "demo-photos")}
    mine = {"mine": uploaded("demo-accurate"), "other": uploaded("demo-deconv")}
    missing = Choice("no_such_file.safetensors")
    monkeypatch.setattr(comparing, "offered", lambda: {**choices, **mine, "missing": missing})
    found = comparing.others(opened(mine["mine"]))
    assert list(found) == [comparing.RANDOM, "demo", "other"]  # demo-photos has another size
    assert found["other"]().key == mine["other"].digest
    assert "mine" in comparing.others(network("demo"))
