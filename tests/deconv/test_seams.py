"""Where a tape could differ from its model without a word: it does what the model does, or says so.

Each network here was once computed wrongly, or refused without a reason.
"""

import functools
import threading
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from deconvviz.deconv import Deconvnet
from deconvviz.errors import PictureError, TraceError, UnsupportedOperationError
from tests import oracle
from tests.deconv.comparing import RULES, by_oracle, deviation, some_units

Forward = Callable[["Net", Tensor], Any]


class Net(nn.Module):
    """A few layers and attributes, and a forward pass that is given."""

    k: float = 2

    def __init__(self, forward: Forward) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.run = forward
        self.a = nn.Conv2d(3, 8, 3)
        self.b = nn.Conv2d(8, 8, 3)
        self.fc = nn.Linear(8, 5)
        self.scale, self.sizes = 2, {"factors": [2, 3]}
        self.plain, self.held = torch.rand(8, 1, 1), [torch.rand(8, 1, 1)]
        self.seen: list[Tensor] = []
        self.double()
        self.plain, self.held = self.plain.double(), [self.held[0].double()]

    def forward(self, x: Tensor) -> Any:
        return self.run(self, x)


def images_of(size: tuple[int, int] = (18, 21), count: int = 2) -> Tensor:
    return torch.randn(count, 3, *size, dtype=torch.float64)


def check(model: nn.Module, layer: str, images: Tensor, net: Deconvnet | None = None) -> None:
    """Values are the model's own, and projections the oracle's."""
    net = net or Deconvnet(model, (3, 18, 21))
    recording = net.record(images, [layer])
    assert deviation(recording[layer], output_of(model, layer, images)) < 1e-10
    units = some_units(recording, layer)
    for rule in RULES:
        truth = by_oracle(oracle.autograd, model, images, units, rule)
        assert deviation(net.project(recording, units, rule).full(), truth) < 1e-10, rule


def output_of(model: nn.Module, layer: str, images: Tensor) -> Tensor:
    held: list[Tensor] = []
    handle = model.get_submodule(layer).register_forward_hook(
        lambda _module, _inputs, output: held.append(output.detach().clone())
    )
    with torch.no_grad():
        model(images)
    handle.remove()
    return held[-1] if held[-1].dim() == 4 else held[-1][:, :, None, None]


# --- sizes ----------------------------------------------------------------------------------------


def pooled(pool: Callable[[Tensor], Tensor]) -> Net:
    return Net(lambda net, x: net.fc(pool(net.a(x).relu()).flatten(1)))


@pytest.mark.parametrize(
    "pool",
    [
        lambda h: functional.avg_pool2d(h, h.shape[2:]),
        lambda h: functional.avg_pool2d(h, kernel_size=h.size()[2:], stride=1),
        lambda h: functional.avg_pool2d(h, (h.size(2), h.size(3))),
        lambda h: functional.max_pool2d(h, h.shape[-2:]),
        lambda h: torch.max_pool2d(h, h.shape[-2:]),
    ],
)
@pytest.mark.parametrize("size", [(18, 21), (30, 19)])
def test_pooling_of_the_whole_map_is_of_every_size(
    pool: Callable[[Tensor], Tensor], size: tuple[int, int]
) -> None:
    check(pooled(pool), "fc", images_of(size))


