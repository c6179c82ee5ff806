"""Custom operations on the tape, each for a pattern of several operations."""

from torch import Tensor
from torch.nn import functional


def gated(maps: Tensor, gate: Tensor) -> Tensor:
    """Maps (N, C, H, W) times a gate, which broadcasts over them."""
    return maps * gate


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
