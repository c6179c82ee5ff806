"""How windows are shown: contrast, and the picture seen through a projection's extent."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deconvviz.io.preprocess import Pixels
from deconvviz.plots.display import PERCENTILE, display

FAINT = 0.01
"""Share of the layer's largest activation below which a projection is not stretched to full
contrast."""

WHOLE_PERCENTILE = 97
"""Percentile at full contrast of a whole picture: its fine lines need more than a window's."""

_GREY = 128
_BLUR = 0.06  # of the window's longer side


@dataclass(frozen=True)
class Look:
    """Choices of how windows are shown.

    Attributes:
        scale: Full contrast for "each" projection by itself, or one "shared" by all of a grid.
        patch: The picture in the window "whole", or seen "through" the projection's extent.
        crisp: Whether pixels are enlarged as squares, not smoothly.
    """

    scale: Literal["each", "shared"] = "each"
    patch: Literal["whole", "through"] = "whole"
    crisp: bool = False

    def projections(self, pixels: Sequence[Tensor], shares: Sequence[float]) -> Pixels:
        """Projections (C, h, w) of one size as pictures, uint8 (K, h, w, 3).

        `shares` are the activations over the layer's largest; see `contrast`.
        """
        return display(torch.stack(list(pixels)), scale=self.scale, contrast=contrast(shares))

    def patches(self, patches: Sequence[Pixels], pixels: Sequence[Tensor]) -> list[Pixels]:
        """The picture in each window, uint8 (h, w, 3), as chosen."""
        if self.patch == "whole":
            return list(patches)
        return [seen_through(*pair) for pair in zip(patches, pixels, strict=True)]


def contrast(shares: Sequence[float]) -> list[float]:
    """The contrast of each projection: 1, or less in proportion where its share is below `FAINT`.

    Args:
        shares: The unit's activation over the largest of its layer in the recording.
    """
    return [min(1.0, max(0.0, share) / FAINT) for share in shares]


def saved_picture(pixels: Tensor, *, whole: bool, share: float) -> Pixels:
    """A projection (C, h, w) as the Workbench shows it, uint8 (h, w, 3).

    Args:
        pixels: The projection.
        whole: Whether it is of the whole picture, not of one unit's window.
        share: Its highest activation over the layer's largest in the picture.
    """
    if whole:
        return display(pixels, percentile=WHOLE_PERCENTILE)
    return display(pixels, contrast=contrast([share]))


def extent(pixels: Tensor) -> NDArray[np.float64]:
    """Where a projection (C, h, w) lies: (h, w) from 0 to 1, its magnitude smoothed."""
    from scipy.ndimage import gaussian_filter  # here, because it takes a third of a second

    magnitude = pixels.detach().double().abs().sum(0).cpu().numpy()
    smooth = gaussian_filter(magnitude, max(0.5, _BLUR * max(magnitude.shape)), mode="constant")
    full = np.percentile(smooth, PERCENTILE)
    share: NDArray[np.float64] = np.clip(smooth / full, 0, 1) if full > 0 else 0 * smooth
    return share


def seen_through(patch: Pixels, pixels: Tensor) -> Pixels:
    """A picture (h, w, 3) where its projection (C, h, w) lies, and grey elsewhere."""
    weight = extent(pixels)[..., None]
    mixed = weight * patch + (1 - weight) * _GREY
    return mixed.round().astype(np.uint8)
