"""Similarity of two projections by their magnitudes: rank correlation and structural similarity."""

import numpy as np
import torch
from torch import Tensor

_WINDOW = 7  # pixels; the side of the windows of structural similarity
_SMALLEST = 3


def magnitudes(pixels: Tensor) -> Tensor:
    """Absolute values summed over the channels: (..., C, h, w) -> (..., h, w) float64.

    Adebayo et al. (2018, arXiv:1810.03292) compare absolute values, because the sign of a saliency
    means little to a person.
    """
    return pixels.double().abs().sum(dim=-3)


def rank_correlation(maps: Tensor, other: Tensor) -> Tensor:
    """Spearman's rank correlation of each of K maps (K, h, w) with one other (h, w).

    Returns:
        (K,) float64 from -1 to 1; NaN where a map is constant, which has no ranks.
    """
    rows = torch.cat([maps.flatten(1), other.flatten()[None]]).double().cpu().numpy()
    from scipy import stats  # here, because it takes half a second

    # Not `spearmanr`: it warns of constant maps, and the warning's filter is shared by threads.
    ranks = stats.rankdata(rows, axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(ranks, axis=1)
    products = lengths[:-1] * lengths[-1]
    found = np.full(len(maps), np.nan)
    np.divide(ranks[:-1] @ ranks[-1], products, out=found, where=products > 0)
    return torch.from_numpy(found)


def structural_similarity(maps: Tensor, other: Tensor) -> Tensor:
    """Structural similarity (SSIM) of each of K maps (K, h, w) with one other (h, w).

    Wang et al. (2004), in windows of 7 x 7 pixels, or the largest odd side that fits. Maps are not
    negative; each is divided by its own largest value, as in Adebayo et al. (2018).

    Returns:
        (K,) float64 up to 1; NaN where a side is under three pixels or a map is all zero.
    """
    from skimage import metrics  # here, because it takes a third of a second

    side = min(_WINDOW, *other.shape)
    side -= 1 - side % 2
    found = np.full(len(maps), np.nan)
    reference = _full_scale(other)
    if side >= _SMALLEST and reference is not None:
        for place, one in enumerate(map(_full_scale, maps)):
            if one is not None:
                found[place] = metrics.structural_similarity(  # type: ignore[no-untyped-call]
                    one, reference, win_size=side, data_range=1.0
                )
    return torch.from_numpy(found)


def _full_scale(one: Tensor) -> np.ndarray | None:
    largest = float(one.max())
    return (one.double() / largest).cpu().numpy() if largest > 0 else None


def edges(image: Tensor) -> Tensor:
    """Length of the Sobel gradient of (C, H, W), summed over the channels.

    Returns:
        (H, W) float64, in the image's units per pixel; the border is repeated beyond the edge.
    """
    from scipy import ndimage  # here, because it takes a third of a second

    lengths = [
        np.hypot(*(ndimage.sobel(channel, axis, mode="nearest") for axis in (0, 1))) / 8
        for channel in image.double().cpu().numpy()
    ]
    return torch.from_numpy(np.sum(lengths, axis=0)).to(image.device)
