"""How good a classifier is: accuracy, per class, and what it takes for what."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from deconvviz.errors import DataError
from deconvviz.io.data import Dataset, normalise

__all__ = ["Evaluation", "answers", "evaluate"]


@dataclass(frozen=True)
class Evaluation:
    """The decisions of a classifier over a data set.

    Attributes:
        confusion: int64 (classes, classes): row is the true class, column the decision.
        classes: The names of rows and columns.
        loss: Mean cross-entropy, in nats, without label smoothing.
    """

    confusion: Tensor
    classes: tuple[str, ...]
    loss: float

    @property
    def accuracy(self) -> float:
        """The share of pictures that got their true class, in [0, 1]."""
        return int(self.confusion.diagonal().sum()) / int(self.confusion.sum())

    @property
    def per_class(self) -> dict[str, float]:
        """The same share within each true class that has pictures."""
        totals = self.confusion.sum(1)
        hits = self.confusion.diagonal()
        return {
            name: int(hits[i]) / int(totals[i])
            for i, name in enumerate(self.classes)
            if totals[i] > 0
        }


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    dataset: Dataset,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    *,
    batch_size: int = 500,
    autocast: torch.dtype = torch.float32,
) -> Evaluation:
    """Classify every picture once, as it is: no augmentation, no averaging over views.

    Args:
        model: Logits (N, classes) for normalised (N, C, H, W); its mode is given back as it was.
        dataset: The pictures; copied in blocks to the model's device.
        mean: Per channel, as the model was trained.
        std: Per channel, as the model was trained.
        batch_size: Pictures in one forward pass.
        autocast: float32, or bfloat16 for a quick look during training.

    Raises:
        DataError: the model does not give a logit for each class of the data.
    """
    device = _device(model)
    classes = len(dataset.classes)
    confusion = torch.zeros(classes * classes, dtype=torch.int64, device=device)
    loss = torch.zeros((), dtype=torch.float64, device=device)
    for logits, labels in answers(
        model, dataset, mean, std, batch_size=batch_size, autocast=autocast
    ):
        loss += nn.functional.cross_entropy(logits, labels, reduction="sum")
        confusion += torch.bincount(
            labels * classes + logits.argmax(1), minlength=classes * classes
        )
    matrix = confusion.view(classes, classes).cpu()
    return Evaluation(matrix, dataset.classes, loss.item() / max(len(dataset), 1))


@torch.inference_mode()
def answers(
    model: nn.Module,
    dataset: Dataset,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    *,
    batch_size: int = 500,
    autocast: torch.dtype = torch.float32,
) -> Iterator[tuple[Tensor, Tensor]]:
    """What a classifier says of every picture, batch by batch; the arguments are `evaluate`'s.

    Yields:
        Logits (B, classes), float32, and labels (B,), both on the model's device.

    Raises:
        DataError: the pictures have other channels than the mean, or the model does not give a
            logit for each class of the data.
    """
    if len(mean) != dataset.images.shape[1]:
        raise DataError(
            f"`{dataset.title}` has pictures of {dataset.images.shape[1]} channels, and the "
            f"network takes {len(mean)}; load them with channels={len(mean)}"
        )
    device = _device(model)
    was_training = model.training
    model.eval()
    try:
        for start in range(0, len(dataset), batch_size):
            images = dataset.images[start : start + batch_size].to(device)
            labels = dataset.labels[start : start + batch_size].to(device)
            with torch.autocast(device.type, autocast, enabled=autocast != torch.float32):
                logits = _logits(model, normalise(images, mean, std), dataset.classes)
            yield logits, labels
    finally:
        model.train(was_training)


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def _logits(model: nn.Module, images: Tensor, classes: tuple[str, ...]) -> Tensor:
    logits: Tensor = model(images)
    shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if shape != (len(images), len(classes)):
        raise DataError(
            f"the network answers {len(images)} pictures with {shape}, where {len(classes)} "
            f"classes need {(len(images), len(classes))}; take a network for this data"
        )
    return logits.float()
