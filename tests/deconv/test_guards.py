"""A tape never computes for images of another size what its model would not."""

import pytest
import torch
from torch import nn

from deconvviz.deconv import Deconvnet, Selection, guards
from deconvviz.deconv.export import trace
from deconvviz.errors import PictureError
from deconvviz.networks import build
from tests.deconv.comparing import run
from tests.deconv.networks import deconvnet
from tests.deconv.small_networks import EvenHeights, SamePadding


def padded(depth: int) -> nn.Module:
    layers = [SamePadding(3 if i == 0 else 4, 4, 3, stride=1 + i % 2) for i in range(depth)]
    return nn.Sequential(*layers).eval()


def test_short_formulas_leave_the_size_free() -> None:
    tape, model = trace(padded(1), (3, 16, 16)), padded(1)
    images = torch.randn(2, 3, 21, 30)
    assert not tape.fixed_size
    torch.testing.assert_close(run(tape, model, images), model(images))


@pytest.mark.timeout(60)  # it took minutes
def test_long_formulas_fix_the_size() -> None:
    model = padded(8)
    tape, images = trace(model, (3, 16, 16)), torch.randn(1, 3, 16, 16)
    assert tape.fixed_size
    torch.testing.assert_close(run(tape, model, images), model(images))


class Beside(nn.Module):
    """Maps of two resolutions side by side, for sides that are multiples of 16; more if high."""

    def __init__(self) -> None:
        super().__init__()
        self.net = build("segmenter:back=unet:widths=4,4,4,4", channels=3, classes=2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.net(images)
        return scores * 2 if images.shape[2] > 100 else scores


@pytest.mark.parametrize("back", ["unet", "unpool"])
def test_networks_that_need_multiples_are_traced_for_all_of_them(back: str) -> None:
    torch.manual_seed(0)
    model = build(f"segmenter:back={back}:widths=4,4,4,4", channels=3, classes=2).eval()
    net = Deconvnet(model, (3, 48, 64))
    assert not net._tape.fixed_size
    assert net._tape.multiple == 16
    for size in ((48, 64), (80, 32), (32, 112)):
        images = torch.randn(2, 3, *size, requires_grad=True)
        scores = model(images)
        recording = net.record(images.detach(), ["scores"])
        torch.testing.assert_close(recording["scores"], scores.detach())
        y, x = size[0] // 2, size[1] // 3
        (wanted,) = torch.autograd.grad(scores[1, 1, y, x], images)
        ones = (torch.tensor([one]) for one in (1, 1, y, x))
        found = net.project(
            recording, Selection("scores", *ones), rule="gradient", start="one"
        ).full()
        torch.testing.assert_close(found[0], wanted[1], rtol=1e-3, atol=1e-6)
    for size in ((40, 64), (48, 72), (16, 64)):
        with pytest.raises(PictureError, match="multiples of 16, at least 32"):
            net.record(torch.randn(1, 3, *size), ["scores"])


def test_a_branch_on_sizes_is_a_guard_where_they_are_multiples() -> None:
    tape = trace(Beside().eval(), (3, 64, 48))
    assert tape.multiple == 16
    assert all(guard.holds((2, 3, 96, 160)) for guard in tape.guards)
    assert not all(guard.holds((2, 3, 112, 48)) for guard in tape.guards)


def test_a_branch_on_sizes_is_a_guard() -> None:
    (guard,) = trace(EvenHeights(), (3, 16, 16)).guards
    assert guard.holds((1, 3, 20, 17))
    assert not guard.holds((1, 3, 19, 16))
    assert guard.line.startswith("small_networks.py:")
    (other,) = trace(EvenHeights(), (3, 17, 16)).guards
    assert other.holds((1, 3, 19, 16))


def test_a_branch_of_torchs_own_code_is_none() -> None:
    for family in ("odd", "convnext"):
        tape = deconvnet(family)._tape
        assert not tape.guards
        assert not tape.fixed_size


def test_which_files_are_model_code() -> None:
    assert guards.is_model_code(__file__)
    assert not guards.is_model_code(nn.__file__)
    assert not guards.is_model_code(guards.__file__)
