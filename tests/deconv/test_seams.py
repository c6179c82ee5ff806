"""Where a tape could differ from its model without a word: it does what the model does, or says so.

Each network here was once computed wrongly, or refused without a reason.
"""

import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from deconvviz.deconv import Deconvnet
from deconvviz.errors import PictureError, TraceError, UnsupportedOperationError
from tests.deconv.comparing import check, images_of
from tests.deconv.small_networks import Forward, Net, plainly

LINE = r"\(small_networks.py:\d+\)"  # where a `Net` calls what it was given

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
def test_pooling_of_the_whole_map_is_of_every_size(pool: Callable[[Tensor], Tensor]) -> None:
    model = pooled(pool)
    net = Deconvnet(model, (3, 18, 21))
    for size in ((18, 21), (30, 19)):
        check(model, "fc", images_of(size), net)


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
    net = Deconvnet(model, (3, 9, 9))
    check(model, "fc", images_of((9, 9)), net)
    with pytest.raises(PictureError, match=r"take another way at test_seams.py:\d+ than .*input_s"):
        net.record(images_of((12, 13)), ["fc"])
    check(model, "fc", images_of((12, 12)), Deconvnet(model, (3, 12, 12)))


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


def overlapping(net: Net, x: Tensor) -> Tensor:
    h = net.a(x).detach()
    first, second = h[:, :5], h[:, 3:]
    first.mul_(2)
    return net.b(torch.cat([first, second[:, 2:]], 1))


@pytest.mark.parametrize("forward", [part_written, unbound, split_again, overlapping])
def test_what_a_write_in_place_has_changed_is_refused_with_its_line(forward: Forward) -> None:
    model, images = Net(forward), images_of()
    net = Deconvnet(model, (3, 18, 21))
    reason = rf"cannot run \w+ in .* {LINE}: it reads memory that \w+ at small_networks"
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


def test_parts_that_no_write_has_touched_are_read() -> None:
    check(Net(parts_written), "b", images_of())


# --- refusals -------------------------------------------------------------------------------------


def decoded(net: Net, x: Tensor) -> Tensor:
    """A slice written last of all, as a detector decodes its boxes."""
    h = net.fc(net.b(net.a(x).relu()).relu().mean((2, 3)))
    h[:, :2] = h[:, :2].sigmoid() * 2
    return h.relu()


def unpooled(net: Net, x: Tensor) -> Tensor:
    h = net.b(net.a(x).relu())
    pooled, switches = functional.max_pool2d(h, 2, return_indices=True)
    return net.fc(functional.max_unpool2d(pooled, switches, 2, output_size=h.shape).mean((2, 3)))


def masked(net: Net, x: Tensor) -> Tensor:
    mask = torch.ones(8, dtype=x.dtype)
    mask[2:4] = 0
    return net.fc(net.b(net.a(x).relu()).mean((2, 3)) * mask)


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
        (decoded, "relu@3", r"relu in the model .*written into in place"),
        (unpooled, "fc", rf"getitem in the model {LINE}: .* switches"),
        (masked, "fc", rf"mul in the model {LINE}: it .*written into in place"),
        (
            chosen,
            "fc",
            rf"index in the model {LINE}: it gives a size .* images show",
        ),
        (by_value, "fc", rf"\w+ in the model {LINE}: it .* images show"),
        (
            in_other_precision,
            "fc",
            rf"wrap_with_autocast in the model {LINE}: .* under torch.autocast",
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
