"""Tiles of the photographs inside scikit-image; nothing is downloaded."""

import numpy as np
import torch
from torch import Tensor

from deconvviz.errors import DataError
from deconvviz.io.data.dataset import Dataset, LoadOptions, train_test_split
from deconvviz.io.data.pictures import check_channels, to_channels
from deconvviz.io.images import PHOTOGRAPHS, photograph

_TEST_SIZE = 0.2


def load_photos(options: LoadOptions) -> Dataset:
    """Cut the photographs into square tiles that do not overlap.

    The label is the photograph. A fifth of each, the same in every call, is the test split.
    Neighbouring tiles look alike, so accuracy here proves only that training works.
    """
    channels = options.channels_or(3)
    check_channels(channels)
    tiles = [_tiles(name, 32 if options.size is None else options.size) for name in PHOTOGRAPHS]
    labels = torch.cat([torch.full((len(part),), label) for label, part in enumerate(tiles)])
    images = to_channels(torch.cat(tiles), channels)
    whole = Dataset(images, labels, tuple(PHOTOGRAPHS), "photographs of scikit-image")
    train, test = train_test_split(whole, _TEST_SIZE, seed=0)
    return train if options.split == "train" else test


def _tiles(name: str, size: int) -> Tensor:
    """A photograph as (N, 3, size, size), row by row; the rest at right and bottom is dropped."""
    image = photograph(name).image
    if size > min(image.size):
        raise DataError(
            f"no tile of {size} pixels fits in `{name}`, which is {image.width}x{image.height}; "
            "ask for a smaller size"
        )
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    grid = pixels.unfold(1, size, size).unfold(2, size, size)
    return grid.permute(1, 2, 0, 3, 4).reshape(-1, 3, size, size)
