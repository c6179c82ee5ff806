"""Files that are made again: the same bytes in a new process, or a sentence that says why not."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from deconvviz.cli import app
from deconvviz.io.images import photograph
from deconvviz.io.saved import read_projection
from deconvviz.io.zoo.names import demo_folder
from deconvviz.ui.networks import input_view, network
from deconvviz.ui.reconstructions import (
    Projector,
    reconstruct,
    to_safetensors,
    whole_picture,
    whole_to_safetensors,
)
from deconvviz.units import Unit

ROOT = Path(__file__).parents[2]
LAYER = "stage2.relu2"
runner = CliRunner()


def parsed(content):
    """Metadata and arrays of a safetensors file, read by hand."""
    (length,) = struct.unpack("<Q", content[:8])
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    metadata = header.pop("__metadata__")
    kinds = {"F32": np.float32, "U8": np.uint8}
    arrays = {
        name: np.frombuffer(data[slice(*one["data_offsets"])], kinds[one["dtype"]]).reshape(
            one["shape"]
        )
        for name, one in header.items()
    }
    return metadata, arrays


def joined(metadata, arrays):
    """The inverse of `parsed`."""
    header, data = {"__metadata__": metadata}, b""
    for name, array in arrays.items():
        kind = {np.dtype(np.float32): "F32", np.dtype(np.uint8): "U8"}[array.dtype]
        ends = [len(data), len(data) + array.nbytes]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": ends}
        data += array.tobytes()
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.fixture(scope="module")
def projector():
    demo = network("demo")
    return Projector(demo, input_view(demo, photograph("cat"), "trained"), "guided")


@pytest.fixture(scope="module")
def unit(projector):
    """Where it is active, though not most."""
    channel = reconstruct(projector, LAYER)[0].unit.channel
    maps = projector.network.net.record(projector.view.pixels, [LAYER])[LAYER][0, channel]
    y, x = divmod(int(maps.flatten().topk(5).indices[4]), maps.shape[1])
    (one,) = reconstruct(projector, LAYER, Unit(LAYER, channel, y, x))
    assert one.value > 0
    return one


@pytest.fixture(scope="module")
def content(projector, unit):
    return to_safetensors(projector, unit, unit.pixels)


@pytest.fixture
def file(content, tmp_path):
    path = tmp_path / "unit.safetensors"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("size", [(), ("--size", "64")])
@pytest.mark.parametrize("which", [("-k", "1"), ("--unit", "3", "--rule", "guided")])
def test_a_projection_by_command_is_made_again(tmp_path, size, which):
    path = tmp_path / "raw.safetensors"
    words = ["project", "demo", "cat", "--layer", LAYER, *which, *size, "--out", str(path)]
    done = runner.invoke(app, words)
    assert done.exit_code == 0, done.output
    checked = runner.invoke(app, ["render", str(path), "--check"])
    assert checked.exit_code == 0, checked.output
    assert "the same bytes" in checked.output
    made = read_projection(path)
    image = made.record.preprocessing.tensor(made.picture)[None]
    assert made.record.activation == float(
        network("demo").net.record(image, [LAYER])[LAYER][0, made.record.unit].max()
    )


def test_several_projections_say_which_can_be_made_again(tmp_path):
    path = tmp_path / "raw.safetensors"
    runner.invoke(app, ["project", "demo", "cat", "--layer", LAYER, "--out", str(path)])
    done = runner.invoke(app, ["render", str(path)])
    assert done.exit_code
    assert "`deconvviz project` with --unit or -k 1" in " ".join(str(done.exception).split())


def in_new_process(*words):
    done = subprocess.run(
        [sys.executable, "-m", "deconvviz", "render", *map(str, words)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=Path(words[0]).parent,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_file_says_everything_that_it_was_made_from(projector, unit, content):
    metadata, arrays = parsed(content)
    assert metadata["network"] == "demo"
    assert json.loads(metadata["positions"]) == [[unit.unit.channel, unit.unit.y, unit.unit.x]]
    made = json.loads(metadata["preprocessing"])
    assert made["mean"] == list(projector.network.bundle.preprocessing.mean)
    assert (made["size"], made["interpolation"]) == (32, "BICUBIC")
    assert json.loads(metadata["picture_size"]) == [451, 300]
    assert json.loads(metadata["crop"]) == [0, 75, 300, 376]
    assert json.loads(metadata["versions"])["torch"] == torch.__version__
    assert np.array_equal(arrays["picture"], projector.view.array)
    assert np.array_equal(arrays["pixels"], unit.pixels.numpy())


def test_a_new_process_makes_the_same_bytes_and_the_pages_picture(file, content, unit, tmp_path):
    again, picture = tmp_path / "again.safetensors", tmp_path / "picture.png"
    code, said = in_new_process(file, "--check", "--out", again)
    assert (code, said.endswith("the same bytes\n")) == (0, True), said
    before, after = parsed(content), parsed(again.read_bytes())
    assert before[0] == after[0]
    for name in ("pixels", "picture"):
        assert before[1][name].tobytes() == after[1][name].tobytes()
    drawn = runner.invoke(app, ["render", str(file), "--out", str(picture)])
    assert drawn.exit_code == 0, drawn.output
    with Image.open(picture) as stored:
        assert np.array_equal(np.asarray(stored), unit.picture)
        place = f"y {unit.unit.y}, x {unit.unit.x}"
        assert (stored.text["layer"], stored.text["position"]) == (LAYER, place)
        assert stored.text["Software"].startswith("deconvviz ")


def test_a_whole_picture_has_all_its_positions_and_is_made_again(projector, unit, tmp_path):
    view = input_view(projector.network, photograph("cat"), 256)
    large = Projector(projector.network, view, "deconvnet", "one")
    (one,) = reconstruct(large, LAYER, unit.unit.channel)
    path = tmp_path / "whole.safetensors"
    path.write_bytes(whole_to_safetensors(large, one, 0.3))
    metadata, arrays = parsed(path.read_bytes())
    whole, count = whole_picture(large, LAYER, unit.unit.channel, 0.3)
    positions = json.loads(metadata["positions"])
    maps = projector.network.net.record(view.pixels, [LAYER])[LAYER][0, unit.unit.channel]
    values = [float(maps[y, x]) for _, y, x in positions]
    assert (len(positions), json.loads(metadata["count"])) == (count, count)
    assert len({tuple(one) for one in positions}) == count
    assert json.loads(metadata["share"]) == 0.3
    assert sorted(values, reverse=True) == maps.flatten().topk(count).values.tolist()
    assert np.array_equal(arrays["pixels"], whole.numpy())
    assert arrays["pixels"].shape[1:] == arrays["picture"].shape[:2]
    code, said = in_new_process(path, "--check")
    assert (code, "the same bytes" in said) == (0, True), said


def test_a_difference_is_measured_and_ends_with_status_1(content, tmp_path):
    metadata, arrays = parsed(content)
    largest = float(np.abs(arrays["pixels"]).max())
    pixels = arrays["pixels"].copy()
    pixels[0, 0, 0] += largest / 4
    path = tmp_path / "changed.safetensors"
    path.write_bytes(joined(metadata, {**arrays, "pixels": pixels}))
    done = runner.invoke(app, ["render", str(path), "--check"])
    assert done.exit_code == 1
    assert "the largest difference is 0.25 of the largest pixel" in done.output
    assert runner.invoke(app, ["render", str(path)]).exit_code == 0
    path.write_bytes(joined(metadata, {**arrays, "pixels": pixels[:, 1:]}))
    done = runner.invoke(app, ["render", str(path), "--check"])
    assert (done.exit_code, "of another size" in done.output) == (1, True)


def test_a_checkpoint_is_named_with_an_option_and_another_network_is_refused(content, tmp_path):
    metadata, arrays = parsed(content)
    path = tmp_path / "mine.safetensors"
    path.write_bytes(joined({**metadata, "network": "model"}, arrays))
    refused = runner.invoke(app, ["render", str(path)])
    assert "is of the network `model`" in str(refused.exception)
    named = [str(path), "--check", "--model", str(demo_folder() / "demo.safetensors")]
    done = runner.invoke(app, ["render", *named])
    assert (done.exit_code, "the same bytes" in done.output) == (0, True), done.output
    refused = runner.invoke(app, ["render", str(path), "--model", "demo-accurate"])
    assert "another network than the file's" in str(refused.exception)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"positions": "[[0,3,4],[0,3,5]]", "unit": "0"}, "count is 1, but there are 2 positions"),
        ({"positions": "[[9999,3,4]]"}, "another unit than"),
        ({"layer": "nowhere"}, "no layer `nowhere`"),
        ({"rule": "no"}, "rule must be"),
        ({"extra": "1"}, "extra is not an option"),
        ({"versions": "{"}, "not valid JSON"),
        ({"threads": "0"}, "threads must be"),
        ({"positions": None}, "does not say what it was made from"),
        ({"count": None}, "count is missing"),
    ],
)
def test_files_with_other_words_are_refused_in_a_sentence(content, changes, says, tmp_path):
    metadata, arrays = parsed(content)
    changed = {name: text for name, text in (metadata | changes).items() if text is not None}
    path = tmp_path / "odd.safetensors"
    path.write_bytes(joined(changed, arrays))
    refused = runner.invoke(app, ["render", str(path)])
    assert says in str(refused.exception)


def test_files_with_other_tensors_are_refused_in_a_sentence(content, tmp_path):
    metadata, arrays = parsed(content)
    path = tmp_path / "odd.safetensors"
    broken = arrays["pixels"].copy()
    broken[0, 0, 0] = np.nan
    for changed, says in (
        ({"pixels": arrays["pixels"]}, "`pixels` and `picture`"),
        ({**arrays, "more": broken}, "`pixels` and `picture`"),
        ({**arrays, "pixels": broken}, "not finite"),
        ({**arrays, "pixels": arrays["pixels"][:2]}, "no projection's pixels"),
        ({**arrays, "picture": arrays["picture"][:4]}, "no picture's pixels"),
        ({**arrays, "picture": arrays["picture"].astype(np.float32)}, "no picture's pixels"),
    ):
        path.write_bytes(joined(metadata, changed))
        assert says in str(runner.invoke(app, ["render", str(path)]).exception)
    for content_, says in ((b"", "no plausible"), (content[:-5], "damaged"), (b"PK\3\4", "no pl")):
        path.write_bytes(content_)
        assert says in str(runner.invoke(app, ["render", str(path)]).exception)
