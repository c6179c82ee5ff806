"""A small network, and drawn pictures for it."""

import pytest
import torch
from torch import nn

from deconvviz.io.bundle import Bundle
from deconvviz.io.data import draw_shapes


@pytest.fixture(scope="session")
def bundle():
    """Two convolutions on 16 x 16 pixels, in float64; unit 3 of the second is dead."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 12, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(12 * 64, 4),
    ).double()
    with torch.no_grad():
        model[3].bias[3] = -1e6
    return Bundle.of(model, (3, 16, 16), (0.5,) * 3, (0.25,) * 3)


@pytest.fixture(scope="session")
def shapes():
    """Seven batches of 16 pictures and a rest."""
    return draw_shapes(120, 16)
