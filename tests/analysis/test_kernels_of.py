"""The kernels that a network applies, normalisation included."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from deconvviz.analysis.kernels import kernels_of
from deconvviz.deconv import Deconvnet
from deconvviz.errors import UnsupportedOperationError
from deconvviz.models import build


class OfItsOwn(nn.Conv2d):
    """A convolution that does not use its weights as they are."""

    def forward(self, x):
        return functional.conv2d(x, self.weight / self.weight.norm(), self.bias)


class Residual(nn.Module):
    """A convolution, and a block with a shortcut."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 5, 3, padding=1), nn.BatchNorm2d(5)
        self.conv2, self.bn2 = nn.Conv2d(5, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.conv3, self.bn3 = nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.down = nn.Conv2d(5, 6, 1)

    def forward(self, x):
        x = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(x)).relu()
        return (self.bn3(self.conv3(y)) + self.down(x)).relu()


def test_kernels_that_a_module_changes_before_it_uses_them_are_refused():
    net = Deconvnet(nn.Sequential(OfItsOwn(3, 4, 3), nn.ReLU()))
    with pytest.raises(UnsupportedOperationError, match="OfItsOwn"):
        kernels_of(net, "1")


def test_every_rectified_map_of_a_residual_network_has_its_kernels():
    """The first of a sum's convolutions, with the scale of the BatchNorm that follows that."""
    net = Deconvnet(Residual().eval(), (3, 16, 16))
    found = [kernels_of(net, layer) for layer in net.default_layers]
    names = [(one.convolution, one.scaled_by) for one in found]
    assert names == [("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3")]
    assert [len(one.weights) for one in found] == [5, 6, 6]


def test_kernels_without_normalisation_are_the_weights_and_the_strongest_hold_their_share():
    model = build("seed-cnn").eval()
    found = kernels_of(Deconvnet(model), "stage2.relu")
    assert found.scaled_by is None
    assert torch.equal(found.weights, model.stage2.conv.weight)
    maps, slices, share = found.strongest_slices(3, 10)
    energy = found.weights[3].square().sum((1, 2))
    assert maps == energy.argsort(descending=True)[:10].tolist()
    assert torch.equal(slices[:, 0], found.weights[3, maps])
    assert share == pytest.approx(float(energy[maps].sum() / energy.sum()))
    assert found.strongest_slices(3, 10**6)[2] == pytest.approx(1)
