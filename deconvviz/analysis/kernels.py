"""The kernels of a convolution as the network applies them, and what can be said of them alone."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from deconvviz.deconv import Deconvnet
from deconvviz.deconv.layers import unknown_layer
from deconvviz.errors import UnsupportedOperationError

__all__ = ["Kernels", "kernels_of"]


@dataclass(frozen=True, eq=False)
class Kernels:
    """The kernels of a convolution, as the network applies them.

    Attributes:
        weights: (units, inputs, h, w), times BatchNorm's scale where one follows.
        convolution: The convolution's name.
        scaled_by: The name of that BatchNorm, or None.
        stride: Of the convolution, down and across.
    """

    weights: Tensor
    convolution: str
    scaled_by: str | None
    stride: tuple[int, int] = (1, 1)

    def __len__(self) -> int:
        """The number of units."""
        return len(self.weights)

    @cached_property
    def rms(self) -> Tensor:
        """(units,) the root mean square of each unit's weights."""
        return self.weights.square().mean((1, 2, 3)).sqrt()

    @cached_property
    def share(self) -> Tensor:
        """(units,) the share of the layer's squared weights that each unit holds."""
        energy = self.weights.square().sum((1, 2, 3))
        return energy / energy.sum().clamp_min(torch.finfo(energy.dtype).tiny)

    def energy_above(self, down: float, across: float) -> Tensor:
        """(units,) the share of each kernel's energy at high frequencies.

        A kernel's energy at a frequency is the squared magnitude of its Fourier transform, summed
        over its inputs: what it makes of an input that holds all frequencies alike. High is what
        lies above a limit on either axis, in cycles a pixel, of which pixels carry 0.5 at most
        (Nyquist). Of a kernel of random weights a share 1 - 4 `down` `across` is high. A kernel of
        zeros has none.

        Args:
            down: The limit on the vertical axis, from 0 to 0.5.
            across: That on the horizontal one.
        """
        kernels = self.weights.double()
        down_low, across_low = (
            _low_pass(limit, side).to(kernels)
            for limit, side in zip((down, across), kernels.shape[2:], strict=True)
        )
        low = torch.einsum("uiyx,yv,xw,uivw->u", kernels, down_low, across_low, kernels)
        whole = kernels.square().sum((1, 2, 3))
        share = 1 - low / whole.where(whole > 0, 1.0)
        return share.where(whole > 0, 0.0).clamp(0, 1).to(self.weights.dtype)

    @property
    def folded(self) -> Tensor:
        """(units,) the share of each kernel's energy that its stride cannot carry.

        A stride of s keeps frequencies up to 1/(2s) cycles a pixel; higher ones come out as lower
        ones (aliasing), and what a unit answers then depends on where the grid happens to lie.
        """
        down, across = self.stride
        return self.energy_above(0.5 / down, 0.5 / across)

    @cached_property
    def twins(self) -> tuple[Tensor, Tensor]:
        """The kernel that is most like each one, up to its length and sign.

        Returns:
            (units,) int64, that kernel; and (units,) the cosine of the angle between the two. A
            kernel alone is its own twin, with a cosine of 0, as is one of zeros.
        """
        flat = nn.functional.normalize(self.weights.flatten(1), dim=1)
        cosine = (flat @ flat.mT).fill_diagonal_(0).clamp(-1, 1)
        twin = cosine.abs().argmax(dim=1)
        return twin, cosine.gather(1, twin[:, None])[:, 0]

    def strongest_slices(self, unit: int, count: int) -> tuple[list[int], Tensor, float]:
        """One unit's largest kernels.

        Returns:
            The maps below that they are on, by falling norm; the kernels (K, 1, h, w); and their
            share of the unit's squared weights.
        """
        slices = self.weights[unit]
        energy = slices.square().sum((1, 2))
        largest, maps = energy.topk(min(count, len(slices)))
        share = float(largest.sum() / energy.sum()) if energy.any() else 1.0
        return maps.tolist(), slices[maps][:, None], share


def _low_pass(limit: float, side: int) -> Tensor:
    """(side, side): k' P k is the energy of k (side,) at frequencies up to `limit`.

    The energy of k at a frequency f is the sum over i, j of k_i k_j cos(2 pi f (i - j)); this is
    its integral over f, hence exact (Slepian 1978, Bell System Technical Journal 57, 1371).
    """
    apart = torch.arange(side, dtype=torch.float64)
    return 2 * limit * torch.sinc(2 * limit * (apart[:, None] - apart))


def kernels_of(net: Deconvnet, layer: str) -> Kernels:
    """The kernels of the convolution that `layer` rectifies, one of `net.default_layers`.

    Raises:
        UnknownLayerError: It is not one of these.
        UnsupportedOperationError: no module of the network holds them.
    """
    if layer not in net.convolutions:
        raise unknown_layer(layer, net.convolutions, "after its convolutions this model")
    below = net.convolutions[layer]
    convolution = net.model.get_submodule(below.convolution)
    if type(convolution) is not nn.Conv2d:  # a subclass may change its weights before it uses them
        where = f"`{below.convolution}`" if below.convolution else "the model itself"
        raise UnsupportedOperationError(
            f"the kernels below `{layer}` are not known: {type(convolution).__name__}, {where}, "
            "has them in a way of its own; look at its reconstructions instead"
        )
    weights = convolution.weight.detach()
    down, across = convolution.stride
    norm = None if below.norm is None else net.model.get_submodule(below.norm)
    if not isinstance(norm, nn.BatchNorm2d) or norm.running_var is None:
        return Kernels(weights, below.convolution, None, (down, across))
    scale = (norm.running_var + norm.eps).rsqrt()
    scale = scale if norm.weight is None else scale * norm.weight
    scaled = weights * scale.detach()[:, None, None, None]
    return Kernels(scaled, below.convolution, below.norm, (down, across))
