"""A tape never computes for images of another size what its model would not."""

import pytest
import torch
from torch import nn

from deconvviz.deconv import guards
from deconvviz.deconv.export import trace
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
