"""All that one optimiser step computes before the backward pass."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from deconvviz.training.adversary import attack
from deconvviz.training.distillation import TeacherEnsemble
from deconvviz.training.loader import Batch
from deconvviz.training.objective import Objective, Terms


class MovingAverage(AveragedModel):
    """Exponential moving average of a model's weights and BatchNorm statistics.

    In the first steps the decay is 1 - 1 / (step + 1), which soon forgets the initial weights
    (Tarvainen & Valpola 2017, arXiv:1703.01780).

    Args:
        model: The model whose weights are averaged.
        decay: Decay of the average at each step.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model, multi_avg_fn=self._average, use_buffers=True)
        self.decay = decay
        self.resume(0)
        self.eval().requires_grad_(requires_grad=False)

    def resume(self, steps: int) -> None:
        """Continue after a number of steps; the initial weights count as one more."""
        self.n_averaged.fill_(steps + 1)  # at 0 the next update would overwrite, not average

    def _average(self, averages: Sequence[Tensor], current: Sequence[Tensor], _: object) -> None:
        decay = min(self.decay, 1 - 1 / (int(self.n_averaged) + 1))
        for average, value in zip(averages, current, strict=True):
            if average.is_floating_point():
                average.lerp_(value, 1 - decay)
            else:
                average.copy_(value)  # BatchNorm's counters


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
