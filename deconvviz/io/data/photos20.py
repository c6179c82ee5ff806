"""Photographs of 20 classes at 128 pixels: Imagenette's ten things and ImageWoof's ten dogs."""

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from deconvviz.io.data.dataset import Dataset, LoadOptions
from deconvviz.io.data.published import PublishedDataset

# fmt: off
CLASSES = (
    "australian_terrier", "beagle", "border_terrier", "cassette_player", "chain_saw", "church",
    "dingo", "english_foxhound", "english_springer", "french_horn", "garbage_truck", "gas_pump",
    "golden_retriever", "golf_ball", "old_english_sheepdog", "parachute", "rhodesian_ridgeback",
    "samoyed", "shih_tzu", "tench",
)
# fmt: on
"""Classes in the order of the labels, which is alphabetical."""

PHOTOS20 = PublishedDataset(
    name="photos20",
    title="photos20",
    torchvision=None,
    folder=None,
    shape=(3, 128, 128),
    classes=CLASSES,
    counts={"train": 18_494, "test": 5_881},
    class_folders=True,
    origin=(
        "Imagenette and ImageWoof (J. Howard, fast.ai), 20 classes of ImageNet (Russakovsky et "
        "al., ImageNet Large Scale Visual Recognition Challenge, 2015), resized to 128x128 without "
        "regard to their aspect; for non-commercial research and education by ImageNet's terms; "
        "both are published by fast.ai, and are read as class folders `train|test/CLASS`"
    ),
)

_SIDE = 16
# RMS difference of 255: copies of one photograph are below 5, two of a blue sky at 11 or more.
_MAX_DIFFERENCE = 8.0


def load_photos20(options: LoadOptions) -> Dataset:
    """Load a split; test pictures that are also in the training split are dropped.

    Raises:
        DataError: It is missing or damaged, or has no such channels.
    """
    dataset = PHOTOS20.load(options)
    if options.split != "test":
        return dataset
    train = PHOTOS20.load(replace(options, split="train"))
    return dataset.subset((~copies(dataset.images, train.images)).nonzero().flatten())


def copies(images: Tensor, others: Tensor) -> Tensor:
    """Find pictures that are among others, also if compressed again.

    Args:
        images: (N, C, H, W) uint8.
        others: (M, C, H, W) uint8.

    Returns:
        (N,) bool.
    """
    ours, theirs = _reduced(images), _reduced(others)
    limit = _MAX_DIFFERENCE * ours.shape[1] ** 0.5
    found = [(torch.cdist(block, theirs) < limit).any(1) for block in torch.split(ours, 500)]
    return torch.cat(found)


def _reduced(images: Tensor) -> Tensor:
    """(N, C * 16 * 16) float32: means of blocks."""
    blocks = torch.split(images, 500)
    return torch.cat(
        [functional.adaptive_avg_pool2d(block.float(), _SIDE).flatten(1) for block in blocks]
    )
