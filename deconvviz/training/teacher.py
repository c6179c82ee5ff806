"""A teacher: the running mean of a network that learns, and what it says of pictures."""

import copy

import torch
from torch import Tensor, nn

__all__ = ["Teacher"]


class Teacher:
    """The mean of a network's weights over its last steps.

    It is more often right than the network is, and the network is to agree with it about pictures
    without labels. Tarvainen & Valpola (2017), "Mean teachers", arXiv:1703.01780.

    Args:
        network: Its weights and statistics to start with.
        keep: The share of the mean that stays, each step; at first less, so that the initial
            weights are soon forgotten.
    """

    def __init__(self, network: nn.Module, keep: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
        self.keep = keep

    @torch.no_grad()
    def probabilities(self, images: Tensor) -> Tensor:
        """(N, K), of normalised pictures (N, C, H, W)."""
        logits: Tensor = self.network(images)
        return logits.float().softmax(1)

    @torch.no_grad()
    def follow(self, network: nn.Module, step: int) -> None:
        """Take the weights after a step, counted from 1, into the mean."""
        new = 1 - min(self.keep, 1 - 1 / (step + 1))
        mine, theirs = self.network.state_dict(), network.state_dict()
        for name, value in mine.items():
            if value.is_floating_point():
                value.lerp_(theirs[name], new)
            else:
                value.copy_(theirs[name])
