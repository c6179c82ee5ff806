"""How alike two projections are: rank correlation and structural similarity of their magnitudes."""

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["edges", "magnitudes", "rank_correlation", "structural_similarity"]

_WINDOW = 7  # pixels; the side of the windows that structural similarity looks at
_SMALLEST = 3
_K1, _K2 = 0.01, 0.03  # Wang et al. (2004)


def magnitudes(pixels: Tensor) -> Tensor:
    """How much of a signed picture is at each place: absolute values, summed over the channels.

    Adebayo et al. (2018, arXiv:1810.03292) compare absolute values, because the sign of a saliency
    means little to a person.

    Args:
        pixels: (..., C, h, w).

    Returns:
        (..., h, w) float64, not negative.
    """
    return pixels.double().abs().sum(dim=-3)


def rank_correlation(maps: Tensor, other: Tensor) -> Tensor:
    """Spearman's rank correlation of each of K maps with one other; equal values share a rank.

    Args:
        maps: (K, h, w).
        other: (h, w).

    Returns:
        (K,) float64 from -1 to 1; NaN where a map is constant, which has no ranks.
    """
    ranks = torch.stack([_ranks(row) for row in maps.flatten(1).unbind()])
    theirs = _ranks(other.flatten())
    ranks, theirs = ranks - ranks.mean(1, keepdim=True), theirs - theirs.mean()
    return (ranks * theirs).sum(1) / (ranks.square().sum(1) * theirs.square().sum()).sqrt()


def _ranks(values: Tensor) -> Tensor:
    """The ranks of (P,) values from 0, the mean of theirs for equal ones."""
    _, place, count = torch.unique(values, return_inverse=True, return_counts=True)
    before: Tensor = count.cumsum(0) - (count + 1) / 2
    return before.double()[place]


def structural_similarity(maps: Tensor, other: Tensor) -> Tensor:
    """Structural similarity (SSIM) of each of K maps with one other, each at its own full scale.

    Wang et al. (2004): means, variances and the covariance in every window of 7 x 7 pixels, or the
    largest odd side that fits; all pixels of a window count alike and variances are unbiased. Maps
    are divided by their own largest value before, as in Adebayo et al. (2018), so that the range is
    one.

    Args:
        maps: (K, h, w), not negative.
        other: (h, w), not negative.

    Returns:
        (K,) float64 up to 1; NaN where a side is under three pixels or a map is all zero.
    """
    side = min(_WINDOW, *other.shape)
    side -= 1 - side % 2
    if side < _SMALLEST:
        return torch.full((len(maps),), torch.nan, dtype=torch.float64)
    a, b = _full_scale(maps), _full_scale(other[None])
    means = [functional.avg_pool2d(m[:, None], side, stride=1) for m in (a, b, a * a, b * b, a * b)]
    mean_a, mean_b, aa, bb, ab = means
    unbiased = side**2 / (side**2 - 1)
    variances = unbiased * (aa - mean_a**2 + bb - mean_b**2)
    covariance = unbiased * (ab - mean_a * mean_b)
    c1, c2 = _K1**2, _K2**2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    similarity: Tensor = luminance * (2 * covariance + c2) / (variances + c2)
    return similarity.mean((1, 2, 3))


def _full_scale(maps: Tensor) -> Tensor:
    return maps.double() / maps.double().amax((1, 2), keepdim=True)


def edges(image: Tensor) -> Tensor:
    """The edges of a picture: the length of its Sobel gradient, summed over the channels.

    What lies beyond the border is as what lies on it.

    Args:
        image: (C, H, W).

    Returns:
        (H, W) float64, in the image's units a pixel.
    """
    smooth, differ = image.new_tensor([1, 2, 1]).double() / 4, image.new_tensor([-1, 0, 1]) / 2
    across = torch.outer(smooth, differ.double())
    kernels = torch.stack([across, across.T])[:, None]
    padded = functional.pad(image.double()[:, None], (1, 1, 1, 1), mode="replicate")
    return functional.conv2d(padded, kernels).square().sum(dim=1).sqrt().sum(dim=0)
