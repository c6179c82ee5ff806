"""Contributions of units to a class score, held against switching the units off."""

import pytest
import torch
from torch import nn

from deconvviz.analysis.contributions import ClassScores
from deconvviz.deconv import Deconvnet
from deconvviz.errors import SelectionError, UnknownLayerError


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


@pytest.fixture
def scores(net, image):
    return ClassScores(net, image)


def test_below_a_linear_head_it_is_what_the_score_loses_without_the_unit(net, scores, image):
    found = scores.contributions(image, "high", 2)[0]
    model = net.model
    score = model(image)[0, 2]
    assert torch.allclose(found.sum(), score - model.head.bias[2], atol=1e-5)
    for channel in range(6):
        model.off = "high", channel
        lost = score - model(image)[0, 2]
        model.off = None
        assert torch.allclose(found[channel].sum(), lost, atol=1e-5)


def test_lower_down_it_is_so_to_first_order(net, scores, image):
    found = scores.contributions(image, "low", 1)[0].double()
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


def test_a_difference_of_two_classes_is_the_difference_of_their_contributions(scores, image):
    first, second = (scores.contributions(image, "low", label) for label in (0, 3))
    both = scores.contributions(image, "low", 0, 3)
    assert torch.allclose(both, first - second, atol=1e-5)


def test_each_image_has_its_own_class(scores, image):
    images = torch.cat([image, image.flip(3)])
    found = scores.contributions(images, "low", torch.tensor([1, 2]), torch.tensor([0, 3]))
    for row, (label, against) in enumerate(((1, 0), (2, 3))):
        alone = scores.contributions(images[row : row + 1], "low", label, against)
        assert torch.allclose(found[row], alone[0], atol=1e-5)


@pytest.mark.parametrize("layer", ["low", "high"])
def test_scores_without_units_are_those_of_the_model_without_them(net, scores, image, layer):
    count = net.layers[layer].channels
    found = scores.effects(image, layer, 1, 2)
    whole = net.model(image)[0]
    for channel in range(count):
        net.model.off = layer, channel
        cut = net.model(image)[0]
        net.model.off = None
        assert torch.allclose(scores.without(image, {layer: [channel]})[0], cut, atol=1e-5)
        lost = (whole - cut)[1] - (whole - cut)[2]
        assert torch.allclose(found[channel], lost, atol=1e-5)


def test_units_of_two_layers_are_switched_off_together(net, scores, image):
    model = net.model
    with torch.no_grad():
        maps = model.low(image)
        maps[:, [0, 3]] = 0
        maps = model.high(maps)
        maps[:, 5] = 0
        wanted = model.head(maps.mean((2, 3)))
    assert torch.allclose(scores.without(image, {"low": [3, 0], "high": [5]}), wanted, atol=1e-5)
    assert torch.allclose(scores.without(image, {}), model(image), atol=1e-5)


def test_the_image_stays_as_it_is(scores, image):
    before = image.clone()
    scores.contributions(image, "low", 0)
    scores.without(image, {"low": [0]})
    assert torch.equal(image, before)
    assert not image.requires_grad


def test_units_and_layers_that_are_not_there_are_refused(net, image):
    scores = ClassScores(net, image)
    with pytest.raises(SelectionError, match="has no unit 5; it has 0 to 4"):
        scores.without(image, {"low": [5]})
    with pytest.raises(UnknownLayerError):
        scores.contributions(image, "nowhere", 0)


def test_a_model_that_returns_no_scores_is_refused(image):
    class Twice(Net):
        def forward(self, x):
            return super().forward(x), x

    with pytest.raises(SelectionError, match="returns a tuple and no tensor of class scores"):
        ClassScores(Deconvnet(Twice().eval(), (3, 12, 12)), image)


def test_a_model_that_returns_maps_is_refused(image):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3)).eval()
    with pytest.raises(SelectionError, match="returns maps"):
        ClassScores(Deconvnet(model, (3, 12, 12)), image)


def test_two_names_of_one_layer_are_switched_off_together(net, scores, image):
    names = [name for name in net.layers if name.startswith("low")]
    assert len(names) > 1  # the container, and its last operation
    both = scores.without(image, {names[0]: [0], names[1]: [3]})
    assert torch.allclose(both, scores.without(image, {"low": [0, 3]}), atol=1e-6)


def test_effects_of_a_large_layer_are_those_of_a_small_one(scores, image, monkeypatch):
    whole = scores.effects(image, "low", 1)
    monkeypatch.setattr("deconvviz.analysis.contributions._ACTIVATIONS", 1)
    assert torch.allclose(scores.effects(image, "low", 1), whole, atol=1e-6)
