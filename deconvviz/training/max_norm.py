"""Max-norm constraint on the kernels of convolutions."""

import torch
from torch import nn


@torch.no_grad()
def max_norm_(model: nn.Module, max_kernel_rms: float) -> None:
    """Scale every kernel whose root mean square is above `max_kernel_rms` down to it, in place.

    Zeiler & Fergus (2014, arXiv:1311.2901, section 3) saw a few kernels dominate the first layer
    and limited those of all convolutions to 0.1 after each step. Before BatchNorm, which undoes any
    scale, this changes no output, but short kernels turn faster at the same learning rate.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            rms = module.weight.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
            module.weight.mul_((max_kernel_rms / rms).clamp(max=1))
