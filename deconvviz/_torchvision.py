"""The one typed door to torchvision, which has no types and takes a second to import."""

import warnings
from http.client import HTTPException
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deconvviz.errors import DataError

__all__ = ["cifar10"]


def cifar10(root: Path, *, train: bool, download: bool) -> tuple[NDArray[np.uint8], list[int]]:
    """Read CIFAR-10 (Krizhevsky 2009) from `root/cifar-10-batches-py`, checksums verified.

    Args:
        root: the folder that holds, or is to hold, `cifar-10-batches-py`.
        train: the 50 000 training pictures, else the 10 000 test pictures.
        download: fetch what is missing or damaged, with a progress bar.

    Returns:
        (N, 32, 32, 3) uint8 pixels and N labels.

    Raises:
        DataError: the files are missing or damaged, or could not be downloaded.
    """
    from torchvision.datasets import CIFAR10

    try:
        with warnings.catch_warnings():
            # The pickles of 2009 hold `align=0`, of which NumPy 2.4 complains.
            warnings.filterwarnings("ignore", message=r"dtype\(\): align should be passed")
            pictures = CIFAR10(str(root), train=train, download=download)
    except (OSError, HTTPException) as error:
        raise DataError(
            f"CIFAR-10 could not be brought to {root} ({error}); check network and disk, or name a "
            "folder that has it in --data-dir or DECONVVIZ_DATA"
        ) from error
    except RuntimeError as error:
        raise DataError(
            f"{root / CIFAR10.base_folder} is incomplete or damaged (its checksums differ); "
            "download it again (--download)"
        ) from error
    return pictures.data, pictures.targets
