"""The moving average of the weights, written out."""

import pytest
import torch
from torch import nn

from deconvviz.training.moving_average import MovingAverage


def test_it_is_the_mean_of_all_weights_at_first_and_then_exponential():
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 0.0)
    ema = MovingAverage(network, decay=0.6)
    expected = 0.0
    for step, value in enumerate((1.0, 5.0, 2.0, 7.0), 1):
        nn.init.constant_(network.weight, value)
        if step == 3:  # as after a resume
            weights = ema.module.state_dict()
            ema = MovingAverage(network, decay=0.6)
            ema.module.load_state_dict(weights)
            ema.resume(step - 1)
        ema.update_parameters(network)
        decay = min(0.6, 1 - 1 / (step + 1))
        expected = decay * expected + (1 - decay) * value
        assert float(ema.module.weight) == pytest.approx(expected)


def test_it_is_in_evaluation_mode_and_has_no_gradients():
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(4), nn.Linear(4, 3)).train()
    ema = MovingAverage(network, decay=0.9)
    assert not ema(torch.randn(8, 1, 2, 2)).requires_grad
    assert ema.module[1].num_batches_tracked == 0
    assert network.training
    assert all(p.requires_grad for p in network.parameters())


def test_running_statistics_are_averaged_and_counters_copied():
    network = nn.BatchNorm1d(2).train()
    ema = MovingAverage(network, decay=0.5)
    network(torch.full((4, 2), 8.0) + torch.randn(4, 2))
    ema.update_parameters(network)
    assert torch.allclose(ema.module.running_mean, network.running_mean / 2)
    assert ema.module.num_batches_tracked == 1
