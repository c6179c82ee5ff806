"""Writes in place: a tape reads what the model reads after them."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from deconvviz.deconv import Deconvnet
from tests.deconv.comparing import check, deviation, images_of
from tests.deconv.small_networks import Forward, Net


def assigned(net: Net, x: Tensor) -> Tensor:
    h = net.a(x) * 1
    h[:, :2] = h[:, :2].relu() * 2
    return net.b(h)


def assigned_in_rows(net: Net, x: Tensor) -> Tensor:
    h = net.a(x) * 1
    h[:, 3:5, 1:-1, ::2] = 0
    h[:, :, 2:4] += 1
    return net.b(h)


def assigned_one_channel(net: Net, x: Tensor) -> Tensor:
    h = net.a(x) * 1
    h[:, 3] = h[:, 0] - h[:, 1]
    return net.b(h)


def multiplied_in_part(net: Net, x: Tensor) -> Tensor:
    h = net.a(x) * 1
    h[:, 2:][:, 1:3].mul_(3)
    return net.b(h)


def shifted_into_zeros(net: Net, x: Tensor) -> Tensor:
    """As temporal and spatial shift modules are written."""
    h = net.a(x).relu()
    out = torch.zeros_like(h)
    out[:, :3, :, :-1] = h[:, :3, :, 1:]
    out[:, 3:6, :, 1:] = h[:, 3:6, :, :-1]
    out[:, 6:] = h[:, 6:]
    return net.b(out)


def filled_in_turn(net: Net, x: Tensor) -> Tensor:
    h = net.a(x).relu()
    out = h.new_empty(h.shape).zero_()
    out[:, ::2], out[:, 1::2] = h[:, :4], h[:, 4:]
    return net.b(out)


def rectified_in_place(net: Net, x: Tensor) -> Tensor:
    h = net.a(x)
    functional.relu_(h)
    return net.b(h)


def masked(net: Net, x: Tensor) -> Tensor:
    mask = torch.ones(8, dtype=x.dtype)
    mask[2:4] = 0
    return net.b(net.a(x).relu() * mask[:, None, None])


WRITING = [
    assigned,
    assigned_in_rows,
    assigned_one_channel,
    multiplied_in_part,
    shifted_into_zeros,
    filled_in_turn,
    rectified_in_place,
    masked,
]


@pytest.mark.parametrize("forward", WRITING)
def test_what_was_written_into_a_slice_is_read(forward: Forward) -> None:
    model = Net(forward)
    net = Deconvnet(model, (3, 18, 21))
    assert net.coverage.unsupported == ()
    for size in ((18, 21), (25, 20)):
        check(model, "b", images_of(size), net)


def decoded(net: Net, x: Tensor) -> Tensor:
    """A slice written last of all, as a detector decodes its boxes."""
    h = net.fc(net.b(net.a(x).relu()).relu().mean((2, 3)))
    h[:, :2] = h[:, :2].sigmoid() * 2
    return h.relu()


def test_a_slice_may_be_written_last() -> None:
    model, images = Net(decoded), images_of()
    recording = Deconvnet(model, (3, 18, 21)).record(images, ["relu@3"])
    assert deviation(recording["relu@3"][:, :, 0, 0], model(images).detach()) < 1e-10


class Writes(nn.Module):
    """Returns what it has written into."""

    def forward(self, x: Tensor) -> Tensor:
        y = x * 2
        y[:, 1:3] = 0
        return y


class Written(nn.Module):
    """A module that writes, between two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.w, self.b = nn.Conv2d(3, 4, 3), Writes(), nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.w(self.a(x))
        z = self.b(y.clone())
        y[:, 0] = 1
        return z + y


def test_a_module_that_writes_is_what_it_returned_then() -> None:
    model, images = Written().double(), images_of()
    net = Deconvnet(model, (3, 18, 21))
    assert net.checked.left_out == ""
    check(model, "w", images, net)
    check(model, "b", images, net)
