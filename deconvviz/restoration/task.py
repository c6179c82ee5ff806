"""What a network is trained for: its data, its batches, its loss, its figures of merit."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor, nn

from deconvviz.io.checkpoint import DataRecord
from deconvviz.networks import architecture
from deconvviz.restoration.recipe import RestorationRecipe


class Batch(NamedTuple):
    """The input of one step.

    Attributes:
        inputs: (N, C, H, W) float32.
        targets: What the network should answer.
    """

    inputs: Tensor
    targets: Tensor


class Data(Protocol):
    """A set of pictures in memory."""

    @property
    def title(self) -> str:
        """Name for people and for cards."""

    @property
    def fingerprint(self) -> str:
        """Digest of all pixels, and of what is known of them."""

    def __len__(self) -> int: ...


Pictures = TypeVar("Pictures", bound=Data)


class Task(ABC, Generic[Pictures]):
    """A task with its data in memory.

    Args:
        recipe: The options of the run.
        training: Pictures to train on.
        held_out: Pictures to validate on.
    """

    values: tuple[str, ...] = ("train_loss",)
    """Names of what `loss` returns, for `metrics.jsonl`."""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    """Per input channel, of pixels in [0, 1]: the network's input is (pixel - mean) / std."""
    classes: tuple[str, ...] = ()
    """Class names of a network that answers with classes."""

    def __init__(self, recipe: RestorationRecipe, training: Pictures, held_out: Pictures) -> None:
        self.recipe, self.training, self.held_out = recipe, training, held_out
        self.architecture = architecture(recipe.network)

    @property
    def title(self) -> str:
        """Name of the training data."""
        return self.training.title

    @property
    def data(self) -> DataRecord:
        """Title and fingerprint of the training data."""
        return {"title": self.title, "fingerprint": self.training.fingerprint}

    @property
    def pictures(self) -> int:
        """Number of training pictures."""
        return len(self.training)

    @property
    def channels(self) -> int:
        """Input channels of the network."""
        return self.recipe.channels

    @abstractmethod
    def batches(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, counted from 1, drawn from the seed and its number alone."""

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """(K,) values to average over an epoch, as `values` names them, the loss first."""

    def finish(self, model: nn.Module) -> None:
        """Fit what depends on the trained weights; of most networks that is nothing."""

    @abstractmethod
    def validate(self, model: nn.Module) -> Mapping[str, float]:
        """Named figures of `model`, in evaluation mode, on pictures held out of the training."""


def generators(seed: int, epoch: int, count: int) -> list[torch.Generator]:
    """Generators of an epoch, one for each purpose, that follow from (seed, epoch) alone.

    An option that draws more numbers from one of them changes no other draw.
    """
    return [torch.Generator().manual_seed(seed * 100_003 + epoch + i * 2**40) for i in range(count)]


def drawn(total: int, recipe: RestorationRecipe, generator: torch.Generator) -> Iterator[Tensor]:
    """Indices of the pictures of each step of an epoch; each comes once before one comes twice.

    Args:
        total: Number of training pictures.
        recipe: Its steps per epoch and its batch size.
        generator: Source of their order.
    """
    count = recipe.steps_per_epoch * recipe.batch_size
    passes = math.ceil(count / total)
    order = torch.cat([torch.randperm(total, generator=generator) for _ in range(passes)])
    return iter(torch.split(order[:count], recipe.batch_size))


AnyTask = Task[Any]
"""A task on pictures of any kind."""


@torch.inference_mode()
def answer(model: nn.Module, pixels: Tensor) -> Tensor:
    """What a network answers to one picture (C, H, W), clipped to [0, 1], on the CPU."""
    device = next(model.parameters()).device
    restored: Tensor = model(pixels[None].to(device))[0].float().clamp(0, 1).cpu()
    return restored
