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
    components = _patch_components(images, first.kernel_size)[: first.out_channels // 2]
    both = torch.cat([components, -components])
    # the scale of the random kernels it replaces, which matters without BatchNorm
    scale = first.weight.std() / both.std()
    first.weight[: len(both)] = (both * scale).to(first.weight)
    for convolution in later:
        nn.init.dirac_(convolution.weight[: convolution.in_channels])


def _patch_components(images: Tensor, kernel: tuple[int, ...]) -> Tensor:
    """Unit-length principal components of many patches, (C*h*w, C, h, w), strongest first."""
    height, width = kernel
    channels = images.shape[1]
    stride = max(1, images.shape[-1] // 32)  # neighbouring patches of large pictures are alike
    patches = nn.functional.unfold(images.contiguous(), (height, width), stride=stride)
    flat = patches.permute(0, 2, 1).reshape(-1, channels * height * width)
    vectors: Tensor = torch.linalg.eigh(torch.cov(flat.T.double())).eigenvectors
    return vectors.flip(1).T.reshape(-1, channels, height, width)
