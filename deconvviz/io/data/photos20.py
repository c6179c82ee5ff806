"""Photographs of 20 classes at 128 pixels: Imagenette's ten things and ImageWoof's ten dogs."""

import torch
from torch import Tensor
from torch.nn import functional

from deconvviz.io.data.dataset import Dataset
from deconvviz.io.data.published import Published
from deconvviz.io.data.request import Request

__all__ = ["CLASSES", "PHOTOS20", "copies", "load_photos20"]

CLASSES = (
    "australian_terrier",
    "beagle",
    "border_terrier",
    "cassette_player",
    "chain_saw",
    "church",
    "dingo",
    "english_foxhound",
    "english_springer",
    "french_horn",
    "garbage_truck",
    "gas_pump",
    "golden_retriever",
    "golf_ball",
    "old_english_sheepdog",
    "parachute",
    "rhodesian_ridgeback",
    "samoyed",
    "shih_tzu",
    "tench",
)
"""The classes in alphabetical order."""

PHOTOS20 = Published(
    name="photos20",
    title="photos20",
    door=None,
    files=None,
    form=(3, 128, 128),
    classes=CLASSES,
    pictures={"train": 18_494, "test": 5_881},
    as_folders=True,
)

_SIDE = 16
_ALIKE = 8.0  # of 255; copies of one photograph are below 5, two of a blue sky at 11 and more


def load_photos20(request: Request) -> Dataset:
    """Load one part; test pictures that are in the training part too are left out of the test.

    Raises:
        DataError: It is not found or damaged, or has no such split, size or channels.
    """
    part = PHOTOS20.load(request)
    if request.split != "test":
        return part
    train = PHOTOS20.load(request.of("train"))
    return part.subset((~copies(part.images, train.images)).nonzero().flatten())


def copies(images: Tensor, others: Tensor) -> Tensor:
    """Which pictures are among others, also recompressed ones.

    Args:
        images: (N, C, H, W) uint8.
        others: (M, C, H, W) uint8.

    Returns:
        (N,) bool.
    """
    ours, theirs = _reduced(images), _reduced(others)
    limit = _ALIKE * ours.shape[1] ** 0.5
    found = [(torch.cdist(block, theirs) < limit).any(1) for block in torch.split(ours, 500)]
    return torch.cat(found)


def _reduced(images: Tensor) -> Tensor:
    """(N, C * 16 * 16) float32: means of blocks."""
    blocks = torch.split(images, 500)
    return torch.cat(
        [functional.adaptive_avg_pool2d(block.float(), _SIDE).flatten(1) for block in blocks]
    )
