"""What of a model its tape depends on: a change of it is noticed, all else is read anew."""

import types
from collections.abc import Callable
from threading import Event, Thread
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from deconvviz.deconv import Deconvnet
from deconvviz.errors import TraceError
from tests.deconv.comparing import check, deviation, images_of, output_of
from tests.deconv.small_networks import Net, plainly

# --- hooks and wrapped forward passes -------------------------------------------------------------


def ablated(model: Net) -> None:
    model.a.register_forward_hook(lambda _m, _i, output: output * model.plain)


def moved(model: Net) -> None:
    model.b.register_forward_pre_hook(lambda _m, inputs: (inputs[0] * 3 - 1,))


def named(model: Net) -> None:
    def hook(_module: nn.Module, _args: object, kwargs: Any, output: Tensor) -> Tensor:
        return output[:, [0]] * 2 - output

    model.a.register_forward_hook(hook, with_kwargs=True)


def wrapped(model: Net) -> None:
    inner = model.a.forward
    model.a.forward = lambda x: functional.leaky_relu(inner(x), 0.3) + 0.5


def replaced(model: Net) -> None:
    inner = model.a.forward
    method = types.MethodType(lambda _self, x: inner(x) * 2 - 0.5, model.a)
    model.a.forward = method


def bound(model: Net) -> None:
    class Half:
        share = 0.5

        def hook(self, _module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
            return output * self.share

    model.a.register_forward_hook(Half().hook)


@pytest.mark.parametrize("change", [ablated, moved, named, wrapped, replaced, bound])
def test_hooks_and_wrapped_forward_passes_are_a_part_of_the_model(
    change: Callable[[Net], None],
) -> None:
    model, images = Net(plainly), images_of()
    before = Deconvnet(model, (3, 18, 21))
    untouched = before.record(images, ["b"])["b"]
    change(model)
    if change is named:  # picks a channel by an index, which has no adjoint yet
        recording = Deconvnet(model, (3, 18, 21)).record(images, ["b"])
        assert deviation(recording["b"], output_of(model, "b", images)) < 1e-10
    else:
        check(model, "b", images)
    assert deviation(output_of(model, "b", images), untouched) > 1e-3
    with pytest.raises(TraceError, match=r"of `[ab]` is not what it was .* make a new Deconvnet"):
        before.record(images, ["b"])
    with pytest.raises(TraceError, match=r"of `[ab]` is not the same in the other model"):
        Deconvnet(Net(plainly), (3, 18, 21)).with_model(model)


def test_a_wrapped_forward_pass_does_not_run_in_the_model_itself() -> None:
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3)).double().train()
    inner = model[0].forward
    model[0].forward = lambda x: inner(x) * 2
    mean = model[0].running_mean.clone()
    net = Deconvnet(model, (3, 18, 21))
    assert torch.equal(model[0].running_mean, mean)
    assert model.training
    model.eval()
    check(model, "1", images_of(), net)


def test_a_hook_that_collects_is_no_change_and_another_beside_it_is() -> None:
    model, images, kept = Net(plainly), images_of(), list[Tensor]()
    model.a.register_forward_hook(lambda _m, _i, output: kept.append(output.detach()))
    net = Deconvnet(model, (3, 18, 21))
    assert not kept
    check(model, "b", images, net)
    assert len(kept) > 1
    model.a.register_forward_hook(lambda _m, _i, output: output * 0)
    with pytest.raises(TraceError, match="`_forward_hooks` of `a`"):
        net.record(images, ["b"])


def test_a_hook_that_is_added_later_is_noticed_until_it_is_removed() -> None:
    model, images = Net(plainly), images_of()
    net = Deconvnet(model, (3, 18, 21))
    handle = model.a.register_forward_hook(lambda *_: None)
    with pytest.raises(TraceError, match="`_forward_hooks` of `a`"):
        net.record(images, ["b"])
    handle.remove()
    check(model, "b", images, net)


# --- attributes -----------------------------------------------------------------------------------


def with_attributes(net: Net, x: Tensor) -> Tensor:
    h = net.a(x) * net.scale * net.k * net.sizes["factors"][1]
    return net.b((h * net.plain - net.held[0]).relu())


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda net: setattr(net, "scale", 3), "`scale` of the model"),
        (lambda net: setattr(net, "scale", True), "`scale` of the model"),
        (lambda net: setattr(net, "k", 3), "`k` of the model"),
        (lambda net: net.sizes["factors"].__setitem__(1, 5), "`sizes` of the model"),
        (lambda net: setattr(net, "run", plainly), "`run` of the model"),
        (lambda net: setattr(net.a, "stride", (2, 2)), "`stride` of `a`"),
        (lambda net: setattr(net, "b", nn.Identity()), "of `b`|of the model"),
        (lambda net: setattr(net.a, "bias", None), "`_parameters` of `a`"),
    ],
)
def test_an_attribute_that_has_changed_is_named(change: Callable[[Net], None], name: str) -> None:
    model, images = Net(with_attributes), images_of()
    net = Deconvnet(model, (3, 18, 21))
    check(model, "b", images, net)
    change(model)
    with pytest.raises(TraceError, match=f"({name}) is not what it was when this network was trac"):
        net.record(images, ["a"])


