"""What torchvision and timm have, without making it."""

import pytest
import torch

from deconvviz.deconv import Deconvnet
from deconvviz.errors import UnknownModelError
from deconvviz.io.zoo import load
from deconvviz.io.zoo.library import (
    check_name,
    fetch,
    library_names,
    parameters,
    stored_weights,
    without_values,
)

SMALL = "torchvision/squeezenet1_1"


@pytest.fixture
def checkpoints(tmp_path, monkeypatch):
    """torchvision's folder of weights, empty."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


def test_names_are_those_of_networks_for_pictures():
    names = library_names()
    assert {"torchvision/resnet18", "torchvision/vgg16", SMALL} <= set(names)
    assert not {"torchvision/r3d_18", "torchvision/raft_small"} & set(names)
    assert len(names) == len(set(names))
    for name in ("torchvision/resnet18",):
        check_name(name)
    for name in ("torchvision/resnet19", "torchvision/", "torchvision/../x", "nobody/resnet18"):
        with pytest.raises(UnknownModelError):
            check_name(name)


def test_timms_networks_are_named_with_and_without_their_weights():
    pytest.importorskip("timm", reason="timm, an optional extra, is not installed")
    assert "timm/resnet10t" in library_names()
    check_name("timm/resnet18.a1_in1k")
    with pytest.raises(UnknownModelError):
        check_name("timm/resnet18.nobody")


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "ssdlite320_mobilenet_v3_large"])
def test_parameters_are_counted_and_layers_named_without_values(name):
    made = load(f"torchvision/{name}", weights=None)
    empty = without_values(f"torchvision/{name}")
    assert all(one.is_meta for one in empty.model.parameters())
    assert parameters(f"torchvision/{name}") == sum(p.numel() for p in made.model.parameters())
    traced = Deconvnet(empty.model, empty.input_size)
    assert traced.projectable == Deconvnet(made.model, made.input_size, check=False).projectable
    assert traced.projectable >= set(traced.default_layers)


def test_weights_are_found_where_the_library_looks(checkpoints):
    from torchvision.models import SqueezeNet1_1_Weights, squeezenet1_1

    size = SqueezeNet1_1_Weights.DEFAULT.meta["_file_size"]
    assert (stored_weights(SMALL).on_disk, stored_weights(SMALL).megabytes) == (False, size)
    torch.save(squeezenet1_1().state_dict(), checkpoints / "squeezenet1_1-b8a52dc0.pth")
    assert stored_weights(SMALL).on_disk


def test_fetched_weights_are_the_ones_that_are_loaded(checkpoints, tmp_path, monkeypatch):
    """A file on this machine stands for the library's server; its digest is not its name's."""
    from torchvision.models import SqueezeNet1_1_Weights, squeezenet1_1

    from deconvviz.io.zoo import download

    model, here, seen = squeezenet1_1().eval(), tmp_path / "theirs.pth", []
    torch.save(model.state_dict(), here)
    monkeypatch.setattr(SqueezeNet1_1_Weights.DEFAULT.value, "url", f"{here.as_uri()}")
    fetch(SMALL, lambda *step: seen.append(step))
    assert seen[-1][1:] == (here.stat().st_size,) * 2
    monkeypatch.setattr(download, "urlopen", None)  # nothing is fetched twice
    fetch(SMALL, lambda *_: None)
    images = torch.rand(1, 3, 224, 224)
    assert torch.equal(load(SMALL).model(images), model(images))


def test_timms_weights_on_the_disk_are_read_without_asking_its_server(tmp_path, monkeypatch):
    timm = pytest.importorskip("timm", reason="timm, an optional extra, is not installed")
    import huggingface_hub
    from safetensors.torch import save_file

    model, file = timm.create_model("resnet10t").eval(), tmp_path / "model.safetensors"
    save_file(model.state_dict(), file)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: str(file))
    for name in ("hf_hub_download", "load_state_dict_from_hf"):
        if hasattr(timm.models._hub, name):
            monkeypatch.setattr(timm.models._hub, name, None)
    assert stored_weights("timm/resnet10t").on_disk
    images = torch.rand(1, 3, 64, 64)
    assert torch.equal(load("timm/resnet10t").model(images), model(images))


@pytest.mark.slow
def test_every_network_of_torchvision_is_counted_without_values():
    for name in library_names():
        if name.startswith("torchvision/"):
            assert parameters(name) > 0
