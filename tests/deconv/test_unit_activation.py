"""Units as a function of images, against what was recorded and against autograd."""

import pytest
import torch

from deconvviz.deconv import Deconvnet, Selection
from deconvviz.deconv.unit_activation import UnitActivation, layer_below
from deconvviz.models import seed_cnn
from tests.deconv.networks import deconvnet, images_for


@pytest.mark.parametrize("name", ["demo", "odd", "lraspp", "convnext"])
def test_a_unit_is_a_function_that_gives_what_was_recorded(name):
    net, images = deconvnet(name), images_for(name)
    layer = list(net.layers)[-1]
    recording = net.record(images, [layer])
    maps = recording[layer]
    channels, y, x = [0, 1], maps.shape[2] - 1, maps.shape[3] - 1
    selection = Selection(layer, 0, channels, y, x, group=0, weight=[1, -2])
    ours = UnitActivation(net.model, recording.tape, selection)(images)
    expected = maps[:, 0, y, x] - 2 * maps[:, 1, y, x]
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


def test_gradients_of_a_unit_are_autograds():
    torch.manual_seed(1)
    model = seed_cnn().double().eval()
    net = Deconvnet(model)
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64, requires_grad=True)
    recording = net.record(images, ["head.logits"])
    selection = Selection("head.logits", 0, 3, 0, 0)
    unit = UnitActivation(model, recording.tape, selection, through="stage2.relu")
    (ours,) = torch.autograd.grad(unit(images).sum(), images)
    (expected,) = torch.autograd.grad(model(images)[:, 3].sum(), images)
    torch.testing.assert_close(ours, expected)
    assert not list(unit.parameters())


def test_the_layer_below_is_the_nearest_that_is_no_alias():
    net = deconvnet("demo")
    tape, layers = net._tape, net.default_layers
    assert layer_below(tape, "head.logits", layers) == "stage3.relu2"
    assert layer_below(tape, "stage3", layers) == "stage3.relu1"
    assert layer_below(tape, "stage2.conv2", layers) == "stage2.relu1"
    assert layer_below(tape, "stage1.relu1", layers) is None
