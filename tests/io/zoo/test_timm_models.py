"""timm's networks, with random weights: there is no network here to fetch others."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image

from deconvviz.deconv import Deconvnet
from deconvviz.errors import CheckpointError, SettingError, UnknownModelError
from deconvviz.io.zoo import load


def test_without_timm_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(SettingError, match=r"pip install 'deconvviz\[timm\]'"):
        load("timm/resnet10t")


@pytest.fixture
def timm():
    return pytest.importorskip("timm", reason="timm, an optional extra, is not installed")


def test_a_picture_is_taken_as_timm_takes_it(timm):
    bundle = load("timm/resnet10t", weights=None)
    config = timm.data.resolve_model_data_config(bundle.model)
    theirs = timm.data.create_transform(**config, is_training=False)
    pixels = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    assert torch.allclose(bundle.preprocess(picture), theirs(picture), atol=1e-5)
    assert bundle.summary == ("random weights, not trained",)
    assert Deconvnet(bundle.model, (3, 64, 64)).coverage.unsupported == ()


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        (
            "resnet19",
            {},
            UnknownModelError,
            "no network `resnet19` for pictures; similar: resnet1",
        ),
        ("resnet18.nobody", {}, UnknownModelError, "no network `resnet18.nobody`"),
        ("resnet18", {"weights": "nobody"}, UnknownModelError, "no network `resnet18.nobody`"),
        ("efficientnet_b6", {}, UnknownModelError, "no weights for `efficientnet_b6`"),
        ("resnet10t", {}, CheckpointError, "not on this machine; allow the download"),
    ],
)
def test_what_is_not_there_is_named(timm, monkeypatch, tmp_path, name, options, error, message):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    with pytest.raises(error, match=message):
        load(f"timm/{name}", **options)
