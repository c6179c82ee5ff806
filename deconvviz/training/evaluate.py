"""Accuracy of a classifier, per class, and its confusion matrix."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from deconvviz.errors import DataError
from deconvviz.io.checkpoint import TestRecord
from deconvviz.io.data import Dataset, normalise


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
        """Fraction of pictures that got their true class."""
        return int(self.confusion.diagonal().sum()) / int(self.confusion.sum())

    @property
    def per_class(self) -> dict[str, float]:
        """Accuracy within each true class that has pictures."""
        rows = zip(self.classes, self.confusion.diagonal(), self.confusion.sum(1), strict=True)
        return {name: int(hits) / int(total) for name, hits, total in rows if total > 0}


def test_record(dataset: Dataset, result: Evaluation) -> TestRecord:
    """The result as a checkpoint stores it."""
    return {
        "title": dataset.title,
        "pictures": len(dataset),
        "accuracy": result.accuracy,
        "confusion": result.confusion.tolist(),
    }


def evaluate(
    model: nn.Module,
    dataset: Dataset,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    *,
    batch_size: int = 500,
    autocast: torch.dtype = torch.float32,
) -> Evaluation:
    """Classify every picture once, without augmentation; arguments and errors as for `predict`."""
    classes = len(dataset.classes)
    confusion, loss = torch.zeros(classes**2, dtype=torch.int64), 0.0
    for logits, labels in predict(
        model, dataset, mean, std, batch_size=batch_size, autocast=autocast
    ):
        loss += float(nn.functional.cross_entropy(logits, labels, reduction="sum"))
        decisions = labels * classes + logits.argmax(1)
        confusion += torch.bincount(decisions, minlength=classes**2).cpu()
    return Evaluation(confusion.view(classes, classes), dataset.classes, loss / len(dataset))


@torch.inference_mode()
def predict(
    model: nn.Module,
    dataset: Dataset,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    *,
    batch_size: int = 500,
    autocast: torch.dtype = torch.float32,
) -> Iterator[tuple[Tensor, Tensor]]:
    """The logits of every picture, batch by batch.

    Args:
        model: Logits (N, classes) for normalised (N, C, H, W); its mode is restored.
        dataset: The pictures, copied in batches to the model's device.
        mean: (C,) as in the model's training.
        std: (C,) as in the model's training.
        batch_size: Pictures in one forward pass.
        autocast: float32, or bfloat16 for a quick look during training.

    Yields:
        Logits (B, classes), float32, and labels (B,), both on the model's device.

    Raises:
        DataError: The pictures have other channels than the mean, or the model does not give a
            logit for each class of the data.
    """
    if len(mean) != dataset.images.shape[1]:
        raise DataError(
            f"`{dataset.title}` has pictures of {dataset.images.shape[1]} channels, and the "
            f"network takes {len(mean)}; load them with channels={len(mean)}"
        )
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    try:
        for start in range(0, len(dataset), batch_size):
            images = dataset.images[start : start + batch_size].to(device)
            labels = dataset.labels[start : start + batch_size].to(device)
            with torch.autocast(device.type, autocast, enabled=autocast != torch.float32):
                logits = model(normalise(images, mean, std))
            shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            wanted = (len(images), len(dataset.classes))
            if shape != wanted:
                raise DataError(
                    f"the network's output is {shape}, and {len(dataset.classes)} classes need "
                    f"{wanted}; use a network for this data"
                )
            yield logits.float(), labels
    finally:
        model.train(was_training)
