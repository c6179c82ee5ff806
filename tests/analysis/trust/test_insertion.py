"""Insertion and deletion: units of which it is known what they need."""

import numpy as np
import pytest
import torch
from torch import nn

from deconvviz.analysis.trust.insertion import insertion_and_deletion
from deconvviz.analysis.trust.target import find_target
from deconvviz.deconv import Deconvnet, Selection

SIDE = 5
PIXELS = SIDE**2


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


def unit(kernel):
    """A unit that sees 5 x 5 pixels of one channel through this kernel, in a random picture."""
    model = nn.Sequential(nn.Conv2d(1, 2, SIDE, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(kernel)
    net = Deconvnet(model, (1, 12, 12))
    image = torch.rand(1, 12, 12, generator=draws(1)) + 0.5
    return find_target(net, image, Selection("0", 0, 0, 3, 4), "deconvnet")


def curves(target, scores, steps=PIXELS, orders=30):
    (found,) = insertion_and_deletion(target, [scores], steps, orders, draws())
    return found


def credit(target):
    return (target.pixels * target.patch).sum(0)


@pytest.fixture(scope="module")
def one_pixel():
    """It reads one pixel, in row 1 and column 3 of its window."""
    kernel = torch.zeros(SIDE, SIDE)
    kernel[1, 3] = 2
    return unit(kernel)


def test_the_one_pixel_that_matters_comes_first(one_pixel):
    found = curves(one_pixel, credit(one_pixel))
    assert found.insertion.value.tolist() == [0] + [1] * PIXELS
    assert found.deletion.value.tolist() == [1] + [0] * PIXELS
    assert found.insertion.area == pytest.approx(1 - 0.5 / PIXELS)
    assert found.deletion.area == pytest.approx(0.5 / PIXELS)


def test_the_one_pixel_comes_anywhere_in_random_orders(one_pixel):
    found = curves(one_pixel, credit(one_pixel), orders=200).insertion
    assert found.chance == pytest.approx(0.5, abs=0.06)
    assert found.spread == pytest.approx(np.sqrt((1 - PIXELS**-2) / 12), abs=0.03)


def test_the_opposite_order_is_the_worst(one_pixel):
    found = curves(one_pixel, -credit(one_pixel))
    assert found.insertion.area == pytest.approx(0.5 / PIXELS)
    assert found.deletion.area == pytest.approx(1 - 0.5 / PIXELS)


def test_equal_scores_are_no_order(one_pixel):
    found = [curves(one_pixel, torch.zeros(SIDE, SIDE)).insertion.area]
    generator = draws(5)
    for _ in range(100):
        scores = [torch.zeros(SIDE, SIDE)]
        (again,) = insertion_and_deletion(one_pixel, scores, PIXELS, 2, generator)
        found.append(again.insertion.area)
    assert np.mean(found) == pytest.approx(0.5, abs=0.1)
    assert len(set(found)) > 10


def test_of_a_linear_unit_both_are_sums_of_its_sorted_shares():
    target = unit(torch.randn(2, 1, SIDE, SIDE, generator=draws(2)) + 0.3)
    shares = (target.net.model[0].weight[0, 0] * target.patch[0]).detach().flatten()
    expected = shares.sort(descending=True).values.cumsum(0) / shares.sum()
    sign = 1 if target.activation > 0 else -1
    found = curves(target, shares.view(SIDE, SIDE) * sign)
    ordered = expected if sign > 0 else shares.sort().values.cumsum(0) / shares.sum()
    torch.testing.assert_close(found.insertion.value[1:].float(), ordered, rtol=1e-4, atol=1e-4)
    whole = found.insertion.value + found.deletion.value
    torch.testing.assert_close(whole, torch.ones(PIXELS + 1).double(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("steps", [1, 3, 8, 99])
def test_curves_go_from_nothing_to_all(one_pixel, steps):
    found = curves(one_pixel, credit(one_pixel), steps)
    share = found.insertion.share
    assert (share[0], share[-1], len(share)) == (0, 1, min(steps, PIXELS) + 1)
    assert (share + share.flip(0) - 1).abs().max() < 1.01 / PIXELS  # an odd number has no half
    assert (share.diff() > 0).all()
    assert (found.insertion.value[0], found.insertion.value[-1]) == (0, 1)
    assert (found.deletion.value[0], found.deletion.value[-1]) == (1, 0)


def test_both_curves_have_the_same_chance_level(one_pixel):
    found = curves(one_pixel, credit(one_pixel))
    assert found.insertion.chance == pytest.approx(found.deletion.chance)
    assert torch.equal(found.insertion.random.flip(1), found.deletion.random)


def test_the_same_draws_give_the_same_curves(one_pixel):
    one, two = (curves(one_pixel, credit(one_pixel)) for _ in range(2))
    assert torch.equal(one.insertion.random, two.insertion.random)
