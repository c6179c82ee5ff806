"""A network tried on one picture, beside what does it without learning.

The picture is degraded first, so that the original is known; or it is restored as it is.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from scipy.spatial import QhullError
from torch import Tensor

from deconvviz.errors import PictureError
from deconvviz.restoration.apply import Restorer
from deconvviz.restoration.classical import (
    gaussian_kernel,
    interpolated,
    non_local_means,
    wiener,
)
from deconvviz.restoration.degradations import (
    add_noise,
    blurred,
    cropped,
    reduced,
    resize,
    to_8_bit,
)
from deconvviz.restoration.evaluate import Method
from deconvviz.restoration.metrics import luma, psnr, ssim
from deconvviz.restoration.pictures import Deblurring

LEAST = 48
"""Pixels of the shorter side of a picture that is degraded first."""
# Near the best of several values on photographs at usual strengths.
_NLM, _BALANCE = 0.7, 0.005


@dataclass(frozen=True)
class Outcome:
    """What one method made, and how near the original it is.

    Attributes:
        pixels: (C, H, W) uint8.
        seconds: Time that it took; NaN for the given picture.
        psnr: In dB; NaN where it is not known.
        ssim: Structural similarity; NaN where it is not known.
    """

    pixels: Tensor = field(repr=False)
    seconds: float = math.nan
    psnr: float = math.nan
    ssim: float = math.nan


@dataclass(frozen=True)
class Trial:
    """All methods on one picture.

    Attributes:
        outcomes: Name -> outcome: the given picture, a classical method where there is one, and
            the network last.
        original: (C, H, W) uint8; None where it is not known.
    """

    outcomes: dict[str, Outcome]
    original: Tensor | None = field(repr=False)

    @property
    def network(self) -> Outcome:
        """What the network made."""
        return list(self.outcomes.values())[-1]


def tried(
    restorer: Restorer,
    pixels: Tensor,
    *,
    amount: float | None = None,
    missing: Tensor | None = None,
) -> Trial:
    """Restore a picture.

    Args:
        restorer: The networks.
        pixels: (1 or 3, H, W) uint8.
        amount: Degrade the picture first, in 8 bits as a file is: standard deviation of noise in
            grey levels, or of a blur in pixels, or share of missing pixels; super-resolution
            reduces by its scale, whatever it is. None restores the picture as it is.
        missing: (H, W) bool, of pixels to fill in; for `inpaint` alone, where nothing is degraded.

    Raises:
        PictureError: The picture is too small to be degraded, or `missing` does not fit.
        SettingError: `missing` is not given for `inpaint`, or given for another task.
    """
    original: Tensor | None = None
    given = pixels
    if amount is not None:
        if min(pixels.shape[-2:]) < LEAST:
            height, width = pixels.shape[-2:]
            raise PictureError(
                f"the picture has {width} x {height} pixels, too few to be degraded first; take "
                f"one of at least {LEAST} on each side"
            )
        original = cropped(pixels, restorer.enlarges)
        given, missing = _degraded(restorer, original, amount)
    elif missing is not None and not 0 < int(missing.sum()) < missing.numel():
        raise PictureError("the mask must have white pixels, which are missing, and others")
    known = _measure(restorer, original)
    outcomes = {"given": known(given, math.nan)}
    if peer := _peer(restorer, amount, missing):
        name, method = peer
        started = time.perf_counter()
        try:
            made = method(given)
            outcomes[name] = known(made, time.perf_counter() - started)
        except QhullError:  # what is known lies on a line
            pass
    started = time.perf_counter()
    made = restorer(given, missing)
    outcomes["network"] = known(made, time.perf_counter() - started)
    return Trial(outcomes, original)


def _degraded(restorer: Restorer, original: Tensor, amount: float) -> tuple[Tensor, Tensor | None]:
    """A degraded picture in 8 bits, the same for the same picture, and its missing pixels."""
    generator = torch.Generator().manual_seed(0)
    if restorer.task == "sr":
        return reduced(original, restorer.enlarges), None
    if restorer.task == "inpaint":
        missing = torch.rand(original.shape[1:], generator=generator) < amount
        return original * ~missing, missing
    clean = original.float() / 255
    if restorer.task == "deblur":
        clean = blurred(clean, amount)
    noise = torch.tensor(Deblurring.NOISE if restorer.task == "deblur" else amount)
    return (to_8_bit(add_noise(clean, noise, generator)) * 255).round().byte(), None


def _peer(
    restorer: Restorer, amount: float | None, missing: Tensor | None
) -> tuple[str, Callable[[Tensor], Tensor]] | None:
    """A classical method and its name; it knows the noise or the blur, so those must be known."""
    name: str
    method: Method
    if restorer.task == "sr":
        scale = restorer.enlarges
        return "bicubic interpolation", lambda given: resize(given, *_sides(given, scale))
    if missing is not None:
        known = 255 * (~missing)[None].float()
        name = "linear interpolation"
        method = lambda given: interpolated(torch.cat([given, known]))  # noqa: E731
    elif amount is None:
        return None
    elif restorer.task == "denoise":
        name, method = "non-local means", non_local_means(amount, _NLM)
    else:
        name, method = "Wiener deconvolution", wiener(gaussian_kernel(amount), _BALANCE)
    return name, lambda given: method(given.float()).round().clamp(0, 255).byte()


def _sides(pixels: Tensor, scale: int) -> tuple[int, int]:
    height, width = pixels.shape[-2:]
    return height * scale, width * scale


def _measure(restorer: Restorer, original: Tensor | None) -> Callable[[Tensor, float], Outcome]:
    """Outcomes with figures: of luma without borders for super-resolution, else of all pixels."""

    def measured(made: Tensor, seconds: float) -> Outcome:
        if original is None or made.shape != original.shape:
            return Outcome(made, seconds)
        pair, border = (made.float(), original.float()), 0
        if restorer.task == "sr":
            pair = (luma(pair[0].expand(3, -1, -1)), luma(pair[1].expand(3, -1, -1)))
            border = restorer.enlarges
        return Outcome(made, seconds, psnr(*pair, border), ssim(*pair, border))

    return measured
