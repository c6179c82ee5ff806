"""An atlas is read as it was written, or refused in one sentence."""

import json
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from deconvviz.atlas import FILE, build_atlas, load_atlas
from deconvviz.atlas.store import BuildState
from deconvviz.errors import AtlasError, SelectionError, UnknownLayerError
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import draw_shapes


@pytest.fixture(scope="module")
def folder(bundle, shapes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("atlas")
    build_atlas(bundle, shapes, folder)
    return folder


def test_what_is_read_is_what_was_found(bundle, shapes, folder):
    found, read = build_atlas(bundle, shapes), load_atlas(folder)
    assert read.header == found.header
    for layer, units in found.units.items():
        for name in (
            "value",
            "picture",
            "y",
            "x",
            "mean",
            "active",
            "activation_frequency",
            "histogram",
        ):
            assert torch.equal(getattr(read[layer], name), getattr(units, name))
    assert "the 9 strongest of 120 pictures" in repr(read)
    assert "20 units in 2 layers" in repr(read)


def test_layers_stay_in_the_networks_order(shapes, tmp_path):
    names = ["stem", "relu2", "body10", "relu10"]
    layers = [nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 3), nn.ReLU()]
    model = nn.Sequential(OrderedDict(zip(names, layers, strict=True)))
    found = build_atlas(Bundle.of(model, (3, 16, 16)), shapes, tmp_path, layers=names)
    assert list(found.units) == list(load_atlas(tmp_path).units) == names


def test_a_compact_file_holds_the_same_in_less(bundle, shapes, folder, tmp_path):
    state, small = BuildState.load(folder / FILE), tmp_path / "small.safetensors"
    state.save(small, compact=True)
    assert small.stat().st_size < 0.6 * (folder / FILE).stat().st_size
    whole, read = load_atlas(folder), load_atlas(small)
    assert read.header == whole.header
    for layer, units in whole.units.items():
        for name in ("value", "picture", "y", "x", "histogram", "dead"):
            assert torch.equal(getattr(read[layer], name), getattr(units, name))
        for name in ("mean", "active", "activation_frequency", "class_mean", "selectivity"):
            torch.testing.assert_close(
                getattr(read[layer], name), getattr(units, name), rtol=1e-6, atol=1e-9
            )
    read.check(bundle, shapes)


def test_headers_that_differ_have_other_digests(folder):
    header = load_atlas(folder).header
    others = [replace(header, k=8), replace(header, data="x"), replace(header, layers={})]
    assert len({header.digest, *(other.digest for other in others)}) == 4
    assert load_atlas(folder).header.digest == header.digest


def test_its_size_is_known(folder):
    """As in `BuildState.save`, for 20 units of float64 values and 6 classes; names come on top."""
    size = (folder / FILE).stat().st_size
    assert 0 < size - 20 * (32 * 9 + 8 * (70 + 6)) < 5000


def test_it_is_of_one_network_and_of_its_pictures(bundle, shapes, folder):
    atlas = load_atlas(folder / FILE)
    atlas.check(bundle, shapes)
    with pytest.raises(AtlasError, match="build one of this network"):
        atlas.check(replace(bundle, sha256="f" * 64))
    with pytest.raises(AtlasError, match="not of these 60"):
        atlas.check(bundle, draw_shapes(60, 16))


def test_units_that_it_does_not_have_are_refused(folder):
    atlas = load_atlas(folder)
    with pytest.raises(UnknownLayerError, match="this atlas has 1, 4"):
        atlas["conv9"]
    for unit in (-1, 12):
        with pytest.raises(SelectionError, match=f"no unit {unit} in `4`; it has 12"):
            atlas.top("4", unit)


def content(folder):
    with safe_open(folder / FILE, "pt") as file:
        metadata = file.metadata()
        return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118


def changed(metadata, **changes):
    fields = json.loads(metadata["deconvviz_atlas"]) | {"digest": ""}
    header = {n: changes.pop(n) for n in list(changes) if n in fields["header"]}
    return {"deconvviz_atlas": json.dumps(fields | changes | {"header": fields["header"] | header})}


