"""`deconvviz restore` and `train-restoration`, as a person types them."""

import numpy as np
import pytest
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from deconvviz.cli import app
from deconvviz.errors import SettingError
from deconvviz.io.checkpoint import Description, save_checkpoint
from deconvviz.networks import build


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
    told = run("train-restoration", "--help").output
    assert "--steps-per-epoch" in told
    assert "train-restoration" in run("--help").output
