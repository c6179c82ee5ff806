"""Kernels are limited one by one, and nothing else is touched."""

import torch
from torch import nn

from deconvviz.training.optimisers import max_norm_


def test_only_kernels_beyond_the_radius_are_shortened_and_none_is_turned():
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Flatten(), nn.Linear(5, 2))
    kernels = model[0].weight.data
    scales = torch.tensor([0.01, 0.09, 0.11, 1.0, 50.0])
    kernels.mul_((scales / kernels.square().mean((1, 2, 3)).sqrt())[:, None, None, None])
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    max_norm_(model, 0.1)
    after = model.state_dict()
    for unit, scale in enumerate(scales.tolist()):
        old, new = before["0.weight"][unit], after["0.weight"][unit]
        if scale < 0.1:
            assert torch.equal(new, old)
        else:
            assert abs(float(new.pow(2).mean().sqrt()) - 0.1) < 1e-6
            assert torch.cosine_similarity(new.flatten(), old.flatten(), dim=0) > 1 - 1e-6
    assert all(torch.equal(after[name], before[name]) for name in before if name != "0.weight")


def test_a_kernel_of_zeros_stays_and_gives_no_nan():
    model = nn.Conv2d(2, 3, 3, groups=1)
    nn.init.zeros_(model.weight)
    max_norm_(model, 0.1)
    assert not model.weight.any()
