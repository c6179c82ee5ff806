"""Adversarial pictures: within their distance, worse for the network, without a trace on it."""

from typing import get_args

import pytest
import torch
from torch import nn
from torch.nn import functional

from deconvviz.errors import SettingError
from deconvviz.models import MODELS, build
from deconvviz.training.adversary import Adversary, Norm, attack, random_directions

NORMS = get_args(Norm)
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def pictures(count=4, size=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.rand(count, 3, size, size, generator=generator)
    return (pixels - column(MEAN)) / column(STD)


def column(values):
    return torch.tensor(values).view(1, -1, 1, 1)


def distances(first, second, norm):
    """In pixels of [0, 1]."""
    moved = ((first - second) * column(STD)).flatten(1)
    return moved.norm(dim=1) if norm == "l2" else moved.abs().amax(1)


def loss(model, images, targets):
    return functional.cross_entropy(model(images), targets, reduction="none")


def attacked(model, images, targets, adversary):
    generator = torch.Generator().manual_seed(1)
    directions = random_directions(images.shape, adversary, generator)
    used = directions if adversary.needs_random else None
    return attack(model, images, targets, MEAN, STD, adversary, directions=used)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("steps", [0, 1, 3])
@pytest.mark.parametrize("random_start", [False, True])
def test_pictures_stay_within_the_radius_and_are_pictures(norm, steps, random_start):
    radius = 0.4 if norm == "l2" else 0.03
    adversary = Adversary(radius, norm, steps, random_start=random_start)
    images, targets = pictures(), torch.arange(4)
    changed = attacked(build("vgg:8,8").eval(), images, targets, adversary)
    moved = distances(images, changed, norm)
    assert (moved <= radius * 1.0001).all()
    assert (moved > radius / 2).all()
    pixels = changed * column(STD) + column(MEAN)
    assert pixels.min() > -1e-5
    assert pixels.max() < 1 + 1e-5


def test_of_a_linear_model_one_step_finds_the_worst_picture():
    # the loss of a linear model in two classes rises with (w1 - w0) x, hence the worst direction
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 2))
    images = pictures(3, 8) * 0.1  # far from black and white, so that no pixel is cut off
    targets = torch.tensor([0, 1, 0])
    rise = (model[1].weight[1] - model[1].weight[0]).detach().view(1, 3, 8, 8) / column(STD)
    sign = (1 - 2 * targets).view(-1, 1, 1, 1)
    worst = {"l2": 0.1 * sign * rise / rise.norm(), "linf": 0.1 * sign * rise.sign()}
    for norm, delta in worst.items():
        changed = attack(model, images, targets, MEAN, STD, Adversary(0.1, norm))
        torch.testing.assert_close(changed, images + delta / column(STD))


@pytest.mark.parametrize("norm", NORMS)
def test_more_steps_are_worse_and_all_are_worse_than_noise(norm):
    torch.manual_seed(0)
    model = build("vgg:16,16").eval()
    images, targets = pictures(16), torch.arange(16) % 10
    radius = 2.0 if norm == "l2" else 0.1
    adversaries = [Adversary(radius, norm, steps) for steps in (0, 1, 10)]
    changed = [attacked(model, images, targets, adversary) for adversary in adversaries]
    means = [loss(model, worse, targets).mean() for worse in changed]
    assert loss(model, images, targets).mean() < means[1] < means[2]
    assert means[0] < means[1]


@pytest.mark.parametrize("name", MODELS)
def test_every_network_is_attacked_and_left_as_it_was(name):
    model = build(name).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    images, targets = pictures(2, 32), torch.tensor([1, 2])
    shares = functional.one_hot(targets, 10).float()
    adversary = Adversary(0.5, steps=2)
    changed = attack(model, images, targets, MEAN, STD, adversary)
    torch.testing.assert_close(changed, attack(model, images, shares, MEAN, STD, adversary))
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not changed.requires_grad


def test_a_picture_is_attacked_alike_in_any_batch():
    model = build("vgg:8,8").eval()
    images, targets = pictures(), torch.arange(4)
    together = attack(model, images, targets, MEAN, STD, Adversary(0.5, steps=2))
    alone = attack(model, images[2:3], targets[2:3], MEAN, STD, Adversary(0.5, steps=2))
    torch.testing.assert_close(together[2:3], alone)


def test_pixels_outside_the_range_go_no_further():
    images = pictures(2, 8)
    images[0, 0, 0, 0], images[1, 2, 3, 3] = 9.0, -9.0
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 2))
    changed = attack(model, images, torch.tensor([0, 1]), MEAN, STD, Adversary(1.0, "linf"))
    assert changed[0, 0, 0, 0] <= 9.0
    assert changed[1, 2, 3, 3] >= -9.0


def test_directions_have_the_distribution_that_is_said():
    shape = (2000, 1, 2, 1)
    ball = random_directions(shape, Adversary(1.0, random_start=True), torch.Generator())
    lengths = ball.flatten(1).norm(dim=1)
    # uniform in a disc: a quarter lies within half of the radius
    assert abs((lengths < 0.5).float().mean() - 0.25) < 0.03
    noise = random_directions(shape, Adversary(1.0, steps=0), torch.Generator())
    torch.testing.assert_close(noise.flatten(1).norm(dim=1), torch.ones(2000))
    square = random_directions(shape, Adversary(1.0, "linf", random_start=True), torch.Generator())
    assert abs((square.abs() < 0.5).float().mean() - 0.5) < 0.03


def test_the_radius_rises_after_a_delay():
    adversary = Adversary(2.0, delay=0.25, warmup=0.5)
    radii = [adversary.radius_at(p) for p in (0, 0.25, 0.5, 0.75, 1)]
    assert radii == [0, 0, 1, 2, 2]
    assert Adversary(2.0).radius_at(0.01) == 2


@pytest.mark.parametrize(
    "wrong",
    [{"norm": "l1"}, {"radius": -1}, {"steps": -1}, {"step_size": float("inf")}, {"warmup": 1.5}],
)
def test_values_outside_their_limits_are_refused(wrong):
    with pytest.raises(SettingError, match=next(iter(wrong))):
        Adversary(**wrong)
