"""Initial weights that save epochs."""

import torch

from deconvviz.models import build
from deconvviz.training.init import decorrelated_init


def natural(n=64):
    """Smooth random pictures: their pixels correlate, as in photographs."""
    noise = torch.randn(n, 3, 40, 40)
    return torch.nn.functional.avg_pool2d(noise, 9, stride=1) * 9


def test_the_first_outputs_are_uncorrelated():
    torch.manual_seed(0)
    model, images = build("vgg"), natural()
    decorrelated_init(model, images)
    outputs = model.stage1.conv1(images)[:, :16, 1:-1, 1:-1]  # 16 of 32 kernels
    covariance = torch.cov(outputs.detach().permute(1, 0, 2, 3).flatten(1))
    apart = covariance - covariance.diag().diag()
    assert apart.abs().max() < 1e-4 * covariance.diag().max()


def test_kernels_and_their_negatives_then_random_ones_of_the_same_scale():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 64, 3))  # 27 = 3x3x3 components, twice
    before = model[0].weight.detach().clone()
    decorrelated_init(model, natural())
    kernels = model[0].weight.detach()
    assert torch.equal(kernels[:27], -kernels[27:54])
    assert torch.equal(kernels[54:], before[54:])
    assert torch.isclose(kernels[:54].std(), before.std(), rtol=1e-3)


def test_the_strongest_components_come_first():
    torch.manual_seed(0)
    model, images = build("vgg"), natural()
    decorrelated_init(model, images)
    variances = model.stage1.conv1(images)[:, :16, 1:-1, 1:-1].var((0, 2, 3))
    assert torch.equal(variances, variances.sort(descending=True).values)


def test_later_convolutions_pass_their_input_through_first():
    model = build("seed-cnn")
    decorrelated_init(model, natural())
    x = torch.randn(1, 32, 8, 8)
    assert torch.allclose(
        torch.nn.functional.conv2d(x, model.stage2.conv.weight[:32], padding=1), x, atol=1e-6
    )
