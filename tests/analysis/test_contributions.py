"""Contributions of units to a class score, held against switching the units off."""

import pytest
import torch
from torch import nn

from deconvviz.analysis.contributions import contributions
from deconvviz.deconv import Deconvnet
from deconvviz.errors import SelectionError


class Net(nn.Module):
    """Two layers, and a head that is linear in the second."""

    def __init__(self):
        super().__init__()
        self.low = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(inplace=True))
        self.high = nn.Sequential(nn.Conv2d(5, 6, 3), nn.ReLU(inplace=True))
        self.head = nn.Linear(6, 4)
        self.off: tuple[str, int] | None = None

    def forward(self, x):
        x = self.low(x)
        x = self.cut("low", x)
        x = self.cut("high", self.high(x))
        return self.head(x.mean((2, 3)))

    def cut(self, name, maps):
        if self.off and self.off[0] == name:
            keep = torch.ones(maps.shape[1])
            keep[self.off[1]] = 0
            maps = maps * keep[:, None, None]
        return maps


@pytest.fixture
def net():
    torch.manual_seed(3)
    return Deconvnet(Net().eval(), (3, 12, 12))


@pytest.fixture
def image():
    return torch.randn(1, 3, 12, 12, generator=torch.Generator().manual_seed(4))


def test_below_a_linear_head_it_is_what_the_score_loses_without_the_unit(net, image):
    found = contributions(net, image, "high", "head", 2)
    model = net.model
    score = model(image)[0, 2]
    assert torch.allclose(found.sum(), score - model.head.bias[2], atol=1e-5)
    for channel in range(6):
        model.off = "high", channel
        lost = score - model(image)[0, 2]
        model.off = None
        assert torch.allclose(found[channel].sum(), lost, atol=1e-5)


def test_lower_down_it_is_so_to_first_order(net, image):
    found = contributions(net, image, "low", "head", 1).double()
    model = net.model.double()
    image = image.double()
    with torch.no_grad():
        maps = model.low(image)
        for channel in range(5):
            step = torch.zeros_like(maps)
            step[:, channel] = 1e-6 * maps[:, channel]
            moved = [model.head(model.high(maps + s).mean((2, 3)))[0, 1] for s in (step, -step)]
            slope = (moved[0] - moved[1]) / 2e-6
            assert torch.allclose(found[channel].sum(), slope, atol=1e-5)


def test_the_image_and_its_cache_stay_as_they_are(net, image):
    before = image.clone()
    contributions(net, image, "low", "head", 0)
    assert torch.equal(image, before)
    assert not image.requires_grad


def test_a_layer_above_the_score_is_refused(net, image):
    with pytest.raises(SelectionError, match="does not depend"):
        contributions(net, image, "head", "high", 0)
