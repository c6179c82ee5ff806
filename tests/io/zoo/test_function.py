"""A network of your own: a function to import, and weights from a file."""

import pickle
import sys

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from deconvviz.errors import CheckpointError, SettingError, UnknownModelError
from deconvviz.io.zoo import load

CODE = """
from torch import nn
import deconvviz as dv

def small():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())

def described():
    return dv.Bundle.of(small(), (3, 48, 48), (0.5,) * 3, (0.25,) * 3, ("a", "b"), "mine")

class Nets:
    small = staticmethod(small)

def broken():
    raise KeyError("no such width")

def number():
    return 3
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A person's folder, with a module in it, where the command is run."""
    (tmp_path / "my_nets.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "my_nets", raising=False)
    return tmp_path


def small():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())


@pytest.mark.parametrize("name", ["my_nets:small", "my_nets:Nets.small"])
def test_a_function_makes_a_network(name):
    bundle = load(name, input_size=(3, 40, 40))
    assert isinstance(bundle.model, nn.Sequential)
    assert (bundle.name, bundle.input_size) == (name, (3, 40, 40))
    assert load(name).input_size == (3, 224, 224)


def test_a_function_may_say_how_to_feed_its_network():
    bundle = load("my_nets:described")
    assert (bundle.name, bundle.classes, bundle.input_size) == ("mine", ("a", "b"), (3, 48, 48))
    with pytest.raises(SettingError, match="leave it out"):
        load("my_nets:described", input_size=(3, 32, 32))


@pytest.mark.parametrize("nested", [None, "state_dict", "model"])
def test_weights_from_a_file(folder, nested):
    model = small()
    state = model.state_dict()
    torch.save(state if nested is None else {nested: state, "epoch": 3}, folder / "w.pt")
    save_file(state, folder / "w.safetensors")
    for file in ("w.pt", "w.safetensors"):
        bundle = load("my_nets:small", checkpoint=folder / file)
        assert torch.equal(bundle.model[0].weight, model[0].weight)
        assert f"weights from {file}" in bundle.summary
    assert bundle.sha256 != load("my_nets:small").sha256


class Evil:
    def __reduce__(self):
        return print, ("code has run",)


def changed(**tensors):
    return {**small().state_dict(), **{name.replace("_", "."): t for name, t in tensors.items()}}


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({"0.weight": torch.zeros(4, 3, 3, 3)}, "it lacks `0.bias`"),
        (changed(**{"9_weight": torch.zeros(1)}), "it has unexpected `9.weight`"),
        (changed(**{"0_bias": torch.zeros(5)}), "`0.bias` is .5., not .4."),
        (changed(**{"0_bias": torch.full((4,), torch.nan)}), "not finite"),
        ([1, 2, 3], "no weights by name"),
        ({"epoch": 3}, "no weights by name"),
        ({3: torch.zeros(1)}, "no weights by name"),
    ],
)
def test_weights_of_another_network_are_refused(folder, stored, message):
    torch.save(stored, folder / "w.pt")
    with pytest.raises(CheckpointError, match=message):
        load("my_nets:small", checkpoint=folder / "w.pt")


def test_code_in_a_file_is_never_run(folder, capsys):
    (folder / "w.pt").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(CheckpointError, match="without running code"):
        load("my_nets:small", checkpoint=folder / "w.pt")
    assert "code has run" not in capsys.readouterr().out
    torch.save(small().state_dict(), folder / "whole.pt")
    cut = (folder / "whole.pt").read_bytes()[:-30]
    for file, damaged in (
        ("w.pt", b"damaged"),
        ("w.safetensors", b"damaged"),
        ("w.pt", b"a text file, with some words"),
        ("w.pt", b"\x80\x02r\xff\xff\xff\x7f."),
        ("w.pt", cut),
    ):
        (folder / file).write_bytes(damaged)
        with pytest.raises(CheckpointError, match="no weights that can be read"):
            load("my_nets:small", checkpoint=folder / file)
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        load("my_nets:small", checkpoint=folder / "none.pt")


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("no_such_module:f", UnknownModelError, "cannot import `no_such_module`"),
        ("my_nets:nothing", UnknownModelError, "`my_nets` has no function `nothing`"),
        ("my_nets:broken", SettingError, "`my_nets:broken` failed: KeyError: 'no such width'"),
        ("my_nets:number", SettingError, "returned int; it must return a torch.nn.Module"),
    ],
)
def test_functions_that_make_no_network(name, error, message):
    with pytest.raises(error, match=message):
        load(name)
