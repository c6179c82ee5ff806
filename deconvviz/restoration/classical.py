"""Restoration without learning, by scikit-image and scipy: what networks are compared with."""

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import griddata
from skimage import restoration
from torch import Tensor

from deconvviz.restoration.evaluate import Method, Problem, compare

Pixels = NDArray[np.float64]

# Values that are tried on training pictures held out; the best one is taken.
_NLM = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)  # filter strength, in standard deviations of the noise
_TV = (0.5, 0.6, 0.75, 0.9, 1.1)  # weight, in the same unit
_ITERATIONS = (1, 2, 3, 5, 8, 12, 20, 30)
_BALANCE = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)


def by_channel(function: Callable[[Pixels], Pixels]) -> Method:
    """A function of one channel (H, W) in [0, 1] as a method."""

    def method(given: Tensor) -> Tensor:
        channels = [function(one.double().numpy() / 255) for one in given]
        return torch.from_numpy(np.stack(channels)).float() * 255

    return method


def non_local_means(sigma: float, strength: float) -> Method:
    """Non-local means (Buades et al. 2005) at a known noise; patches of 5 within 13 pixels.

    Args:
        sigma: Standard deviation of the noise, of 255.
        strength: Of the filter, in units of `sigma`.
    """
    noise = sigma / 255
    return by_channel(
        lambda pixels: restoration.denoise_nl_means(
            pixels, patch_size=5, patch_distance=6, h=strength * noise, sigma=noise
        )
    )


def total_variation(sigma: float, weight: float) -> Method:
    """Total variation (Chambolle 2004); `weight` is in units of the noise `sigma`."""
    return by_channel(
        lambda pixels: restoration.denoise_tv_chambolle(  # type: ignore[no-untyped-call]
            pixels, weight=weight * sigma / 255
        )
    )


def wavelet(sigma: float) -> Method:
    """Wavelet shrinkage (Chang et al. 2000) at a known noise."""
    return by_channel(
        lambda pixels: restoration.denoise_wavelet(
            pixels, sigma=sigma / 255, wavelet="db2", rescale_sigma=True
        )
    )


def richardson_lucy(psf: Pixels, iterations: int) -> Method:
    """Richardson-Lucy deconvolution with the true kernel."""
    return _mirrored(
        lambda pixels: restoration.richardson_lucy(  # type: ignore[no-untyped-call]
            np.clip(pixels, 1e-4, 1), psf, num_iter=iterations
        ),
        psf,
    )


def wiener(psf: Pixels, balance: float) -> Method:
    """Wiener deconvolution with the true kernel; `balance` weighs smoothness against the data."""
    return _mirrored(
        lambda pixels: restoration.wiener(  # type: ignore[no-untyped-call]
            pixels, psf, balance, clip=False
        ),
        psf,
    )


def _mirrored(function: Callable[[Pixels], Pixels], psf: Pixels) -> Method:
    """A deconvolution of each channel, continued by mirroring as the blur was."""
    margin = 2 * len(psf)

    def of_channel(pixels: Pixels) -> Pixels:
        return function(np.pad(pixels, margin, mode="symmetric"))[margin:-margin, margin:-margin]

    return by_channel(of_channel)


def gaussian_kernel(sigma: float) -> Pixels:
    """A Gaussian, (n, n), of sum 1, cut at four standard deviations."""
    radius = int(4 * sigma + 0.5)
    line = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel: Pixels = np.outer(line, line) / line.sum() ** 2
    return kernel


def interpolated(given: Tensor) -> Tensor:
    """Missing pixels by linear interpolation between the known ones (Delaunay triangles)."""
    known = given[-1].numpy() > 0
    pixels = given[:-1].permute(1, 2, 0).numpy().copy()
    places, values, missing = np.argwhere(known), pixels[known], np.argwhere(~known)
    linear = griddata(places, values, missing, method="linear")
    outside = np.isnan(linear[:, 0])  # of all triangles
    if outside.any():
        linear[outside] = griddata(places, values, missing[outside], method="nearest")
    pixels[~known] = linear
    return torch.from_numpy(pixels).permute(2, 0, 1).float().contiguous()


def biharmonic(given: Tensor) -> Tensor:
    """Missing pixels by scikit-image's biharmonic equation (Damelin & Hoang 2018)."""
    missing = given[-1].numpy() == 0
    filled = restoration.inpaint_biharmonic(
        given[:-1].double().numpy() / 255, missing, channel_axis=0
    )
    return torch.from_numpy(filled).float() * 255


def denoisers(held_out: Sequence[Problem], sigma: float) -> dict[str, Method]:
    """Classical methods, their strengths the best ones on pictures held out of the training."""
    made = {
        "NLM": _best(held_out, {v: non_local_means(sigma, v) for v in _NLM}),
        "TV": _best(held_out, {v: total_variation(sigma, v) for v in _TV}),
    }
    if find_spec("pywt"):  # which scikit-image's wavelets need
        made["wavelet"] = wavelet(sigma)
    return made


def deblurrers(held_out: Sequence[Problem], sigma: float) -> dict[str, Method]:
    """Classical methods that know the blur, tuned as `denoisers`."""
    psf = gaussian_kernel(sigma)
    return {
        "Richardson-Lucy": _best(held_out, {n: richardson_lucy(psf, n) for n in _ITERATIONS}),
        "Wiener": _best(held_out, {v: wiener(psf, v) for v in _BALANCE}),
    }


def _best(held_out: Sequence[Problem], candidates: Mapping[float, Method]) -> Method:
    """The candidate of the highest mean PSNR."""
    found = compare(held_out, {str(value): one for value, one in candidates.items()})
    return max(candidates.items(), key=lambda item: found[str(item[0])].mean())[1]
