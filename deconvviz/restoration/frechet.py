"""How far generated pictures are from real ones, as distributions of features."""

from collections.abc import Callable

import torch
from torch import Tensor

_BLOCK = 500


def gaussian(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (D,) and covariance (D, D) of features (N, D), float64."""
    return features.double().mean(0), torch.cov(features.double().T).view(features.shape[1], -1)


def frechet_distance(features: Tensor, others: Tensor) -> float:
    """Squared Fréchet distance of two sets of features, each taken as a Gaussian.

    |m - n|^2 + tr(C + D - 2 (C D)^(1/2)), Dowson & Landau (1982); Heusel et al. (2017,
    arXiv:1706.08500) use it with Inception's features. It falls with the number of pictures, so
    only equal numbers compare.

    Args:
        features: (N, D), N > 1.
        others: (M, D).
    """
    mean, covariance = gaussian(features)
    other_mean, other_covariance = gaussian(others)
    # The trace of (C D)^(1/2) is that of (C^(1/2) D C^(1/2))^(1/2), which is symmetric.
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    product = torch.linalg.eigvalsh(root @ other_covariance @ root)
    trace = covariance.trace() + other_covariance.trace() - 2 * product.clamp(min=0).sqrt().sum()
    return float((mean - other_mean).square().sum() + trace)


@torch.inference_mode()
def features_of(network: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """(N, D) features of pictures, block by block.

    Args:
        network: (N, C, H, W) as `images` are -> (N, D).
        images: (N, C, H, W).
    """
    return torch.cat([network(block).float() for block in torch.split(images, _BLOCK)])


def phase_spread(images: Tensor, period: int = 2) -> float:
    """How strongly pictures draw a pattern of this period that is the same in all: a checkerboard.

    All pixels of equal row and column modulo `period` are averaged, over all pictures too; this is
    the standard deviation of these averages. A picture's own content averages out; what the layout
    of a transposed convolution adds at every multiple of its stride does not.

    Args:
        images: (N, C, H, W); more than `period` pixels at each border are left out.
        period: Of the pattern, in pixels.
    """
    height, width = (side - side % period - 2 * period for side in images.shape[-2:])
    inner = images[..., period : period + height, period : period + width].double()
    cells = inner.reshape(*inner.shape[:2], height // period, period, width // period, period)
    phases = cells.mean((0, 2, 4))  # (C, period, period)
    return float(phases.flatten(1).std(1, correction=0).mean())
