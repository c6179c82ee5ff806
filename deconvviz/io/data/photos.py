"""Tiles of real photographs that come inside scikit-image, hence need no network."""

import numpy as np
import torch
from torch import Tensor

from deconvviz.errors import DataError
from deconvviz.io.data.dataset import Dataset, held_out
from deconvviz.io.data.pictures import check_channels, in_channels
from deconvviz.io.data.request import Request
from deconvviz.io.images import PHOTOGRAPHS, photograph

__all__ = ["load_photos"]

_TEST_SHARE = 0.2


def load_photos(request: Request) -> Dataset:
    """Cut the photographs into square tiles, side by side, none overlapping another.

    A label says which photograph a tile is from. Of each a fifth, the same at every call, is the
    test split. Tiles that touch look alike, so accuracy here proves only that training works.
    """
    channels = request.channels_or(3)
    check_channels(channels)
    if request.split not in ("train", "test"):
        raise DataError(f"the photographs have no split `{request.split}`; they have train, test")
    tiles = [_tiles(name, 32 if request.size is None else request.size) for name in PHOTOGRAPHS]
    labels = torch.cat([torch.full((len(part),), label) for label, part in enumerate(tiles)])
    images = in_channels(torch.cat(tiles), channels)
    whole = Dataset(images, labels, tuple(PHOTOGRAPHS), "photographs of scikit-image")
    train, test = held_out(whole, _TEST_SHARE, seed=0)
    return train if request.split == "train" else test


def _tiles(name: str, size: int) -> Tensor:
    """A photograph as (N, 3, size, size), row by row; the rest at right and bottom is left out."""
    image = photograph(name).image
    if size > min(image.size):
        raise DataError(
            f"no tile of {size} pixels fits in `{name}`, which is {image.width}x{image.height}; "
            "ask for a smaller size"
        )
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    grid = pixels.unfold(1, size, size).unfold(2, size, size)
    return grid.permute(1, 2, 0, 3, 4).reshape(-1, 3, size, size)
