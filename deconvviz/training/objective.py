"""All that one step of learning computes forward, as one module, and the number to be lowered."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from deconvviz.models import StagedCNN
from deconvviz.training.encoding import Encoding, chains, encode
from deconvviz.training.losses import LOSSES
from deconvviz.training.recipe import Recipe
from deconvviz.training.regulariser import Regulariser

__all__ = ["Objective", "Terms"]


class Terms(NamedTuple):
    """The parts of an objective, each a number, none weighted yet.

    Attributes:
        classification: The loss of the logits of labelled pictures.
        reconstruction: The error of what comes back; 0 without a decoder.
        consistency: The squared difference from the teacher's probabilities; 0 without a teacher.
        hits: The share of labelled pictures that got their class, the likeliest of the target.
    """

    classification: Tensor
    reconstruction: Tensor
    consistency: Tensor
    hits: Tensor


class Objective(nn.Module):
    """A classifier, the decoder beside it where there is one, and what is asked of them.

    One module, because processes that share a batch exchange the gradients of one.

    Args:
        model: The classifier.
        size: (C, H, W) of the pictures.
        recipe: What is asked.
    """

    def __init__(self, model: StagedCNN, size: tuple[int, int, int], recipe: Recipe) -> None:
        super().__init__()
        self.model = model
        self.regulariser = (
            Regulariser(model, size, recipe.decoder) if recipe.deconv_weight else None
        )
        self.recipe = recipe

    def forward(
        self,
        images: Tensor,
        targets: Tensor,
        taught: Tensor | None = None,
        whole: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The terms of a batch.

        Pictures with labels and those without go through the network one after the other, so that
        BatchNorm normalises each by itself: what the classifier learns from does not change because
        others are looked at too.

        Args:
            images: (N, C, H, W), normalised; the first ones have labels.
            targets: (L,) classes, or (L, K) shares of them, of the first L pictures.
            taught: (N, K), the teacher's probabilities, where there is one.
            whole: (N, C, H, W), `images` without noise and with all parts; BatchNorm's running
                statistics are of these, and a decoder is to give them back.

        Returns:
            `Terms`, as the plain tuple that every kind of wrapper can pass on.
        """
        wholes = [None, None] if whole is None else _parts(whole, len(targets))
        parts = [
            self._encodings(*both)
            for both in zip(_parts(images, len(targets)), wholes, strict=False)
        ]
        logits = self.model.head(parts[0][0].features).float()
        loss = LOSSES[self.recipe.loss](logits, targets, self.recipe.label_smoothing)
        distance = error = loss.new_zeros(())
        if self.regulariser:
            errors = [self.regulariser(given, clean) for given, clean in parts]
            error = _mean(errors, [len(given.features) for given, _ in parts])
        if taught is not None:
            said = [logits, *(self.model.head(given.features).float() for given, _ in parts[1:])]
            distance = (torch.cat(said).softmax(1) - taught).square().sum(1).mean()
        classes = targets if targets.ndim == 1 else targets.argmax(1)
        hits = (logits.argmax(1) == classes).float().mean()
        return Terms(loss, error, distance, hits)

    def total(self, terms: Terms, progress: float) -> Tensor:
        """The number to be lowered, when a share `progress` of all steps is done."""
        recipe = self.recipe
        total = terms.classification
        if self.regulariser:
            weight = recipe.deconv_weight * recipe.decoder.share(progress)
            total = total + weight * terms.reconstruction
        if recipe.consistency_weight:
            risen = min(progress / recipe.consistency_rampup, 1) if recipe.consistency_rampup else 1
            total = total + recipe.consistency_weight * risen * terms.consistency
        return total

    def _encodings(self, images: Tensor, whole: Tensor | None) -> tuple[Encoding, Encoding]:
        """Of what the network is given, and of the pictures without noise and with all parts."""
        stages = chains(self.model)
        switches = bool(self.regulariser) and self.recipe.decoder.switches
        if whole is None:
            plain = encode(stages, images, switches=switches)
            return plain, plain
        with torch.no_grad():
            clean = encode(stages, whole)
        with _held_statistics(self.model):
            return encode(stages, images, switches=switches), clean


def _parts(images: Tensor, labelled: int) -> list[Tensor]:
    """The pictures with labels, and those without where there are some."""
    return [part for part in (images[:labelled], images[labelled:]) if len(part)]


def _mean(errors: list[Tensor], counts: list[int]) -> Tensor:
    """Of all pictures, from the means of parts."""
    shares = [error * (count / sum(counts)) for error, count in zip(errors, counts, strict=True)]
    return torch.stack(shares).sum()


@contextmanager
def _held_statistics(model: nn.Module) -> Iterator[None]:
    """Let BatchNorm normalise by the batch, but leave its running statistics alone."""
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum
