"""What the units of a layer contribute to a class score: activation times its gradient."""

import torch
from torch import Tensor

from deconvviz.deconv import Deconvnet, Selection
from deconvviz.deconv.unit_activation import UnitActivation
from deconvviz.errors import SelectionError


def contributions(net: Deconvnet, image: Tensor, layer: str, scores: str, label: int) -> Tensor:
    """The activation of each unit of a layer times the gradient of a class score there.

    Where everything between the layer and the score is linear but for an added constant, the sum
    over all units is the score less that constant, and one unit's contribution is what the score
    loses when the unit is set to zero. Elsewhere it is so to first order.

    Args:
        net: The network.
        image: (1, C, H, W) normalised.
        layer: The layer.
        scores: The layer of the class scores, above it.
        label: Number of the class.

    Returns:
        (channels, H, W), float32.

    Raises:
        UnknownLayerError: There is no such layer.
        SelectionError: The score does not depend on the layer.
    """
    recording = net.record(image, [layer, scores])
    top = Selection(scores, 0, label, 0, 0)
    score = UnitActivation(net.model, recording.tape, top, through=layer)
    maps: list[Tensor] = []
    handle = score.maps.register_forward_hook(lambda *args: maps.append(args[-1]))
    try:
        with torch.enable_grad():
            value = score(image.detach().clone().requires_grad_()).sum()
    finally:
        handle.remove()
    if not maps:
        raise SelectionError(f"`{scores}` does not depend on `{layer}`")
    (gradient,) = torch.autograd.grad(value, maps[0])
    return (maps[0] * gradient).detach().float().reshape(recording[layer].shape[1:])
