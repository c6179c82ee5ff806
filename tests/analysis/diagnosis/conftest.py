"""A network with known faults, and pictures for it."""

import pytest
import torch
from torch import nn

from deconvviz.analysis.diagnosis import diagnose
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import draw_shapes


@pytest.fixture(scope="session")
def bundle():
    """Units 1 and 2 of the first layer are one, unit 5 of the second is dead."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 6, 3), nn.ReLU()
    )
    with torch.no_grad():
        model[0].weight[2] = model[0].weight[1]
        model[3].bias[5] = -1e6
    return Bundle.of(model, (3, 16, 16), (0.5,) * 3, (0.25,) * 3, name="faulty & <odd>")


@pytest.fixture(scope="session")
def shapes():
    return draw_shapes(80, 16)


@pytest.fixture(scope="session")
def diagnosis(bundle, shapes):
    return diagnose(bundle, shapes)
