"""Class scores of networks that end in an operation and not in a layer."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from deconvviz.analysis.contributions import ClassScores
from deconvviz.analysis.scores import probabilities, score_maps
from deconvviz.analysis.why import WhyOptions, why
from deconvviz.deconv import Deconvnet
from deconvviz.errors import SelectionError
from deconvviz.io.bundle import Bundle

SIZE = 10
HEAD = {
    "log_softmax": lambda y: functional.log_softmax(y, 1),
    "softmax": lambda y: y.softmax(-1),
    "view": lambda y: y.view(-1, 4),
    "view and softmax": lambda y: y.view(y.shape[0], 2, 2).flatten(1).softmax(1),
    "softmax and view": lambda y: y.softmax(1).reshape(-1, 4),
    "maps of one place": lambda y: y[:, :, None, None].softmax(1).flatten(1),
    "squeezed": lambda y: y[:, :, None, None].squeeze(3).squeeze(2),
    "layer": lambda y: y,
}


class Net(nn.Module):
    """A linear head, and an operation after it."""

    def __init__(self, end):
        super().__init__()
        torch.manual_seed(2)
        self.low = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU())
        self.fc = nn.Linear(5, 4)
        self.end = end

    def logits(self, maps):
        return self.fc(maps.mean((2, 3)))

    def forward(self, x):
        return self.end(self.logits(self.low(x)))


def images(count=3):
    return torch.randn(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(7))


def made(end):
    return Deconvnet(Net(end).eval(), (3, SIZE, SIZE))


@pytest.mark.parametrize("name", HEAD)
def test_scores_are_the_values_before_what_turns_them_into_probabilities(name):
    net = made(HEAD[name])
    model = ClassScores(net, images(1))
    with torch.no_grad():
        maps = net.model.low(images())
        wanted = net.model.logits(maps)
    assert torch.allclose(model.without(images(), {}), wanted, atol=1e-6)
    added = model.contributions(images(), "low", 1).sum((2, 3))
    assert torch.allclose(added.sum(1), wanted[:, 1] - net.model.fc.bias[1], atol=1e-5)
    for unit in range(5):  # exact below a linear head
        cut = maps.clone()
        cut[:, unit] = 0
        lost = (wanted - net.model.logits(cut))[:, 1]
        assert torch.allclose(added[:, unit], lost, atol=1e-5)


def test_an_answer_is_explained_alike_with_and_without_a_softmax():
    found = []
    for name in ("layer", "log_softmax", "softmax"):
        net = made(HEAD[name])
        bundle = Bundle.of(net.model, (3, SIZE, SIZE), (0.5,) * 3, (0.25,) * 3, name=name)
        found.append(why(bundle, images()[0], WhyOptions(layer="low"), net=net))
    for other in found[1:]:
        assert (other.label, other.against, other.named) == (
            found[0].label,
            found[0].against,
            found[0].named,
        )
        assert torch.allclose(other.contribution, found[0].contribution, atol=1e-6)
        assert torch.allclose(other.probability, found[0].probability, atol=1e-6)
        assert torch.allclose(other.effect, found[0].effect, atol=1e-6)


def test_a_softmax_below_the_last_layer_stays():
    class Mixed(Net):
        def logits(self, maps):
            return self.fc(maps.mean((2, 3)).softmax(1))

    net = Deconvnet(Mixed(lambda y: y).eval(), (3, SIZE, SIZE))
    with torch.no_grad():
        assert torch.allclose(score_maps(net, images())(images()), net.model(images()), atol=1e-6)


def test_an_end_that_is_no_softmax_over_classes_is_a_part_of_the_score():
    ends = (lambda y: y / 3 + 1, lambda y: y.sigmoid(), lambda y: y.softmax(1).log())
    for net in map(made, ends):
        with torch.no_grad():
            found = score_maps(net, images())(images())
            assert torch.allclose(found, net.model(images()), atol=1e-6)


@pytest.mark.parametrize(
    ("end", "message"),
    [
        (lambda y: y.view(-1, 2, 2), r"returns \(2, 2\) and no score for each class"),
        (lambda y: y[:, :, None, None].expand(-1, -1, 2, 2), r"maps, \(4, 2, 2\)"),
        (lambda y: (y, y), "returns a tuple and no tensor"),
        (lambda y: {"out": y}, "returns a dict and no tensor"),
        (lambda y: y.softmax(0), "is over the pictures"),
        (lambda y: y.sum(1), r"returns \(\) and no score"),
    ],
)
def test_what_is_no_score_for_each_class_is_refused(end, message):
    with pytest.raises(SelectionError, match=message):
        score_maps(made(end), images(2))


@pytest.mark.parametrize("name", ["layer", "softmax", "log_softmax"])
def test_probabilities_are_those_of_the_scores_whatever_the_network_ends_in(name):
    model = Net(HEAD[name]).eval()
    with torch.no_grad():
        wanted = model.logits(model.low(images())).softmax(1)
        assert torch.allclose(probabilities(model(images())), wanted, atol=1e-6)
