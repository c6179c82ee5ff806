"""The kernels of a convolution as the network applies them, and their statistics."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from deconvviz.deconv import Deconvnet
from deconvviz.deconv.layers import unknown_layer
from deconvviz.errors import UnsupportedOperationError

NYQUIST_BAND = 0.375
"""Cycles per pixel above which a frequency counts as near Nyquist (0.5): the upper quarter."""

NYQUIST_CHANCE = 1 - (2 * NYQUIST_BAND) ** 2
"""The share of a random kernel's energy that lies there."""


@dataclass(frozen=True, eq=False)
class Kernels:
    """The kernels of a convolution, as the network applies them.

    Attributes:
        weights: (units, inputs, h, w), times BatchNorm's scale where one follows.
        scaled_by: Name of that BatchNorm, or None.
    """

    weights: Tensor
    convolution: str
    scaled_by: str | None
    stride: tuple[int, int] = (1, 1)
    derived = ("rms", "share", "aliased", "aliased_by_chance", "nearest")

    def __len__(self) -> int:
        """The number of units."""
        return len(self.weights)

    @cached_property
    def rms(self) -> Tensor:
        """(units,) root mean square of each unit's weights."""
        return self.weights.square().mean((1, 2, 3)).sqrt()

    @cached_property
    def share(self) -> Tensor:
        """(units,) each unit's share of the layer's squared weights."""
        energy = self.weights.square().sum((1, 2, 3))
        return energy / energy.sum().clamp_min(torch.finfo(energy.dtype).tiny)

    def energy_above(self, down: float, across: float) -> Tensor:
        """(units,) the share of each kernel's energy at high frequencies.

        A kernel's energy at a frequency is the squared magnitude of its Fourier transform, summed
        over its inputs. High frequencies are above a limit on either axis. For random weights the
        share is 1 - 4 `down` `across`; for a kernel of zeros it is 0. The limits are in cycles a
        pixel, from 0 to 0.5 (Nyquist).
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

    def dominant(self, threshold: float) -> Tensor:
        """(units,) bool: whether the RMS is above `threshold` times the layer's median."""
        return self.rms > threshold * self.rms.median()

    @cached_property
    def near_nyquist(self) -> Tensor:
        """(units,) share of each kernel's energy near Nyquist; see `energy_above`."""
        return self.energy_above(NYQUIST_BAND, NYQUIST_BAND)

    @property
    def aliased(self) -> Tensor:
        """(units,) the share of each kernel's energy above the Nyquist frequency of its stride.

        A stride of s keeps frequencies up to 1/(2s) cycles per pixel; higher ones come out as lower
        ones (aliasing).
        """
        down, across = self.stride
        return self.energy_above(0.5 / down, 0.5 / across)

    @property
    def aliased_by_chance(self) -> float:
        """Aliased share of a random kernel's energy."""
        return 1 - 1 / (self.stride[0] * self.stride[1])

    @cached_property
    def nearest(self) -> tuple[Tensor, Tensor]:
        """The other kernel most similar to each one, up to length and sign.

        Returns:
            (units,) int64, that kernel; and (units,) their cosine. A single kernel is its own
            nearest one with a cosine of 0; the cosine of a kernel of zeros is 0.
        """
        flat = nn.functional.normalize(self.weights.flatten(1), dim=1)
        cosine = (flat @ flat.mT).fill_diagonal_(0).clamp(-1, 1)
        nearest = cosine.abs().argmax(dim=1)
        return nearest, cosine.gather(1, nearest[:, None])[:, 0]

    def strongest_slices(self, unit: int, count: int) -> tuple[list[int], Tensor, float]:
        """The slices of one unit's kernel with the largest norm.

        Returns:
            Input maps by falling norm; their slices (K, 1, h, w); and the slices' share of the
            unit's squared weights.
        """
        slices = self.weights[unit]
        energy = slices.square().sum((1, 2))
        largest, maps = energy.topk(min(count, len(slices)))
        share = float(largest.sum() / energy.sum()) if energy.any() else 1.0
        return maps.tolist(), slices[maps][:, None], share


def _low_pass(limit: float, side: int) -> Tensor:
    """(side, side) matrix P: k' P k is the energy of k (side,) at frequencies up to `limit`.

    The energy of k at a frequency f is the sum over i, j of k_i k_j cos(2 pi f (i - j)); this is
    its integral over f, hence exact (Slepian 1978, Bell System Technical Journal 57, 1371).
    """
    apart = torch.arange(side, dtype=torch.float64)
    return 2 * limit * torch.sinc(2 * limit * (apart[:, None] - apart))


def kernels_of(net: Deconvnet, layer: str) -> Kernels:
    """The kernels of the convolution that `layer` rectifies, one of `net.default_layers`.

    Raises:
        UnknownLayerError: `layer` is not one of these.
        UnsupportedOperationError: No module of the network holds them.
    """
    if layer not in net.convolutions:
        raise unknown_layer(layer, net.convolutions, "after its convolutions this model")
    below = net.convolutions[layer]
    convolution = net.model.get_submodule(below.convolution)
    if type(convolution) is not nn.Conv2d:  # a subclass may change its weights before it uses them
        where = f"`{below.convolution}`" if below.convolution else "the model itself"
        raise UnsupportedOperationError(
            f"the kernels below `{layer}` are not known: {where} is a "
            f"{type(convolution).__name__}, not a Conv2d; look at its reconstructions instead"
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
