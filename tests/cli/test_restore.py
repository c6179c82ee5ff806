"""`deconvviz restore`, `segment`, `generate` and `train-restoration`, as a person types them."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from deconvviz.cli import app
from deconvviz.errors import SettingError
from deconvviz.io.checkpoint import Description, save_checkpoint
from deconvviz.networks import build
from deconvviz.restoration import shipped


@pytest.fixture
def network(tmp_path):
    """A checkpoint of a network that enlarges by bicubic interpolation alone."""
    name = "fsrcnn:scale=2:features=4:shrunk=4:layers=1"
    description = Description(
        model=name,
        channels=1,
        size=32,
        classes=(),
        mean=(0.0,),
        std=(1.0,),
        data={"title": "none", "fingerprint": ""},
        training={},
        task="sr",
    )
    model = build(name, channels=1)
    for parameter in model.enlarge.parameters():
        nn.init.zeros_(parameter)
    save_checkpoint(tmp_path / "own.safetensors", model, description)
    return str(tmp_path / "own.safetensors")


def run(*arguments):
    return CliRunner().invoke(app, [str(one) for one in arguments])


def test_a_folder_of_mixed_files(tmp_path, network):
    given = tmp_path / "in"
    given.mkdir()
    for i, mode in enumerate(("L", "RGB", "RGBA")):
        Image.fromarray(np.full((20, 24, 3), 90, np.uint8)).convert(mode).save(given / f"{i}.png")
    (given / "bad.png").write_text("no picture")
    done = run("restore", given, tmp_path / "out", "--task", "sr2", "--checkpoint", network)
    assert done.exit_code == 1
    assert "3 of 4 pictures restored" in done.output
    assert "bad.png: bad.png is not a PNG" in done.output
    for i, mode in enumerate(("L", "RGB", "RGB")):
        with Image.open(tmp_path / "out" / f"{i}.png") as image:
            assert (image.size, image.mode) == ((48, 40), mode)
            assert np.abs(np.asarray(image).astype(int) - 90).max() <= 1


def test_wrong_options_are_told(tmp_path, network):
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(tmp_path / "a.png")
    for extra, message in (
        (["--task", "sharpen"], "no task `sharpen`"),
        (["--task", "sr3", "--checkpoint", network], "not for sr3"),
        (["--task", "sr2", "--mask", tmp_path / "a.png"], "--mask is for --task inpaint"),
    ):
        done = run("restore", tmp_path / "a.png", tmp_path / "b.png", *extra)
        assert isinstance(done.exception, SettingError)
        assert message in str(done.exception)


def test_training_is_listed_with_the_options_of_its_recipe():
    words = run("train-restoration", "--help").output
    assert "--steps-per-epoch" in words
    assert "train-restoration" in run("--help").output


def checkpoint(path, task, model, classes=(), size=32):
    """A network with random weights."""
    torch.manual_seed(0)
    description = Description(
        model=model,
        channels=3,
        size=size,
        classes=classes,
        mean=(0.5,) * 3,
        std=(0.25,) * 3,
        data={"title": "none", "fingerprint": ""},
        training={},
        task=task,
    )
    save_checkpoint(path, build(model, channels=3, classes=len(classes), size=size), description)
    return path


def test_segments_a_folder_and_says_which_colour_is_which_class(tmp_path):
    given, model = tmp_path / "in", "segmenter:widths=4,4,4,4"
    own = checkpoint(tmp_path / "s.safetensors", "segment", model, ("cat", "dog"))
    given.mkdir()
    Image.fromarray(np.full((40, 30, 3), 90, np.uint8)).save(given / "a.jpg")
    (given / "bad.png").write_text("no picture")
    done = run("segment", given, tmp_path / "out", "--checkpoint", own)
    assert done.exit_code == 1
    assert "1 of 2 pictures segmented" in done.output
    assert "bad.png: bad.png is not a PNG" in done.output
    with Image.open(tmp_path / "out" / "a.png") as image:
        assert (image.size, image.mode) == ((30, 40), "P")
        colours = {bytes(colour).hex() for _, colour in image.convert("RGB").getcolors()}
    legend = {line.split()[1]: line.split()[2] for line in done.output.splitlines()[:2]}
    assert set(legend.values()) == {"cat", "dog"}
    assert {f"#{colour}" for colour in colours} <= set(legend)
    refused = run("segment", given / "a.jpg", tmp_path / "b.jpg", "--checkpoint", own)
    assert "ends in .png" in str(refused.exception)
    refused = run("restore", given, tmp_path / "c", "--task", "denoise", "--checkpoint", own)
    assert "does not restore pictures" in str(refused.exception)


def test_generates_a_sheet_or_a_folder_of_the_same_pictures(tmp_path):
    own = checkpoint(tmp_path / "g.safetensors", "generate", "vae:latent=4:width=4", size=16)
    common = ("--count", 5, "--checkpoint", own)
    assert run("generate", tmp_path / "sheet.png", *common, "--enlarge", 2).exit_code == 0
    assert run("generate", tmp_path / "each", *common).exit_code == 0
    assert run("generate", tmp_path / "others", *common, "--seed", 1).exit_code == 0
    each = [np.asarray(Image.open(path)) for path in sorted((tmp_path / "each").iterdir())]
    assert [one.shape for one in each] == [(16, 16, 3)] * 5
    with Image.open(tmp_path / "sheet.png") as image:
        sheet = np.asarray(image.convert("RGB"))
    assert np.array_equal(sheet[:32:2, 33:65:2], each[1])  # three in a row, a pixel between
    other = np.asarray(Image.open(tmp_path / "others" / "0000.png"))
    assert not np.array_equal(other, each[0])
    again = run("generate", tmp_path / "sheet.png", "--data", "faces", "--checkpoint", own)
    assert "there are mnist, cifar10" in str(again.exception)


@pytest.mark.parametrize(
    "words", [["restore", "A", "B", "--task", "sr2"], ["segment", "A", "B"], ["generate", "B"]]
)
def test_without_a_network_the_command_says_how_to_train_one(tmp_path, monkeypatch, words):
    monkeypatch.setattr(shipped, "demo_folder", lambda: tmp_path / "empty")
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(tmp_path / "A", "PNG")
    monkeypatch.chdir(tmp_path)
    message = str(run(*words).exception)
    assert "comes with this version; train one with `deconvviz train-restoration`" in message