@pytest.mark.parametrize(
    "pool",
    [
        lambda h: functional.avg_pool2d(h, h.shape[3]).mean((2, 3), keepdim=True),
        lambda h: functional.avg_pool2d(h, h.shape[2:], divisor_override=7),
        lambda h: functional.avg_pool2d(h, int(h.shape[2]) // 3).mean((2, 3), keepdim=True),
        lambda h: sum(h[:, :, i : i + 1] for i in range(h.shape[2])).mean((2, 3)),
    ],
)
def test_a_size_that_becomes_a_number_is_a_condition(pool: Callable[[Tensor], Tensor]) -> None:
    model = pooled(pool)
    net = Deconvnet(model, (3, 24, 24))
    check(model, "fc", images_of((24, 24)), net)
    with pytest.raises(PictureError, match=r"take another way at test_seams.py:\d+ than .*input_s"):
        net.record(images_of((30, 33)), ["fc"])
    check(model, "fc", images_of((30, 30)), Deconvnet(model, (3, 30, 30)))


def test_the_number_of_images_is_none() -> None:
    model = Net(lambda net, x: torch.stack([net.a(x[i : i + 1]) for i in range(x.shape[0])]))
    with pytest.raises(TraceError, match=r"images of a batch one by one.*, at test_seams.py:\d+"):
        Deconvnet(model, (3, 18, 21))


def test_one_image_is_squeezed_as_many_are() -> None:
    model = Net(lambda net, x: net.fc(net.a(x).relu().mean((2, 3), keepdim=True).squeeze()))
    net, images = Deconvnet(model, (3, 18, 21)), images_of()
    check(model, "fc", images, net)
    one = net.record(images[:1], ["fc"])
    torch.testing.assert_close(one["fc"], net.record(images, ["fc"])["fc"][:1])


# --- hooks and wrapped forward passes -------------------------------------------------------------


def plainly(net: Net, x: Tensor) -> Tensor:
    return net.b(net.a(x).relu())


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
    with pytest.raises(TraceError, match=r"`k` of `tests.deconv.test_seams.Net` is not what"):
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
    with pytest.raises(TraceError, match=r"`forward` of `tests.deconv.test_seams.WithGlobals`"):
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


# --- writes in place ------------------------------------------------------------------------------


def part_written(net: Net, x: Tensor) -> Tensor:
    h = net.a(x)
    with torch.no_grad():
        first, _ = h.chunk(2, 1)
        first.mul_(2)
    return net.b(h)


def unbound(net: Net, x: Tensor) -> Tensor:
    h = net.a(x)
    h.detach().unbind(1)[3].zero_()
    return net.b(h)


def split_again(net: Net, x: Tensor) -> Tensor:
    h = net.a(x).detach()
    h.split(4, 1)[0].split(2, 1)[1].add_(1)
    return net.b(h)


def whole_written(net: Net, x: Tensor) -> Tensor:
    h = net.a(x).detach()
    first = h.split([2, 6], 1)[0]
    h.relu_()
    return net.b(h) * first.mean()


def overlapping(net: Net, x: Tensor) -> Tensor:
    h = net.a(x).detach()
    first, second = h[:, :5], h[:, 3:]
    first.mul_(2)
    return net.b(torch.cat([first, second[:, 2:]], 1))


@pytest.mark.parametrize("forward", [part_written, unbound, split_again, overlapping])
def test_what_a_write_in_place_has_changed_is_refused_with_its_line(forward: Forward) -> None:
    model, images = Net(forward), images_of()
    net = Deconvnet(model, (3, 18, 21))
    reason = r"cannot run \w+ in .* \(test_seams.py:\d+\): it reads memory that \w+ at test_seams"
    with pytest.raises(UnsupportedOperationError, match=reason):
        net.record(images, ["b"])
    assert list(net.layers) == ["a"]
    check(model, "a", images, net)


def parts_written(net: Net, x: Tensor) -> Tensor:
    h = net.a(x) * 1
    first, second = h.chunk(2, 1)
    second = second.clone().mul_(2)
    third, fourth = (h * 3)[:, :3], (h * 3)[:, 3:]
    return net.b(torch.cat([first, second], 1) + torch.cat([third.relu_(), fourth], 1))


def slices_written(net: Net, x: Tensor) -> Tensor:
    h = net.a(x) * 1
    first, second = h[:, :5], h[:, 5:]
    first.mul_(2)
    second[:, 1].mul_(3)
    return net.b(torch.cat([first, second[:, [0]], second[:, 2:], first[:, :1]], 1))


def test_parts_that_no_write_has_touched_are_read() -> None:
    check(Net(parts_written), "b", images_of())


# --- refusals -------------------------------------------------------------------------------------


def by_mask(net: Net, x: Tensor) -> Tensor:
    h = net.b(net.a(x).relu())[:, torch.tensor([True, False] * 4)]
    return net.fc(h.repeat(1, 2, 1, 1).mean((2, 3)))


def placed(net: Net, x: Tensor) -> Tensor:
    h = net.b(net.a(x).relu())
    return net.fc(h.flatten(2).max(-1).indices.to(h.dtype))


def chosen(net: Net, x: Tensor) -> Tensor:
    h = net.b(net.a(x).relu())
    return net.fc(h.movedim(1, -1)[h.mean(1) > 0])


def by_value(net: Net, x: Tensor) -> Tensor:
    h = net.b(net.a(x).relu())
    return net.fc(h.mean((2, 3)) / h.max().item())


def in_other_precision(net: Net, x: Tensor) -> Tensor:
    h = net.b(net.a(x).relu()).mean((2, 3))
    with torch.autocast("cpu", enabled=False):
        return net.fc(h.relu())


@pytest.mark.parametrize(
    ("forward", "last", "reason"),
    [
        (placed, "fc", r"getitem in the model \(test_seams.py:\d+\): .* places of maxima"),
        (chosen, "fc", r"index in the model \(test_seams.py:\d+\): it gives a size .* images show"),
        (by_mask, "fc", r"index in the model \(test_seams.py:\d+\): it gives a size"),
        (by_value, "fc", r"\w+ in the model \(test_seams.py:\d+\): it .* images show"),
        (
            in_other_precision,
            "fc",
            r"wrap_with_autocast in the model \(test_seams.py:\d+\): .* under torch.autocast",
        ),
    ],
)
def test_a_refusal_leaves_the_layers_below_alone(forward: Forward, last: str, reason: str) -> None:
    model, images = Net(forward), images_of()
    net = Deconvnet(model, (3, 18, 21))
    assert last not in net.layers
    assert net.record(images).layers == net.default_layers
    check(model, "b", images, net)
    assert net.coverage.unsupported
    with pytest.raises(UnsupportedOperationError, match=f"cannot run {reason}"):
        net.record(images, ["b", last])


def branching(net: Net, x: Tensor) -> Tensor:
    h = net.b(net.a(x).relu())
    return net.fc(h.mean((2, 3))) if h.max() > 0 else h


def by_numpy(net: Net, x: Tensor) -> Tensor:
    h = net.b(net.a(x).relu())
    return net.fc(torch.as_tensor(h.detach().numpy().mean((2, 3))))


class Head(nn.Module):
    """Fails to be followed inside of a module, not in the network itself."""

    def forward(self, h: Tensor) -> list[Tensor]:
        return [one[one.argmax() :] for one in h.flatten(1)]


def one_by_one(net: Net, x: Tensor) -> list[Tensor]:
    return [net.fc(one.mean((1, 2))) for one in net.b(net.a(x).relu())]


class WithHead(Net):
    """The head is a module of the network."""

    def __init__(self, forward: Forward) -> None:
        super().__init__(forward)
        self.head = nn.Sequential(Head())

    def forward(self, x: Tensor) -> list[Tensor]:
        h = self.b(self.a(x).relu())
        return [h] if x.requires_grad else self.head(h)  # the oracle asks for gradients


@pytest.mark.parametrize("forward", [branching, by_numpy, one_by_one])
@pytest.mark.parametrize("make", [Net, WithHead])
def test_what_cannot_be_followed_leaves_the_layers_before_it_alone(
    make: type[Net], forward: Forward
) -> None:
    model, images = make(forward), images_of((20, 25))
    net = Deconvnet(model, (3, 18, 21))
    assert list(net.layers) == ["a", "relu@1", "b"]
    assert net.record(images).layers == net.default_layers == ("relu@1",)
    check(model, "b", images, net)
    (rest,) = net.coverage.unsupported
    assert rest.lines[0].startswith("test_seams.py:")
    with pytest.raises(
        UnsupportedOperationError, match=r"cannot run `fc`, after test_seams.py:\d+: "
    ):
        net.record(images, ["b", "fc"])


# --- names ----------------------------------------------------------------------------------------


def test_a_pooling_that_is_no_max_pooling_is_not_taken_for_one() -> None:
    model = Net(lambda net, x: net.b(functional.fractional_max_pool2d(net.a(x), 2, 9)))
    net = Deconvnet(model, (3, 18, 21))
    recording = net.record(images_of(), ["b"])
    assert recording["b"].shape == (2, 8, 7, 7)
    with pytest.raises(UnsupportedOperationError, match="fractional_max_pool2d in the model"):
        net.project(recording, recording.strongest("b", 1))


@pytest.mark.parametrize(
    "rounded",
    [
        lambda h: h.to(torch.int32).to(h.dtype),
        lambda h: h.sum((2, 3), keepdim=True, dtype=torch.int64).double() + 0 * h,
        lambda h: h.bool().double(),
        lambda h: h.long().clone().flatten(2).unflatten(2, h.shape[2:]).double(),
    ],
)
def test_whole_numbers_pass_no_signal(rounded: Callable[[Tensor], Tensor]) -> None:
    net = Deconvnet(Net(lambda net, x: net.b(rounded(net.a(x) * 9))), (3, 18, 21))
    assert net.coverage.unsupported
    recording = net.record(images_of(), ["b"])
    with pytest.raises(UnsupportedOperationError, match=r"cannot undo \w+ in the model"):
        net.project(recording, recording.strongest("b", 1))


# --- shapes that models come in -------------------------------------------------------------------


@dataclass
class Output:
    logits: Tensor
    note: str = ""


class AnyArguments(Net):
    def forward(self, *args: Tensor, **kwargs: Any) -> Any:
        return self.run(self, *args, **kwargs)


def locked() -> nn.Module:
    model = Net(plainly)
    model.lock, model.steps = threading.Lock(), iter([1])
    model.again = functools.partial(print, model)
    return model


@pytest.mark.parametrize(
    "make",
    [
        lambda: AnyArguments(plainly),
        lambda: Net(lambda net, x: Output(plainly(net, x))),
        lambda: Net(lambda net, x: {"a": [plainly(net, x), None], "b": 3}),
        locked,
    ],
)
def test_models_of_any_make(make: Callable[[], nn.Module]) -> None:
    check(make(), "b", images_of())


def test_wrappers_are_taken_off() -> None:
    model, images = Net(plainly), images_of()
    for wrapper in (
        nn.DataParallel(model),
        torch.compile(model),
        torch.compile(nn.DataParallel(model)),
    ):
        net = Deconvnet(wrapper, (3, 18, 21))
        assert net.model is model
        check(model, "b", images, net)
        assert net.with_model(nn.DataParallel(Net(plainly))).record(images, ["b"]).layers == ("b",)
    inner = nn.Sequential(torch.compile(nn.Sequential(nn.Conv2d(3, 4, 3))), nn.ReLU()).double()
    assert Deconvnet(inner, (3, 18, 21)).record(images, ["1"])["1"].shape == (2, 4, 16, 19)


def quantised() -> nn.Module:
    layer = torch.nn.quantized.Linear(3, 4)
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), layer)


@pytest.mark.filterwarnings("ignore:.*deprecated")
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: nn.Sequential(nn.Conv1d(3, 4, 3)), "`0` convolves 1 axes, but images have 2"),
        (lambda: nn.Sequential(nn.Conv3d(3, 4, 3)), "`0` convolves 3 axes, but images have 2"),
        (lambda: nn.Sequential(nn.LazyConv2d(4, 3)), "`0.weight` has no shape yet; run the model"),
        (
            lambda: torch.jit.script(nn.Sequential(nn.ReLU())),
            "is TorchScript, without Python code to trace",
        ),
        (lambda: torch.relu, "a model must be a torch.nn.Module, got builtin"),
        (quantised, "is quantised; trace the network in floating point"),
    ],
)
def test_models_that_cannot_be_traced_are_told_in_one_sentence(
    make: Callable[[], nn.Module], reason: str
) -> None:
    with pytest.raises(TraceError, match=reason):
        Deconvnet(make(), (3, 18, 21))
