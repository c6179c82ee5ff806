"""What a network's stages make of pictures, stage by stage, with the switches of their pools."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from deconvviz.models import StagedCNN

__all__ = ["Encoding", "Pooled", "chains", "encode"]


class Pooled(NamedTuple):
    """What one pool forgot: the places of its maxima and the size of what it was given."""

    switches: Tensor
    size: torch.Size


class Encoding(NamedTuple):
    """Pictures on their way through the stages.

    Attributes:
        maps: The pictures, (N, C, H, W), and what each stage gives, (N, C', h, w).
        pools: Of each stage, what its pools forgot, in order; empty where nobody asked for it.
    """

    maps: list[Tensor]
    pools: list[list[Pooled]]

    @property
    def features(self) -> Tensor:
        """What the last stage gives."""
        return self.maps[-1]


def encode(stages: Sequence[nn.Module], images: Tensor, *, switches: bool = False) -> Encoding:
    """Run stages one after the other; with `switches`, remember those of every pool.

    Args:
        stages: Each a chain of layers; those of a `StagedCNN` are `chains(network)`.
        images: (N, C, H, W).
        switches: Whether pools remember.
    """
    maps, pools = [images], []
    for stage in stages:
        remembered: list[Pooled] = []
        signal = maps[-1]
        for layer in stage if switches else [stage]:  # type: ignore[union-attr]  # it is a chain
            if switches and isinstance(layer, nn.MaxPool2d):
                size = signal.shape
                signal, places = functional.max_pool2d(
                    signal, layer.kernel_size, layer.stride, layer.padding, return_indices=True
                )
                remembered.append(Pooled(places, size))
            else:
                signal = layer(signal)
        maps.append(signal)
        pools.append(remembered)
    return Encoding(maps, pools)


def chains(network: StagedCNN) -> list[nn.Module]:
    """The stages of a network, the stem among them, without its head."""
    return list(network.stages.children())
