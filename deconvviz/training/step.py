"""All that one optimiser step computes before the backward pass."""

import torch
from torch import Tensor, nn

from deconvviz.training.adversary import attack
from deconvviz.training.distillation import TeacherEnsemble
from deconvviz.training.loader import Batch
from deconvviz.training.moving_average import MovingAverage
from deconvviz.training.objective import Objective, Terms


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
