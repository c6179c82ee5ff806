"""Distillation: a network learns from the class probabilities of trained ones beside the labels."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from deconvviz.errors import CheckpointError, SettingError
from deconvviz.io.bundle import Bundle
from deconvviz.io.zoo import load


class TeacherEnsemble(nn.Module):
    """The mean class probabilities of trained networks.

    Hinton, Vinyals & Dean (2015), "Distilling the knowledge in a neural network",
    arXiv:1503.02531. The teachers see the same augmented views as the student (Beyer et al. 2022,
    arXiv:2106.05237).

    Args:
        bundles: The networks, from `load_teachers`.
        mean: (C,) by which the student's pictures are normalised.
        std: (C,) by which the student's pictures are normalised.
    """

    def __init__(
        self, bundles: Sequence[Bundle], mean: tuple[float, ...], std: tuple[float, ...]
    ) -> None:
        super().__init__()
        self.sha256 = tuple(bundle.sha256 for bundle in bundles)
        self.networks = nn.ModuleList(_Renormalised(bundle, mean, std) for bundle in bundles)
        self.eval().requires_grad_(requires_grad=False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Soft labels (N, K) of pictures (N, C, H, W) normalised for the student."""
        each = [network(images).float().softmax(1) for network in self.networks]
        return torch.stack(each).mean(0)

    def targets(self, images: Tensor, labels: Tensor, weight: float) -> Tensor:
        """Soft labels and labels blended, `weight` of the former.

        Args:
            images: (N, C, H, W), normalised for the student; the first L are labelled.
            labels: (L,) classes, or (L, K) class probabilities.
            weight: Weight of the teachers, in [0, 1].

        Returns:
            (L, K) class probabilities.
        """
        soft: Tensor = self(images[: len(labels)])
        if labels.ndim == 1:
            labels = functional.one_hot(labels, soft.shape[1])
        return weight * soft + (1 - weight) * labels


def _load(name: str) -> Bundle:
    try:
        return load(name)
    except CheckpointError as error:
        if not name.startswith(("torchvision/", "timm/")):
            raise
        reason = str(error).partition(";")[0]
        raise CheckpointError(
            f"{reason}, and a teacher needs them; `deconvviz layers {name} --download` fetches them"
        ) from None


class _Renormalised(nn.Module):
    """A network that takes pictures normalised for another one."""

    scale: Tensor
    shift: Tensor

    def __init__(self, bundle: Bundle, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        own = bundle.preprocessing
        self.network = bundle.model
        self.register_buffer("scale", _column(std) / _column(own.std), persistent=False)
        shift = (_column(mean) - _column(own.mean)) / _column(own.std)
        self.register_buffer("shift", shift, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images * self.scale + self.shift)
        return logits


def _column(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values).view(-1, 1, 1)


def load_teachers(
    names: Sequence[str], classes: Sequence[str], input_size: tuple[int, int, int]
) -> list[Bundle]:
    """Load networks for a student of these classes and this input size (C, H, W).

    Raises:
        SettingError: A network has other classes or another input size.
        UnknownModelError, CheckpointError: A network is missing or cannot be read.
    """
    bundles = [_load(name) for name in names]
    for name, bundle in zip(names, bundles, strict=True):
        own_size = bundle.preprocessing.input_size
        if bundle.classes != tuple(classes):
            wrong = f"classes are {_few(bundle.classes)}, those of the data {_few(classes)}"
        elif own_size != input_size:
            wrong = f"input size is {_sides(own_size)}, that of the data {_sides(input_size)}"
        else:
            continue
        raise SettingError(
            f"`{name}` cannot be a teacher: its {wrong}; name a network with the same"
        )
    return bundles


def _few(classes: Sequence[str]) -> str:
    more = " …" if len(classes) > 5 else ""
    return f"{len(classes)} ({', '.join(classes[:5])}{more})" if classes else "none"


def _sides(size: Sequence[int]) -> str:
    return "x".join(map(str, size))
