"""Initial weights that save epochs: a decorrelating first layer, identity kernels in later ones."""

import torch
from torch import Tensor, nn


@torch.no_grad()
def decorrelated_init(model: nn.Module, images: Tensor) -> None:
    """Initialise the convolutions of a CNN from its training data, in place.

    The first kernels become the strongest principal components of the pictures' patches and their
    negatives, as many as fit, so that the first outputs are decorrelated. In each later convolution
    the first kernels are the identity. Jordan (2024), arXiv:2404.00498; here all are trained on.

    Args:
        model: The network.
        images: Normalised training pictures (N, C, H, W).
    """
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    first, *later = convolutions
    stride = max(1, images.shape[-1] // 32)  # neighbouring patches of large pictures are alike
    patches = nn.functional.unfold(images.contiguous(), first.weight.shape[-2:], stride=stride)
    flat = patches.permute(0, 2, 1).flatten(0, 1)
    # unit-length principal components, the strongest last
    vectors = torch.linalg.eigh(torch.cov(flat.T.double())).eigenvectors
    components = vectors.flip(1).T.reshape(-1, *first.weight.shape[1:])[: first.out_channels // 2]
    both = torch.cat([components, -components])
    # the scale of the random kernels it replaces, which matters without BatchNorm
    scale = first.weight.std() / both.std()
    first.weight[: len(both)] = (both * scale).to(first.weight)
    for convolution in later:
        nn.init.dirac_(convolution.weight[: convolution.in_channels])
