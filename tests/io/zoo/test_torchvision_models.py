"""torchvision's networks. No network here: files in torchvision's cache stand for its weights."""

import numpy as np
import pytest
import torch
from PIL import Image

from deconvviz.deconv import Deconvnet
from deconvviz.errors import CheckpointError, UnknownModelError
from deconvviz.io.zoo import load

SMALL = "squeezenet1_1"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of torchvision's, and where it expects the weights of `SMALL`."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints" / "squeezenet1_1-b8a52dc0.pth"


@pytest.fixture(params=[True, False], ids=["zip", "before zip"])  # torchvision offers both forms
def stored(cache, request):
    from torchvision.models import squeezenet1_1

    model = squeezenet1_1(weights=None).eval()
    torch.save(model.state_dict(), cache, _use_new_zipfile_serialization=request.param)
    return model


def picture(width=300, height=200):
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_weights_transforms_and_classes_are_torchvisions_own(stored):
    from torchvision.models import SqueezeNet1_1_Weights

    bundle, weights = load(f"torchvision/{SMALL}"), SqueezeNet1_1_Weights.DEFAULT
    images = weights.transforms()(picture())[None]
    assert torch.allclose(bundle.preprocess(picture())[None], images, atol=1e-5)
    assert torch.equal(bundle.model(images), stored(images))
    assert bundle.classes == tuple(weights.meta["categories"])
    assert bundle.input_size == (3, 224, 224)
    assert not bundle.model.training
    assert "acc@1: **58.178**" in bundle.summary[1]
    assert "| ImageNet-1K, acc@5 | 80.624 (torchvision's figure) |" in bundle.card
    assert load(f"torchvision/{SMALL}", weights="IMAGENET1K_V1").sha256 == bundle.sha256


def test_weights_that_are_not_here_are_not_fetched_unasked(cache):
    with pytest.raises(CheckpointError, match=r"squeezenet1_1 \(5 MB, at .*allow the download"):
        load(f"torchvision/{SMALL}")
    assert list(cache.parent.iterdir()) == []


def test_a_machine_without_a_network_says_so(cache, monkeypatch):
    from urllib.error import URLError

    def offline(*_args, **_kwargs):
        raise URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "urlopen", offline)
    with pytest.raises(CheckpointError, match=r"cannot download.*Name or service not known"):
        load(f"torchvision/{SMALL}", download=True)


def test_damaged_weights_are_named(cache):
    cache.write_bytes(b"no pickle")
    with pytest.raises(CheckpointError, match=r"delete .*squeezenet1_1-b8a52dc0\.pth"):
        load(f"torchvision/{SMALL}")


def test_random_weights_need_no_file_and_say_what_they_are(cache):
    bundle = load(f"torchvision/{SMALL}", weights=None)
    assert bundle.summary == ("random weights, not trained",)
    assert bundle.classes == ()
    assert bundle.preprocess(picture()).shape == (3, 224, 224)
    assert "not trained" in bundle.card


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        pytest.param("lraspp_mobilenet_v3_large", "classifier.cbr.2", marks=pytest.mark.slow),
        ("ssdlite320_mobilenet_v3_large", "features.0.0.2"),
    ],
)
def test_segmenters_come_whole_and_detectors_as_their_backbone(cache, name, layer):
    bundle = load(f"torchvision/{name}", weights=None)
    side = {"lraspp_mobilenet_v3_large": 224, "ssdlite320_mobilenet_v3_large": 320}[name]
    assert bundle.input_size == (3, side, side)
    assert layer in Deconvnet(bundle.model, bundle.input_size).layers


@pytest.mark.parametrize(
    ("name", "weights", "message"),
    [
        ("resnet19", "default", "no network `resnet19` for pictures; similar: resnet1"),
        ("r3d_18", "default", "no network `r3d_18`"),
        ("", "default", "no network ``"),
        (SMALL, "V9", "no weights `V9`; it has IMAGENET1K_V1"),
    ],
)
def test_unknown_names_say_what_there_is(name, weights, message):
    with pytest.raises(UnknownModelError, match=message):
        load(f"torchvision/{name}", weights=weights)
