"""Custom operations on the tape, each for a pattern of several operations."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def gated(maps: Tensor, gate: Tensor) -> Tensor:
    """Maps (N, C, H, W) times a gate, which broadcasts over them."""
    return maps * gate


def masked(maps: Tensor, gate: Tensor) -> Tensor:
    """Maps times what a comparison says, zeros and ones."""
    return maps * gate


def activation(maps: Tensor, names: Sequence[str], steps: Sequence[Any], *constants: Tensor) -> Any:
    """An activation that a network writes in several operations.

    Args:
        maps: Its input.
        names: Names that the steps have for the input, and for the constants.
        steps: The operations, the last of which gives the value.
        constants: Weights that they read.
    """
    values = dict(zip(names, (maps, *constants), strict=True))
    for step in steps:
        values[step.name] = step.call(values).run()
    return values[steps[-1].name]


def weighted_activation(
    maps: Tensor, names: Sequence[str], steps: Sequence[Any], *rest: Tensor
) -> Any:
    """An activation in several operations, some of which read weights."""
    return activation(maps, names, steps, *rest)


def part(place: int, of: Any, *arguments: Any) -> Tensor:
    """One of the several values of an operation, such as a split of rows."""
    value: Tensor = of(*arguments)[place]
    return value


def copied(maps: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:  # noqa: ARG001
    """What is written into maps by assignment, in their shape."""
    return source.to(maps.dtype).expand(maps.shape)


def pool_places(
    maps: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """Where in the maps the maxima of a pooling are, as flat positions."""
    pool = torch.ops.aten.max_pool2d_with_indices.default
    places: Tensor = pool(maps, kernel_size, stride, padding, dilation, ceil_mode)[1]
    return places


def channel_linear(maps: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A linear layer at every position of maps (N, C, H, W): a 1x1 convolution."""
    return functional.linear(maps.movedim(1, -1), weight, bias).movedim(-1, 1)


def channel_norm(
    maps: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float = 1e-5
) -> Tensor:
    """Layer normalisation over the channels at every position of maps (N, C, H, W)."""
    last = maps.movedim(1, -1)
    return functional.layer_norm(last, last.shape[-1:], weight, bias, eps).movedim(-1, 1)


def squeezed(maps: Tensor) -> Tensor:
    """Maps (N, ...) without the axes of one number, but with the batch, even if it is of one."""
    return maps.squeeze([axis for axis in range(1, maps.dim()) if maps.shape[axis] == 1])


def untraced() -> None:
    """The rest of a model, which is on no tape."""