def test_modules_that_are_not_called_are_no_condition() -> None:
    model, other, images = Net(with_attributes), Net(with_attributes), images_of()
    model.decoder = nn.Sequential(nn.Conv2d(3, 4, 3))
    net = Deconvnet(model, (3, 18, 21))
    check(other, "b", images, net.with_model(other))
    del model.decoder
    model.more = nn.ReLU()
    check(model, "b", images, net)


def test_a_sequence_may_be_longer_at_its_end_alone() -> None:
    torch.manual_seed(0)
    layers = [nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), nn.Conv2d(4, 4, 3), nn.ReLU()]
    model, images = nn.Sequential(*layers[:2]).double(), images_of()
    net = Deconvnet(model, (3, 18, 21))
    longer = nn.Sequential(*layers).double()
    check(longer, "1", images, net.with_model(longer))
    model[0].append(nn.Tanh())
    with pytest.raises(TraceError, match="`_modules` of `0` is not what it was"):
        net.record(images, ["1"])


def test_a_class_that_has_changed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    model, images = Net(with_attributes), images_of()
    net = Deconvnet(model, (3, 18, 21))
    monkeypatch.setattr(Net, "k", 7)
    with pytest.raises(TraceError, match=r"`k` of `tests.deconv.small_networks.Net` is not what"):
        net.record(images, ["a"])
    monkeypatch.undo()
    check(model, "b", images, net)


FACTOR, SHIFT = 2.0, torch.ones(1, dtype=torch.float64)


class WithGlobals(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.b((self.a(x) * FACTOR - SHIFT).relu())


def test_global_numbers_and_tensors_are_as_attributes(monkeypatch: pytest.MonkeyPatch) -> None:
    model, images = WithGlobals(plainly), images_of()
    net = Deconvnet(model, (3, 18, 21))
    monkeypatch.setitem(globals(), "SHIFT", SHIFT * 0.3)
    check(model, "b", images, net)
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    with pytest.raises(TraceError, match=r"`forward` of `tests.*WithGlobals`"):
        net.record(images, ["b"])


def test_tensors_among_the_attributes_are_read_as_weights_are() -> None:
    model, images = Net(with_attributes), images_of()
    net = Deconvnet(model, (3, 18, 21))
    model.plain = torch.rand(8, 1, 1).double()
    model.held[0] = torch.rand(8, 1, 1).double()
    check(model, "b", images, net)
    model.plain.mul_(2)
    check(model, "b", images, net)
    other = Net(with_attributes)
    other.plain, other.scale = other.plain * 5, 2
    check(other, "b", images, net.with_model(other))


def test_a_number_that_is_read_out_of_a_tensor_is_an_attribute_too() -> None:
    model, images = Net(lambda net, x: net.b(net.a(x) * float(net.number))), images_of()
    model.number = torch.tensor(2.0)
    net = Deconvnet(model, (3, 18, 21))
    check(model, "b", images, net)
    model.number += 1
    with pytest.raises(TraceError, match="`number` of the model"):
        net.record(images, ["b"])


def keeping(net: Net, x: Tensor) -> Tensor:
    net.seen.append(net.a(x))
    net.scale += 1
    return net.b(net.seen[-1].relu())


def test_what_a_model_keeps_of_its_own_passes_is_no_change() -> None:
    model, images = Net(keeping), images_of()
    model(images)
    net = Deconvnet(model, (3, 18, 21))
    assert len(model.seen) == 1
    model(images)
    model.label = "a name"
    check(model, "b", images, net)


def test_a_counter_of_operations_in_another_thread_disturbs_nothing():
    """As when a person starts a training while others look at units."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    net, image = Deconvnet(model, (3, 8, 8)), torch.rand(1, 3, 8, 8)
    counting, done = Event(), Event()

    def count():
        with FlopCounterMode(display=False):
            counting.set()
            done.wait(60)

    thread = Thread(target=count)
    thread.start()
    counting.wait(60)
    try:
        found = net.record(image, ["1"])["1"]
    finally:
        done.set()
        thread.join()
    assert torch.allclose(found, model(image), atol=1e-6)
