"""Encoding: the network's own forward pass, stage by stage."""

import pytest
import torch
from torch import nn

from deconvviz.models import MODELS, build
from deconvviz.training.encoder import encode


@pytest.mark.parametrize("switches", [False, True])
@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_last_map_is_the_networks_features(name, switches):
    model = build(name, channels=3).eval()
    images = torch.randn(2, 3, 32, 32)
    found = encode(model.stages, images, switches=switches)
    assert torch.equal(found.features, model.stages(images))
    assert len(found.maps) == len(model.stages) + 1
    assert found.maps[0] is images


def test_switches_are_where_the_maxima_were():
    model = build("seed-cnn").eval()
    images = torch.randn(1, 3, 8, 8)
    stage = model.stages[0]
    found = encode([stage], images, switches=True)
    ((pool,),) = found.pools
    before = nn.Sequential(*list(stage)[:2])(images)
    assert pool.input_shape == before.shape
    picked = before.flatten(2).gather(2, pool.indices.flatten(2))
    assert torch.equal(picked.view_as(found.features), found.features)
