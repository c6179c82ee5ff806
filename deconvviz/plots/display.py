"""Signed pixels as pictures: zero is grey."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deconvviz.errors import PictureError

PERCENTILE = 99.5  # of the magnitudes, shown at full contrast
_LONGEST = 6  # digits of a whole number
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

Scale = Literal["each", "shared"] | float


def display(
    pixels: Tensor,
    *,
    scale: Scale = "each",
    percentile: float = PERCENTILE,
    contrast: float | Sequence[float] = 1.0,
) -> NDArray[np.uint8]:
    """Signed pixels as pictures: zero is grey, and contrast is symmetric about it.

    Grey is 128, +scale is 255 and -scale is 1; what lies beyond is clipped. `display_caption` says
    this in a caption. Exact zeros do not count in the percentile, so that a window looks the same
    alone and in its whole picture.

    Args:
        pixels: (C, h, w), or (K, C, h, w) for K pictures; any float type, on any device. Three
            channels are red, green and blue; any other number is shown as its mean, in grey.
        scale: The magnitude at full contrast: "each" picture's own percentile, one "shared" by
            all K, or a number.
        percentile: Percentile of the non-zero magnitudes at full contrast, from 1 to 100.
        contrast: Share of full contrast that pictures reach, from 0 to 1: of all, or of each.

    Returns:
        uint8 (h, w, 3), or (K, h, w, 3). Pixels that are all zero are all grey.

    Raises:
        PictureError: Pixels, scale or percentile are not finite numbers of the form above.
    """
    if pixels.ndim not in (3, 4) or 0 in pixels.shape:
        raise PictureError(f"pixels must have shape ([K,] C, h, w), got {tuple(pixels.shape)}")
    if not 1 <= percentile <= 100:
        raise PictureError(f"percentile must be from 1 to 100, got {percentile}")
    batch = pixels.detach().reshape(-1, *pixels.shape[-3:])
    batch = batch if batch.dtype == torch.float64 else batch.float()
    if not bool(batch.isfinite().all()):
        raise PictureError("pixels must be finite, got NaN or inf; check weights and input")
    if batch.shape[1] != 3:
        batch = batch.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
    share = batch.new_tensor(contrast).reshape(-1, 1, 1, 1)
    signed = batch / _full_contrast(batch, scale, percentile)  # 0/0, where all is zero, is grey
    shades = signed.nan_to_num(nan=0.0).clamp(-1, 1).mul(127 * share).round().add(128)
    shown: NDArray[np.uint8] = shades.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    return np.ascontiguousarray(shown if pixels.ndim == 4 else shown[0])


def display_caption(
    *, scale: Scale = "each", percentile: float = PERCENTILE, denormalised: bool = False
) -> str:
    """A caption for figures of signed pixels: how `display` shows them."""
    if isinstance(scale, str):
        whose = {"each": "each picture's", "shared": "all pictures'"}[scale]
        full = f"percentile {percentile:g} of {whose} non-zero magnitudes"
    else:
        full = f"{scale:g}"
    units = "denormalised" if denormalised else "in normalised input units"
    return f"Signed pixels, {units}, symmetric about grey (zero); full contrast at {full}."


def _full_contrast(batch: Tensor, scale: Scale, percentile: float) -> Tensor:
    """The magnitude at full contrast, to divide the batch by; it stays on the device."""
    if not isinstance(scale, str):
        if not 0 < scale < math.inf:
            raise PictureError(f"scale must be above 0, or `each` or `shared`, got {scale}")
        return batch.new_tensor(scale)
    rows = batch.abs().reshape({"each": len(batch), "shared": 1}[scale], -1)
    # How many magnitudes may lie above it: so few that sorting only the largest ones will do.
    share = 1 - percentile / 100
    most = int(rows.shape[1] * share)
    above = rows.count_nonzero(dim=1).mul(share).long().clamp(max=most)
    return rows.topk(most + 1).values.gather(1, above[:, None])[:, :, None, None]


def minus(text: str) -> str:
    """Written numbers with minus signs in place of hyphens."""
    return text.replace("-", "\N{MINUS SIGN}")


def percent(share: float, digits: int = 0) -> str:
    """A share for people: 44%, and <1% or >99% where it would be rounded to none or all."""
    least = 10.0**-digits / 100
    if 0 < share < least / 2:
        return f"<{least:.{digits}%}"
    if 1 - least / 2 < share < 1:
        return f">{1 - least:.{digits}%}"
    return f"{share:.{0 if share in (0, 1) else digits}%}"


def spoken(name: str) -> str:
    """A class name for people."""
    return name.replace("_", " ")


def number(value: float, form: str = ".3g") -> str:
    """A number for people: 0.012, −3450, or 2.03 · 10⁻⁸ instead of 2.03e-08."""
    digits, exponential, exponent = f"{value:{form}}".partition("e")
    power = int(exponent or 0)
    if 0 <= power < _LONGEST and exponential:
        return minus(f"{float(digits) * 10**power:{'+' * form.startswith('+')}.0f}")
    raised = f" · 10{str(power).translate(_RAISED)}" if exponential else ""
    return f"{minus(digits)}{raised}"
