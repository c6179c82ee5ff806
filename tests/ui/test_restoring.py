"""Networks of the page Restore: which there are, and the commands that train others."""

import shlex

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from deconvviz import restoration
from deconvviz.cli import app
from deconvviz.errors import PictureError
from deconvviz.io.images import open_picture, to_png
from deconvviz.networks import architecture, build
from deconvviz.restoration import shipped
from deconvviz.restoration.train import RestorationRun
from deconvviz.ui.restoring import TITLES, Mask, pixels_of, tools, untrained


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package without networks."""
    monkeypatch.setattr(shipped, "demo_folder", lambda: tmp_path)
    monkeypatch.setattr("sys.argv", ["app.py"])
    return tmp_path


def test_what_the_package_has_is_offered_and_the_rest_has_a_command(package):
    assert tools() == {}
    assert list(untrained()) == list(TITLES.values())
    for name in ("sr3", "denoise-grey"):
        (package / f"{name}.safetensors").touch()
    assert list(tools()) == ["Enlarge ×3"]  # denoising needs another one, for colour
    (package / "denoise-colour.safetensors").touch()
    assert list(tools()) == ["Denoise", "Enlarge ×3"]
    assert set(untrained()) == set(TITLES.values()) - set(tools())


@pytest.mark.parametrize("purpose", TITLES)
def test_the_command_trains_a_network_for_its_purpose(package, monkeypatch, tmp_path, purpose):
    trained = []

    def train(recipe, out, **_):
        trained.append((recipe, out))
        return RestorationRun(out, recipe.epochs, {})

    monkeypatch.setattr(restoration, "train_restoration", train)
    program, *words = shlex.split(untrained()[TITLES[purpose]])
    assert program == "deconvviz"
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    ((recipe, out),) = trained
    assert out.name == purpose
    channels = recipe.channels + (recipe.task == "inpaint")
    made = architecture(recipe.network)
    assert recipe.patch % made.multiple == 0
    net = build(recipe.network, channels=channels, classes=11, size=recipe.patch)
    net(torch.zeros(1, channels, recipe.patch, recipe.patch))
    if purpose.startswith("generate"):
        assert purpose == f"generate-{recipe.pictures}"
        assert recipe.loss in ("cross-entropy", "l2")
        assert recipe.patch == {"mnist": 28, "cifar10": 32}[recipe.pictures]
    elif purpose.startswith("sr"):
        assert (recipe.task, made.enlarges) == ("sr", int(purpose[2:]))
    else:
        assert recipe.task == purpose


def test_grey_pictures_are_grey_and_large_ones_reduced(noise):
    assert pixels_of(noise).shape == (3, 44, 60)
    assert pixels_of(noise, 30).shape == (3, 22, 30)
    grey = open_picture(to_png(noise.image.convert("L")), "grey.png")
    assert pixels_of(grey).shape == (1, 44, 60)


def test_a_mask_fits_a_reduced_picture_of_its_proportions():
    missing = torch.zeros(40, 60, dtype=torch.bool)
    missing[:20, 30:] = True
    mask = Mask("key", missing)
    half = mask.of_size(20, 30)
    assert torch.equal(half, missing[::2, ::2])
    with pytest.raises(PictureError, match="60 x 40 pixels, and the picture 40 x 40"):
        mask.of_size(40, 40)
    assert Image.fromarray(half.numpy()).size == (30, 20)
