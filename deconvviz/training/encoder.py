"""The maps of a network's stages, with the switches of their pools."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class PoolSwitches(NamedTuple):
    """The positions of a pool's maxima, as flat indices, and the shape of its input."""

    indices: Tensor
    input_shape: torch.Size


class EncoderOutput(NamedTuple):
    """The input and the output of every stage.

    Attributes:
        maps: The pictures (N, C, H, W), then the output (N, C', h, w) of each stage.
        pools: Switches of each stage's pools, in order; empty unless requested.
    """

    maps: list[Tensor]
    pools: list[list[PoolSwitches]]

    @property
    def features(self) -> Tensor:
        """The output of the last stage."""
        return self.maps[-1]


def encode(stages: Iterable[nn.Module], images: Tensor, *, switches: bool = False) -> EncoderOutput:
    """Run stages one after the other.

    Args:
        stages: Sequences of layers, as the `stages` of a `StagedCNN`.
        images: (N, C, H, W).
        switches: Record the switches of every max pool.
    """
    maps, pools = [images], []
    for stage in stages:
        recorded: list[PoolSwitches] = []
        x = maps[-1]
        for layer in stage if switches else [stage]:  # type: ignore[union-attr]  # a Sequential
            if switches and isinstance(layer, nn.MaxPool2d):
                shape = x.shape
                x, indices = functional.max_pool2d(
                    x, layer.kernel_size, layer.stride, layer.padding, return_indices=True
                )
                recorded.append(PoolSwitches(indices, shape))
            else:
                x = layer(x)
        maps.append(x)
        pools.append(recorded)
    return EncoderOutput(maps, pools)
