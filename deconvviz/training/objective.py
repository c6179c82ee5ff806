"""The forward pass of one training step, and the loss."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from deconvviz.models import StagedCNN
from deconvviz.training.adversary import attack
from deconvviz.training.distillation import TeacherEnsemble
from deconvviz.training.encoder import EncoderOutput, encode
from deconvviz.training.loader import Batch
from deconvviz.training.losses import LOSSES
from deconvviz.training.moving_average import MovingAverage
from deconvviz.training.recipe import Recipe
from deconvviz.training.regulariser import Regulariser


class Terms(NamedTuple):
    """The terms of the loss, scalars without weights, and the accuracy.

    Attributes:
        classification: Loss of the labelled pictures.
        reconstruction: Reconstruction error; 0 without a decoder.
        consistency: Squared difference from the mean teacher's probabilities; 0 without it.
        accuracy: Fraction of labelled pictures whose likeliest target class was predicted.
    """

    classification: Tensor
    reconstruction: Tensor
    consistency: Tensor
    accuracy: Tensor


class Objective(nn.Module):
    """A classifier, the decoder beside it where there is one, and their loss.

    It is one module because DistributedDataParallel averages the gradients of one.

    Args:
        model: The classifier.
        input_size: (C, H, W) of the pictures.
        recipe: The options of the run.
    """

    def __init__(self, model: StagedCNN, input_size: tuple[int, int, int], recipe: Recipe) -> None:
        super().__init__()
        self.model = model
        self.regulariser = (
            Regulariser(model, input_size, recipe.decoder) if recipe.deconv_weight else None
        )
        self.recipe = recipe

    def forward(
        self,
        images: Tensor,
        targets: Tensor,
        teacher: Tensor | None = None,
        clean: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The terms of a batch.

        Labelled and unlabelled pictures pass the network one after the other, so that BatchNorm
        normalises each by itself: unlabelled pictures do not change the classification loss.

        Args:
            images: (N, C, H, W), normalised; the labelled ones come first.
            targets: (L,) classes of the first L, or (L, K) class probabilities.
            teacher: (N, K), the mean teacher's class probabilities.
            clean: (N, C, H, W), `images` without noise and cutout: BatchNorm's running statistics
                and the decoder's targets are of these.

        Returns:
            `Terms`, as the plain tuple that DistributedDataParallel passes on.
        """
        inputs = _split(images, len(targets))
        originals = [None] * len(inputs) if clean is None else _split(clean, len(targets))
        pairs = [self._encode(*both) for both in zip(inputs, originals, strict=True)]
        logits = [self.model.head(pairs[0][0].features).float()]
        loss = LOSSES[self.recipe.loss](logits[0], targets, self.recipe.label_smoothing)
        error = consistency = loss.new_zeros(())
        if self.regulariser:
            errors = [
                self.regulariser(encoded, target) * (len(part) / len(images))
                for (encoded, target), part in zip(pairs, inputs, strict=True)
            ]
            error = torch.stack(errors).sum()
        if teacher is not None:
            logits += [self.model.head(encoded.features).float() for encoded, _ in pairs[1:]]
            consistency = (torch.cat(logits).softmax(1) - teacher).square().sum(1).mean()
        classes = targets if targets.ndim == 1 else targets.argmax(1)
        accuracy = (logits[0].argmax(1) == classes).float().mean()
        return Terms(loss, error, consistency, accuracy)

    def total(self, terms: Terms, progress: float) -> Tensor:
        """The weighted sum of the terms, at a fraction `progress` of all steps."""
        recipe = self.recipe
        total = terms.classification
        if self.regulariser:
            weight = recipe.deconv_weight * recipe.decoder.weight_scale(progress)
            total = total + weight * terms.reconstruction
        if recipe.consistency_weight:
            rampup = recipe.consistency_rampup
            scale = min(progress / rampup, 1) if rampup else 1
            total = total + recipe.consistency_weight * scale * terms.consistency
        return total

    def _encode(self, images: Tensor, clean: Tensor | None) -> tuple[EncoderOutput, EncoderOutput]:
        """The maps of the input, and those of the clean pictures."""
        stages = self.model.stages
        switches = bool(self.regulariser) and self.recipe.decoder.switches
        if clean is None:
            encoded = encode(stages, images, switches=switches)
            return encoded, encoded
        with torch.no_grad():
            target = encode(stages, clean)
        with _frozen_statistics(self.model):
            return encode(stages, images, switches=switches), target


def _split(images: Tensor, labelled: int) -> list[Tensor]:
    return [part for part in (images[:labelled], images[labelled:]) if len(part)]


@contextmanager
def _frozen_statistics(model: nn.Module) -> Iterator[None]:
    """Normalise by the batch, as in training, without updating the running statistics."""
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum


class StepForward:
    """The forward pass of a step: soft labels, mean teacher, attack and objective.

    Args:
        objective: The classifier, its decoder and their loss.
        mean: (C,) by which the pictures are normalised.
        std: (C,) by which the pictures are normalised.
        teachers: Networks to distil.
    """

    def __init__(
        self,
        objective: Objective,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        teachers: TeacherEnsemble | None = None,
    ) -> None:
        self.objective, self.recipe = objective, objective.recipe
        self.mean, self.std, self.teachers = mean, std, teachers
        self.ema = (
            MovingAverage(objective.model, self.recipe.ema_decay) if self.recipe.uses_ema else None
        )
        self.distributed: nn.Module = objective

    def __call__(self, batch: Batch) -> Terms:
        """The terms of a batch's loss."""
        targets, teacher = batch.targets, None
        if self.teachers:
            weight = self.recipe.distillation_weight
            targets = self.teachers.targets(batch.images, targets, weight)
        if self.ema and batch.teacher_view is not None:
            with torch.no_grad():
                teacher = self.ema(batch.teacher_view).float().softmax(1)
        images = self._attacked(batch, targets)
        return Terms(*self.distributed(images, targets, teacher, batch.clean))

    def _attacked(self, batch: Batch, targets: Tensor) -> Tensor:
        """The pictures, the labelled ones attacked where there is an adversary."""
        adversary = self.recipe.adversary
        radius = adversary.radius_at(batch.progress)
        if not radius:
            return batch.images
        labelled, others = batch.images[: len(targets)], batch.images[len(targets) :]
        # The bare model is attacked: gradients of the attack must not be averaged over processes.
        attacked = attack(
            self.objective.model,
            labelled,
            targets,
            self.mean,
            self.std,
            adversary,
            radius=radius,
            directions=batch.directions,
        )
        return torch.cat([attacked, others]) if len(others) else attacked
