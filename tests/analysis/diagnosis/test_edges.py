"""Units that are edges, units that are none, and the windows that edges are counted in."""

import pytest
import torch
from torch import nn

from deconvviz.analysis.diagnosis.edges import _means, explained_by_edges, oriented_edges
from deconvviz.deconv import Deconvnet
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset

SOBEL = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8


def colours_and_edges():
    """An edge to the right, one downwards, red against the other colours, and a constant."""
    convolution = nn.Conv2d(3, 4, 3)
    with torch.no_grad():
        convolution.weight.zero_()
        convolution.weight[0] = SOBEL / 3
        convolution.weight[1] = SOBEL.T / 3
        convolution.weight[2, :, 1, 1] = torch.tensor([1.0, -0.5, -0.5])
        convolution.bias.copy_(torch.tensor([0.0, 0, 0, 1]))
    return Bundle.of(nn.Sequential(convolution, nn.ReLU()), (3, 16, 16))


@pytest.fixture
def noise():
    """Every pixel of a colour of its own."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (40, 3, 16, 16), generator=generator, dtype=torch.uint8)
    return Dataset(images, torch.zeros(40).long(), ("noise",), "noise")


def test_gradients_of_a_ramp_point_one_way():
    ramp = torch.arange(12.0).expand(1, 3, 8, 12)
    edges = oriented_edges(ramp)[0, :, 2:-2, 2:-2]
    expected = [1, 0.5**0.5, 0, 0, 0, 0, 0, 0.5**0.5]
    torch.testing.assert_close(edges.amax((1, 2)), torch.tensor(expected), atol=1e-6, rtol=0)
    torch.testing.assert_close(edges.amax((1, 2)), edges.amin((1, 2)))


def test_an_edge_detector_is_edges_and_a_colour_is_not(noise):
    """On noise: in real pictures colours lie beside edges. A window of 3 x 3 holds 9 gradients,
    hence its quarters' means say not all of the middle one."""
    bundle = colours_and_edges()
    net = Deconvnet(bundle.model, bundle.input_size)
    (share,) = explained_by_edges(net, bundle, noise, ["1"]).values()
    assert share[:2].min() > 0.6
    assert share[2] < 0.05
    assert share[3] == 0


def test_the_boxes_are_those_that_the_units_see():
    """Every mean, computed by hand in the window that `Layer` states."""
    net = Deconvnet(nn.Sequential(nn.Conv2d(3, 2, 5, 3, padding=1), nn.ReLU()), (3, 17, 20))
    layer = net.layers["1"]
    edges = torch.rand(1, 1, 17, 20, dtype=torch.float64)
    means = _means(edges, layer, layer.size, (0, 2), (3, 3))
    for y in range(layer.size[0]):
        for x in range(layer.size[1]):
            top, left = y * 3 - 1, x * 3 - 1 + 2
            window = [
                float(edges[0, 0, row, column])
                for row in range(top, top + 3)
                for column in range(left, left + 3)
                if 0 <= row < 17 and 0 <= column < 20
            ]
            assert float(means[0, 0, y, x]) == pytest.approx(sum(window) / 9)


def test_units_that_see_the_whole_picture_are_left_out(noise):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    bundle = Bundle.of(model, (3, 16, 16))
    net = Deconvnet(model, bundle.input_size)
    assert list(explained_by_edges(net, bundle, noise, ["1", "2"])) == ["1"]
