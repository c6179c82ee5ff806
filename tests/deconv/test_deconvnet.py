"""The model is only read: by one thread or several, in success and in failure."""

import copy
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import nn

from deconvviz.deconv import Deconvnet, Selection
from deconvviz.errors import DeconvvizError, TraceError
from tests.deconv.comparing import fingerprint
from tests.deconv.networks import deconvnet, images_for, network

RULES = ("deconvnet", "guided", "gradient")


@pytest.fixture
def training_model() -> nn.Module:
    """In training mode, with gradients, a frozen part, a hook and channels-last weights."""
    model: Any = copy.deepcopy(network("average")).train().to(memory_format=torch.channels_last)
    model(images_for("average")).sum().backward()
    model[0].requires_grad_(False)
    model[1].eval()
    model.seen = []
    model[0].register_forward_hook(lambda *given: model.seen.append(given))
    return model


def test_a_model_is_only_read(training_model: nn.Module) -> None:
    before = fingerprint(training_model)
    state = {name: t.clone() for name, t in training_model.state_dict().items()}
    gradients = {n: p.grad.clone() for n, p in training_model.named_parameters()}
    net = Deconvnet(training_model, (3, 24, 40))
    images = images_for("average").requires_grad_()
    recording = net.record(images, ["2.5", "5"])
    for rule in RULES:
        net.project(recording, recording.strongest("2.5", 2), rule)
        net.project(recording, recording.strongest("5", 1), rule)
    for refused in (
        lambda: net.record(images, ["conv9"]),
        lambda: net.record(images[:, :1]),
        lambda: net.record(images[..., :3]),
        lambda: net.project(recording, Selection("5", 0, 10, 0, 0)),
        lambda: Deconvnet(training_model, (4, 32, 32)),
    ):
        with pytest.raises(DeconvvizError):
            refused()
    assert fingerprint(training_model) == before
    assert not training_model.seen
    assert all(torch.equal(t, state[n]) for n, t in training_model.state_dict().items())
    assert all(torch.equal(p.grad, gradients[n]) for n, p in training_model.named_parameters())
    assert images.grad is None
    assert not recording["5"].requires_grad


def test_a_training_model_is_read_as_if_in_evaluation(training_model: nn.Module) -> None:
    evaluated = Deconvnet(copy.deepcopy(training_model).eval(), (3, 24, 40))
    training, images = Deconvnet(training_model, (3, 24, 40)), images_for("average")
    one, other = training.record(images, ["5"]), evaluated.record(images, ["5"])
    assert torch.equal(one["5"], other["5"])
    assert torch.equal(one.strongest("5").channel, other.strongest("5").channel)


def test_threads_with_different_rules_get_what_one_thread_gets() -> None:
    net, images = deconvnet("average"), images_for("average", 4)
    layer, wrong = "2.5", []

    def work(rule: str) -> torch.Tensor:
        recording = net.record(images, [layer])
        return net.project(recording, recording.strongest(layer, 3), rule).full()

    alone = {rule: work(rule) for rule in RULES}

    def repeat(rule: str) -> None:
        wrong.extend(rule for _ in range(5) if not torch.allclose(work(rule), alone[rule], 1e-10))

    threads = [threading.Thread(target=repeat, args=(rule,)) for rule in RULES]
    threads.append(threading.Thread(target=lambda: Deconvnet(net.model, (3, 24, 40))))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert not torch.allclose(alone["deconvnet"], alone["guided"])


def test_building_two_at_once_disturbs_nothing_and_nothing_disturbs_it() -> None:
    """While both models run forward, and one is projected from."""
    families = {"average": "2.5", "odd": "7"}
    images = {family: images_for(family) for family in families}
    outputs = {family: network(family)(images[family]).detach() for family in families}

    def project(net: Deconvnet, family: str) -> torch.Tensor:
        recording = net.record(images[family], [families[family]])
        return net.project(recording, recording.strongest(families[family], 2), "guided").full()

    alone = {family: project(deconvnet(family), family) for family in families}

    def run(family: str) -> bool:
        right = True
        while not all(building.done() for building in builders):
            with torch.no_grad():
                right &= torch.allclose(network(family)(images[family]), outputs[family], 1e-10)
            right &= torch.allclose(project(deconvnet("average"), "average"), alone["average"])
        return right

    with ThreadPoolExecutor(4) as pool:
        builders = [
            pool.submit(Deconvnet, network(family), tuple(images[family].shape[1:]))
            for family in families
        ]
        assert all(pool.map(run, families))
    for family, built in zip(families, builders, strict=True):
        torch.testing.assert_close(project(built.result(), family), alone[family])


def test_reading_another_model_of_the_same_structure() -> None:
    net, images = deconvnet("average"), images_for("average")
    snapshot = copy.deepcopy(network("average"))
    nn.init.normal_(snapshot[5].weight)
    other = net.with_model(snapshot)
    units = Selection("5", 0, 1, 0, 0)
    ours = other.project(other.record(images, ["5"]), units, "guided").pixels
    fresh = Deconvnet(snapshot, (3, 24, 40))
    truth = fresh.project(fresh.record(images, ["5"]), units, "guided").pixels
    assert torch.equal(ours, truth)
    assert other.layers == net.layers
    with pytest.raises(TraceError, match=r"`0.0.weight` is \(16, 3, 3, 3\) here, but the other"):
        net.with_model(network("demo"))


def test_a_network_of_one_channel() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3)).eval()
    net = Deconvnet(model, (1, 12, 12))
    recording = net.record(torch.randn(2, 1, 12, 12), ["2"])
    assert net.project(recording, Selection("2", [0, 1], 0, 4, 4)).pixels.shape == (2, 1, 5, 5)


def test_a_network_without_weights() -> None:
    net = Deconvnet(nn.Sequential(nn.MaxPool2d(2), nn.ReLU()), (3, 8, 8))
    recording = net.record(torch.rand(1, 3, 8, 8), ["1"])
    projection = net.project(recording, Selection("1", 0, 1, 2, 3), "gradient")
    top, left = projection.boxes[0, :2].tolist()
    assert (top, left) == (4, 6)
    assert int((projection.pixels != 0).sum()) == 1
