"""torchvision's RandAugment, each picture varied on its own."""

import torch
from torch import Tensor


def randaugment(images: Tensor, magnitude: int, seed: int) -> Tensor:
    """RandAugment with two operations (Cubuk et al. 2019, arXiv:1909.13719), each picture its own.

    torchvision draws from torch's global generator, whose state is restored afterwards.

    Args:
        images: (B, C, H, W) uint8, C 1 or 3, on any device.
        magnitude: 1 to 30.
        seed: The same seed varies the same pictures in the same way.

    Returns:
        New pictures of the same shape and dtype.
    """
    from torchvision.transforms.v2 import RandAugment

    vary = RandAugment(num_ops=2, magnitude=magnitude)
    before = torch.default_generator.get_state()
    try:
        # Only the CPU's: torch.manual_seed would seed every other device too.
        torch.default_generator.manual_seed(seed)
        return torch.stack([vary(image) for image in images])
    finally:
        torch.default_generator.set_state(before)
