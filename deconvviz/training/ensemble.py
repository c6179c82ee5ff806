"""Trained networks that a new one learns from, beside the labels: distillation."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from deconvviz.errors import SettingError
from deconvviz.io.bundle import Bundle
from deconvviz.io.zoo import load

__all__ = ["Ensemble"]


class Ensemble:
    """Trained networks asked together: what they say is the mean of their class probabilities.

    Which wrong classes a picture resembles is more than its label tells, and several networks are
    right together more often than one. Hinton, Vinyals & Dean (2015), "Distilling the knowledge in
    a neural network", arXiv:1503.02531. They are asked about the very views that the new network
    learns from (Beyer et al. 2022, arXiv:2106.05237).

    Args:
        names: Of the networks: names or paths, as `deconvviz.load` takes them.
        classes: Of the new network.
        input_size: (C, H, W) of its pictures.
        mean: Per channel, what its pictures are normalised by.
        std: Likewise.

    Raises:
        SettingError: A network is of other classes or of pictures of another size.
        UnknownModelError, CheckpointError: A network is not there or cannot be read.
    """

    def __init__(
        self,
        names: Sequence[str],
        classes: Sequence[str],
        input_size: tuple[int, int, int],
        mean: tuple[float, ...],
        std: tuple[float, ...],
    ) -> None:
        bundles = [load(name) for name in names]
        for name, bundle in zip(names, bundles, strict=True):
            _check(name, bundle, tuple(classes), input_size)
        self.digests = [bundle.sha256 for bundle in bundles]
        together = nn.ModuleList(_Renormalised(bundle, mean, std) for bundle in bundles)
        self.networks = together.eval()

    def to(self, device: torch.device) -> "Ensemble":
        """The same networks on a device, in the order of memory that convolutions like best."""
        self.networks.to(device).to(memory_format=torch.channels_last)
        return self

    @torch.no_grad()
    def probabilities(self, images: Tensor) -> Tensor:
        """(N, K), of pictures (N, C, H, W) that are normalised for the new network."""
        said = [network(images).float().softmax(1) for network in self.networks]
        return torch.stack(said).mean(0)

    def targets(self, images: Tensor, targets: Tensor, share: float) -> Tensor:
        """What a batch is to learn: `share` of it is the ensemble's word.

        Args:
            images: (N, C, H, W), normalised for the new network; the first L have labels.
            targets: (L,) classes, or (L, K) shares of them.
            share: From 0 to 1.

        Returns:
            (L, K) shares.
        """
        said = self.probabilities(images[: len(targets)])
        if targets.ndim == 1:
            targets = functional.one_hot(targets, said.shape[1])
        return share * said + (1 - share) * targets


class _Renormalised(nn.Module):
    """A network, of pictures that are normalised for another one."""

    scale: Tensor
    shift: Tensor

    def __init__(self, bundle: Bundle, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.network = bundle.model.requires_grad_(requires_grad=False)
        self.same = (bundle.preprocessing.mean, bundle.preprocessing.std) == (mean, std)
        own = (_column(bundle.preprocessing.mean), _column(bundle.preprocessing.std))
        self.register_buffer("scale", _column(std) / own[1], persistent=False)
        self.register_buffer("shift", (_column(mean) - own[0]) / own[1], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        if not self.same:
            images = images * self.scale + self.shift
        logits: Tensor = self.network(images)
        return logits


def _column(values: tuple[float, ...]) -> Tensor:
    """(C, 1, 1), to go with every pixel of a picture."""
    return torch.tensor(values).view(-1, 1, 1)


def _check(
    name: str, bundle: Bundle, classes: tuple[str, ...], input_size: tuple[int, int, int]
) -> None:
    if bundle.classes != classes:
        known = f"{len(bundle.classes)}: {', '.join(bundle.classes[:5])} …"
        raise SettingError(
            f"`{name}` knows other classes ({known if bundle.classes else 'none'}) than these "
            f"pictures have ({len(classes)}: {', '.join(classes[:5])} …), so nothing can be learnt "
            "from it; give a network of the same classes"
        )
    if bundle.preprocessing.input_size != input_size:
        theirs, ours = (
            " x ".join(map(str, size)) for size in (bundle.preprocessing.input_size, input_size)
        )
        raise SettingError(
            f"`{name}` is of pictures of {theirs}, and these have {ours}; give a network of the "
            "same size"
        )
