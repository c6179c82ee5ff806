"""The one typed door to torchvision, which has no types and takes a second to import."""

import pickle
import warnings
from http.client import HTTPException
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deconvviz.errors import DataError

__all__ = ["published", "randaugment"]

# What reading raises: a checksum or a file that is missing, and the marks of a damaged idx file.
_DAMAGED = (RuntimeError, AssertionError, ValueError, TypeError, LookupError, EOFError)


def published(
    name: str, root: Path, *, train: bool, download: bool
) -> tuple[NDArray[np.uint8], list[int]]:
    """Read a published data set from below `root`.

    Args:
        name: CIFAR10 or CIFAR100 (checksums verified; fine labels), MNIST or FashionMNIST (which
            torchvision verifies only when it downloads them).
        root: the folder that holds, or is to hold, `cifar-10-batches-py`, `cifar-100-python`,
            `MNIST/raw` or `FashionMNIST/raw`.
        train: the training pictures, else the test pictures.
        download: fetch what is missing, with a progress bar.

    Returns:
        (N, H, W, C) uint8 pixels and N labels.

    Raises:
        DataError: the files are missing or damaged, or could not be downloaded.
    """
    from torchvision import datasets

    kind = getattr(datasets, name)
    folder = root / getattr(kind, "base_folder", f"{name}/raw")
    try:
        with warnings.catch_warnings():
            # The pickles of 2009 hold `align=0`, of which NumPy 2.4 complains.
            warnings.filterwarnings("ignore", message=r"dtype\(\): align should be passed")
            pictures = kind(str(root), train=train, download=download)
    except (OSError, HTTPException) as error:
        raise _unreachable(name, root, error) from error
    except (*_DAMAGED, pickle.UnpicklingError) as error:
        if str(error).startswith("Error downloading"):  # what it says when no mirror answers
            raise _unreachable(name, root, error) from error
        raise DataError(
            f"{folder} is incomplete or damaged (its files are not the published ones); "
            "remove it and download it again (--download)"
        ) from error
    pixels = np.asarray(pictures.data)
    labels = torch.as_tensor(pictures.targets).tolist()
    return pixels.reshape(*pixels.shape[:3], -1), labels


def _unreachable(name: str, root: Path, error: Exception) -> DataError:
    reason = " ".join(str(error).split())
    return DataError(
        f"{name} could not be brought to {root} ({reason}); check network and disk, or name a "
        "folder that has it in --data-dir or DECONVVIZ_DATA"
    )


def randaugment(images: Tensor, magnitude: int, seed: int) -> Tensor:
    """RandAugment with two operations (Cubuk et al. 2019, arXiv:1909.13719), each picture its own.

    torchvision draws from torch's global generator; what that holds is put back afterwards.

    Args:
        images: (B, C, H, W) uint8, C 1 or 3, on any device.
        magnitude: 1 to 30.
        seed: the same seed varies the same pictures in the same way.

    Returns:
        New pictures of the same form.
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
