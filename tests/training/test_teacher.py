"""The teacher: the mean of weights, written out."""

import torch
from torch import nn

from deconvviz.training.teacher import Teacher


def test_it_is_the_mean_of_all_weights_at_first_and_then_a_running_one():
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 0.0)
    teacher = Teacher(network, keep=0.6)
    expected = 0.0
    for step, value in enumerate((1.0, 5.0, 2.0, 7.0), 1):
        nn.init.constant_(network.weight, value)
        teacher.follow(network, step)
        keep = min(0.6, 1 - 1 / (step + 1))
        expected = keep * expected + (1 - keep) * value
        assert torch.allclose(teacher.network.weight, torch.tensor(expected))


def test_it_judges_in_evaluation_form_and_learns_nothing_itself():
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(4), nn.Linear(4, 3)).train()
    teacher = Teacher(network, keep=0.9)
    said = teacher.probabilities(torch.randn(8, 1, 2, 2))
    assert torch.allclose(said.sum(1), torch.ones(8))
    assert not said.requires_grad
    assert teacher.network[1].num_batches_tracked == 0
    assert network.training
    assert all(p.requires_grad for p in network.parameters())


def test_it_follows_running_statistics_too():
    network = nn.BatchNorm1d(2).train()
    teacher = Teacher(network, keep=0.5)
    network(torch.full((4, 2), 8.0) + torch.randn(4, 2))
    teacher.follow(network, 1)
    middle = network.running_mean / 2
    assert torch.allclose(teacher.network.running_mean, middle)