def damaged(kind, folder, path):
    tensors, metadata = content(folder)
    metadata = changed(metadata)
    if kind == "truncated":
        path.write_bytes((folder / FILE).read_bytes()[:-100])
    elif kind == "bit":
        data = bytearray((folder / FILE).read_bytes())
        data[-5] ^= 1
        path.write_bytes(data)
    elif kind == "text":
        path.write_text("<html>")
    elif kind == "foreign":
        save_file(tensors, path)
    elif kind == "schema":
        save_file(tensors, path, changed(metadata, schema=7))
    elif kind == "missing":
        save_file({n: t for n, t in tensors.items() if n != "4/y"}, path, metadata)
    elif kind == "extra":
        save_file(tensors | {"9/y": tensors["4/y"].clone()}, path, metadata)
    elif kind == "shape":
        save_file(tensors | {"4/y": tensors["4/y"][:5].clone()}, path, metadata)
    elif kind == "outside":
        save_file(tensors | {"4/picture": tensors["4/picture"] + 500}, path, metadata)
    elif kind == "counts":
        save_file(tensors, path, changed(metadata, seen=900))
    elif kind == "dtype":
        save_file(tensors, path, changed(metadata, dtype="imaginary"))
    elif kind == "header":
        save_file(tensors, path, changed(metadata, layers=[1, 2]))
    elif kind == "huge":
        save_file(tensors, path, changed(metadata, layers={"4": [10**9, 8, 8]}))
    elif kind == "NaN":
        save_file(tensors, path, changed(metadata, pictures=float("nan")))
    elif kind == "type":
        save_file(tensors, path, changed(metadata, k="9"))
    elif kind == "list":
        save_file(tensors, path, {"deconvviz_atlas": "[]"})
    elif kind == "nested":
        save_file(tensors, path, {"deconvviz_atlas": "[" * 100_000})


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("truncated", "damaged"),
        ("bit", "checksum"),
        ("text", "damaged"),
        ("foreign", "deconvviz_atlas"),
        ("schema", "has schema 7, this version reads 1 and 2"),
        ("missing", "4/y"),
        ("extra", "`9/y` belongs to no layer"),
        ("shape", r"`4/y` is \(5, 9\)"),
        ("outside", "`4/picture` lies outside the data"),
        ("counts", "counts"),
        ("dtype", "imaginary"),
        ("header", "layers"),
        ("huge", r"`4/value` is \(12, 9\)"),
        ("NaN", "header.pictures"),
        ("type", "header.k"),
        ("list", "must be an object"),
        ("nested", "not valid JSON"),
    ],
)
def test_a_damaged_atlas_is_refused(folder, tmp_path, kind, says):
    path = tmp_path / FILE
    damaged(kind, folder, path)
    with pytest.raises(AtlasError, match=says) as refused:
        load_atlas(path)
    assert "\n" not in str(refused.value)


def test_a_missing_or_unfinished_atlas_is_refused(folder, tmp_path):
    with pytest.raises(AtlasError, match="no atlas at"):
        load_atlas(tmp_path)
    state = BuildState.load(folder / FILE)
    state.header = replace(state.header, pictures=500)
    state.save(tmp_path / FILE)
    with pytest.raises(AtlasError, match="unfinished: 120 of 500 pictures"):
        load_atlas(tmp_path)


def test_an_atlas_of_schema_1_opens():
    """Built by the version before: 12 drawn shapes, units with one dead among them."""
    old = load_atlas(Path(__file__).parent / "schema1")
    assert (old.header.batch_size, old.header.source) == (64, "")
    expected = torch.tensor([[0.1050, 0.0982], [0, 0], [0.1271, 0.1267]])
    torch.testing.assert_close(old["4"].value, expected, atol=1e-4, rtol=0)
    assert old["4"].picture.tolist() == [[8, 0], [-1, -1], [8, 1]]
    assert old["4"].activation_frequency.tolist() == [1, 0, 1]
    assert old["1"].activation_frequency.tolist() == [1, 0.5, 1, 1]


@pytest.mark.parametrize(("pictures", "source"), [(10_000, "cifar10/test"), (123, "")])
def test_schema_1_knew_cifar10_by_its_size(folder, tmp_path, pictures, source):
    tensors, metadata = content(folder)
    stored = json.loads(metadata["deconvviz_atlas"])
    header = stored["header"] | {"pictures": pictures, "data": "CIFAR-10, JPEG copy"}
    header["block"] = header.pop("batch_size")
    del header["source"]
    old = {"schema": 1, "seen": 120, "header": header}
    save_file(tensors, tmp_path / FILE, {"deconvviz_atlas": json.dumps(old)})
    assert BuildState.load(tmp_path / FILE).header.source == source
