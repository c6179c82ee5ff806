"""Muon: its updates are orthogonal, and it turns kernels without stretching them."""

import pytest
import torch
from torch import nn

from deconvviz.training.optimisers import Muon, orthogonal


@pytest.mark.parametrize("shape", [(8, 8), (8, 72), (72, 8)])
def test_all_directions_get_about_the_same_length(shape):
    torch.manual_seed(0)
    singular = torch.linalg.svdvals(orthogonal(torch.randn(*shape), steps=6))
    assert singular.min() > 0.5
    assert singular.max() < 1.3


@pytest.mark.parametrize("shape", [(6, 40), (40, 6)])
def test_directions_are_those_of_the_matrix_itself(shape):
    """The polar factor U V^T of an SVD is the orthogonal matrix nearest to U S V^T."""
    torch.manual_seed(0)
    matrix = torch.randn(*shape, dtype=torch.float64)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    found = orthogonal(matrix, steps=6)
    inside = u.mT @ found @ v.mT  # diagonal where the directions agree
    assert torch.allclose(inside, inside.diag().diag(), atol=1e-9)
    assert torch.nn.functional.cosine_similarity((u @ v).flatten(), found.flatten(), dim=0) > 0.97


def test_nothing_becomes_nothing_and_no_nan():
    assert torch.equal(orthogonal(torch.zeros(4, 9)), torch.zeros(4, 9))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_it_turns_a_kernel_to_the_loss_s_minimum_on_the_sphere(memory_format):
    torch.manual_seed(0)
    target = torch.randn(5, 3, 3, 3)
    target *= len(target) ** 0.5 / target.norm()
    kernel = nn.Parameter(torch.randn(5, 3, 3, 3).to(memory_format=memory_format))
    optimiser = Muon([kernel], lr=0.3)
    for step in range(100):
        optimiser.param_groups[0]["lr"] = 0.3 * (1 - step / 100)
        optimiser.zero_grad()
        (-(kernel / kernel.norm() * target).sum()).backward()
        optimiser.step()
    learned = kernel.detach()
    assert nn.functional.cosine_similarity(learned.flatten(), target.flatten(), dim=0) > 0.99
    assert learned.norm() == pytest.approx(5**0.5, rel=0.1)


def test_it_goes_on_from_its_state_bit_by_bit():
    def steps(kernel, optimiser, gradients):
        for gradient in gradients:
            kernel.grad = gradient.clone()
            optimiser.step()

    torch.manual_seed(0)
    gradients = torch.randn(6, 4, 2, 3, 3)
    whole = nn.Parameter(torch.ones(4, 2, 3, 3))
    steps(whole, Muon([whole], lr=0.1), gradients)
    cut = nn.Parameter(torch.ones(4, 2, 3, 3))
    before = Muon([cut], lr=0.1)
    steps(cut, before, gradients[:3])
    after = Muon([cut], lr=0.1)
    after.load_state_dict(before.state_dict())
    steps(cut, after, gradients[3:])
    assert torch.equal(cut, whole)


def test_a_kernel_without_a_gradient_stays():
    kernel = nn.Parameter(torch.full((2, 3), 7.0))
    Muon([kernel], lr=0.1).step()
    assert (kernel == 7).all()
