"""How near a restored picture is to its original."""

import numpy as np
import torch
from skimage.metrics import structural_similarity
from torch import Tensor


def luma(pixels: Tensor) -> Tensor:
    """Y of ITU-R BT.601, 16 to 235: (3, H, W) RGB in 0..255 -> (1, H, W), not rounded."""
    weights = pixels.new_tensor([65.481, 128.553, 24.966]) / 255
    return 16 + torch.einsum("c,...chw->...hw", weights, pixels).unsqueeze(-3)


def psnr(restored: Tensor, original: Tensor, border: int = 0) -> float:
    """Peak signal-to-noise ratio in dB, of pixels in 0..255.

    Args:
        restored: (C, H, W).
        original: The same shape.
        border: Pixels that are cut off each side first.
    """
    height, width = original.shape[-2:]
    rows, columns = slice(border, height - border), slice(border, width - border)
    difference = restored[..., rows, columns].double() - original[..., rows, columns].double()
    return float(10 * torch.log10(255**2 / difference.square().mean()))


def ssim(restored: Tensor, original: Tensor, border: int = 0) -> float:
    """Structural similarity (Wang et al. 2004) with its Gaussian window, of pixels in 0..255.

    Arguments are as those of `psnr`.
    """
    height, width = original.shape[-2:]
    rows, columns = slice(border, height - border), slice(border, width - border)
    one, other = (p[..., rows, columns].double().numpy() for p in (restored, original))
    value = structural_similarity(  # type: ignore[no-untyped-call]
        one,
        other,
        channel_axis=0,
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    return float(np.asarray(value))
