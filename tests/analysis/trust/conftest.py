"""Networks whose answers are known, and the demo."""

import pytest
import torch
from torch import nn

from deconvviz.deconv import Deconvnet, Selection
from deconvviz.io.images import photograph
from deconvviz.io.zoo import load


@pytest.fixture(scope="session")
def demo():
    """The demo's deconvnet and the cat as it is given it."""
    bundle = load("demo")
    cat = bundle.preprocess(photograph("cat").image)
    return Deconvnet(bundle.model, bundle.input_size), cat


@pytest.fixture(scope="session")
def identity():
    """A network that does nothing: one kernel of one pixel, whose only weight is one."""
    model = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False))
    with torch.no_grad():
        model[0].weight.fill_(1)
    return Deconvnet(model, (1, 16, 16))


@pytest.fixture(scope="session")
def blob():
    """(1, 16, 16): a bright disc on a dark ground, without a pixel of zero."""
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    radius = ((y - 7) ** 2 + (x - 9) ** 2).sqrt()
    return (4 * torch.sigmoid(5 - radius) + 0.1 + 0.001 * (16 * y + x) / 16)[None]


def whole_map(layer, size, channel=0):
    """All units of one map, which start together."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return Selection(layer, 0, channel, y.flatten(), x.flatten(), group=0)
