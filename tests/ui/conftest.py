"""A small network, a small picture, and a quick start of scripts."""

import pytest
import torch
from PIL import Image

from deconvviz.deconv import Deconvnet
from deconvviz.io.bundle import Bundle
from deconvviz.io.checkpoint import Checkpoint, Description
from deconvviz.io.images import open_picture, to_png
from deconvviz.ui.networks import Network


@pytest.fixture(scope="session", autouse=True)
def no_component_scan():
    """Every AppTest would read the metadata of all installed packages, for half a second."""
    with pytest.MonkeyPatch.context() as patch:
        scanner = "streamlit.components.v2.manifest_scanner.scan_component_manifests"
        patch.setattr(scanner, list)
        yield


def described(model, **training):
    return Description(
        model=model,
        channels=3,
        size=32,
        classes=("one", "two", "three"),
        mean=(0.5, 0.4, 0.3),
        std=(0.2, 0.25, 0.3),
        data={"title": "nothing", "fingerprint": "0" * 64},
        training=training,
    )


@pytest.fixture(scope="session")
def make_network():
    def make(model="vgg", **training):
        torch.manual_seed(0)
        description = described(model, **training)
        net = description.build().eval()
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2)
                torch.nn.init.normal_(module.weight)
        checkpoint = Checkpoint(description, net.state_dict(), model.ljust(64, "0"))
        bundle = Bundle.from_checkpoint(model, checkpoint)
        return Network(bundle, Deconvnet(bundle.model, (3, 32, 32)))

    return make


@pytest.fixture(scope="session")
def network(make_network):
    return make_network("vgg")


@pytest.fixture(scope="session")
def noise():
    """A picture of 60 x 44 random pixels."""
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (44, 60, 3), generator=generator, dtype=torch.uint8)
    return open_picture(to_png(Image.fromarray(pixels.numpy())), "noise.png")
