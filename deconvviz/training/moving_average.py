"""Exponential moving average of the weights."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


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
