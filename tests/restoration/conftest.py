"""Small pictures that need no files."""

import pytest
import torch

from deconvviz.io.data.benchmarks import PictureSet
from deconvviz.io.data.shapes import draw_shapes


def drawn(count, seed, channels=3, side=48):
    """Pictures of drawn shapes."""
    images = draw_shapes(count, size=side, channels=channels, seed=seed).images
    return PictureSet("shapes", tuple(images), tuple(map(str, range(count))))


@pytest.fixture(scope="session")
def shapes():
    """Pictures to train on, and others to validate on."""
    torch.manual_seed(0)
    return drawn(6, 1), drawn(2, 2)
