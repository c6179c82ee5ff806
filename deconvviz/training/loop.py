"""A resumable training loop: epochs of optimiser steps, metrics, and the state of a run's folder.

A run that was killed and resumed ends, on the CPU, with bit-equal weights: an epoch draws all its
random numbers from its own number, and state is stored only after whole epochs.
"""

import io
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn
from tqdm import tqdm

from deconvviz.errors import DivergedError
from deconvviz.io.files import append_line, write_atomically
from deconvviz.processes import ProcessGroup
from deconvviz.progress import Progress
from deconvviz.training.moving_average import MovingAverage
from deconvviz.training.optimisers import scale_lr
from deconvviz.training.run_folder import RunState, damaged_state, read_state, restore_metrics

Batch = TypeVar("Batch")

_CHECK_EVERY = 50  # steps between two checks of the loss: reading it waits for the device


class Loop(ABC, Generic[Batch]):
    """A run in memory. What one step does is left to the kinds of training.

    Args:
        folder: The run's folder.
        modules: All that is trained, as one module.
        optimisers: Optimisers of all its parameters; each group has its peak rate as `max_lr`.
        epochs: Number of epochs.
        steps: Steps of an epoch.
        batch_size: Pictures of a step.
        device: Device of the modules.
        processes: Processes that share the work.
        ema: Moving average of the weights of a part of `modules`.
    """

    shown: Mapping[str, int] = {"loss": 0}
    """Name in the bar -> position in the values of `step`; `acc` is shown in percent."""

    def __init__(
        self,
        folder: Path,
        modules: nn.Module,
        optimisers: Sequence[torch.optim.Optimizer],
        *,
        epochs: int,
        steps: int,
        batch_size: int,
        device: torch.device,
        processes: ProcessGroup | None = None,
        ema: MovingAverage | None = None,
    ) -> None:
        self.folder, self.modules, self.optimisers, self.ema = folder, modules, optimisers, ema
        self.epochs, self.steps, self.batch_size = epochs, steps, batch_size
        self.device, self.processes = device, processes or ProcessGroup()
        self.seconds = 0.0

    @abstractmethod
    def batches(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, counted from 1; they follow from its number alone."""

    @abstractmethod
    def step(self, batch: Batch) -> Tensor:
        """One optimiser step; returns the values to average over an epoch, the loss first."""

    @abstractmethod
    def lr_scale(self, progress: float) -> float:
        """The learning rates over their peaks, at a fraction `progress` of all steps."""

    @abstractmethod
    def metrics(self, epoch: int, values: Tensor) -> Mapping[str, float]:
        """A line of `metrics.jsonl`, from the means over an epoch of what `step` returned."""

    @abstractmethod
    def publish(self, epoch: int) -> None:
        """Write the results of the run, as they are after an epoch."""

    def snapshot(self, epoch: int) -> None:
        """Store the network after an epoch, where it is wanted."""

    def run(self, *, progress: bool, callback: Progress | None = None) -> int:
        """Train from the last whole epoch on, and publish the result.

        Ctrl-C ends the run cleanly after the last whole epoch.

        Returns:
            The number of epochs done.

        Raises:
            DivergedError: The loss or a weight is NaN or inf; the epoch before is published.
        """
        done = self.resume()
        pictures = self.steps * self.batch_size
        try:
            with tqdm(
                total=self.epochs * pictures,
                initial=done * pictures,
                unit=" images",
                unit_scale=True,
                disable=not (progress and self.processes.is_main),
                dynamic_ncols=True,
            ) as bar:
                for epoch in range(done + 1, self.epochs + 1):
                    self.train_epoch(epoch, bar, callback)
                    done = epoch
        except KeyboardInterrupt:
            done = self.resume()
            if progress:
                tqdm.write(
                    f"stopped after {done} of {self.epochs} epochs; the same command resumes"
                )
        except DivergedError:
            self._finish(self.resume())
            raise
        self._finish(done)
        return done

    def train_epoch(self, epoch: int, bar: "tqdm[None]", callback: Progress | None = None) -> None:
        """The steps of an epoch, its metrics, and the state after it."""
        started = time.perf_counter()
        self.modules.train()
        summed = torch.zeros(1, device=self.device)  # then one for each value
        bad = torch.zeros((), device=self.device)  # the first step whose loss is NaN or inf
        for count, batch in enumerate(self.batches(epoch), 1):
            values = self.step(batch)
            bad = torch.where((bad == 0) & ~values.isfinite().all(), count, bad)
            summed = summed + values
            bar.update(self.batch_size)
            if callback:
                total = self.steps * self.epochs
                callback("training", (epoch - 1) * self.steps + count, total)
            if count % _CHECK_EVERY == 0 or count == self.steps:
                if bad:
                    raise self._diverged(int(bad), epoch)
                bar.set_description(f"epoch {epoch}/{self.epochs}")
                means = {name: float(summed[at]) / count for name, at in self.shown.items()}
                bar.set_postfix(
                    {k: f"{v:.1%}" if k == "acc" else f"{v:.4g}" for k, v in means.items()}
                )
        # the last step may have spoilt what its own loss did not show
        if not all(self.processes.all_gather(self._is_finite())):
            raise self._diverged(self.steps, epoch)
        self.seconds += time.perf_counter() - started
        if self.processes.is_main:
            # Metrics first, state second: a kill between the two leaves a line too many, which
            # `resume` drops; the other order would leave one too few for good.
            metrics = self.metrics(epoch, (summed / self.steps).cpu())
            append_line(self.folder / "metrics.jsonl", json.dumps(dict(metrics)))
            self.save_state(epoch)
        self.processes.all_gather(None)

    def update(self, loss: Tensor, progress: float, max_grad_norm: float = 0.0) -> None:
        """Step all optimisers down the gradient of `loss`, at a fraction `progress` of all steps.

        Args:
            loss: Scalar.
            progress: Fraction of all steps done after this one.
            max_grad_norm: Maximum L2 norm of the gradient; 0 disables clipping.
        """
        self.modules.zero_grad()
        torch.autograd.backward(loss)
        if max_grad_norm:
            nn.utils.clip_grad_norm_(self.modules.parameters(), max_grad_norm)
        scale_lr(self.optimisers, self.lr_scale(progress))
        for optimiser in self.optimisers:
            optimiser.step()

    def _is_finite(self) -> bool:
        tensors = self.modules.state_dict().values()
        return all(bool(one.isfinite().all()) for one in tensors if one.is_floating_point())

    def _diverged(self, bad: int, epoch: int) -> DivergedError:
        """The error of a loss or weights of NaN or inf in step `bad` of this epoch, from 1."""
        step = (epoch - 1) * self.steps + bad
        scale = self.lr_scale(step / (self.steps * self.epochs))
        peak = self.optimisers[0].param_groups[0]["max_lr"]
        return DivergedError(
            f"the loss or a weight is NaN or inf from step {step} (epoch {epoch}) at a learning "
            f"rate of {scale * peak:.3g}; {self.folder / 'model.safetensors'} holds epoch "
            f"{epoch - 1}; train again with a lower learning rate in another folder"
        )

    def save_state(self, epoch: int) -> None:
        """Write the state that a resume needs, and the snapshot if this epoch has one."""
        self.snapshot(epoch)
        state = RunState(
            epoch=epoch,
            seconds=self.seconds,
            objective=dict(self.modules.state_dict()),
            optimisers=[optimiser.state_dict() for optimiser in self.optimisers],
            ema=dict(self.ema.module.state_dict()) if self.ema else {},
        )
        buffer = io.BytesIO()
        torch.save(vars(state), buffer)
        write_atomically(self.folder / "state.pt", buffer.getvalue())

    def resume(self) -> int:
        """Return to the last whole epoch and return its number; 0 for a new run."""
        state = read_state(self.folder, self.device)
        self.processes.all_gather(None)  # all have looked before one writes
        epoch = state.epoch if state else 0
        if self.processes.is_main:
            restore_metrics(self.folder, epoch)
            if not state:
                self.save_state(0)
        if state:
            try:
                self.modules.load_state_dict(state.objective)
                for optimiser, stored in zip(self.optimisers, state.optimisers, strict=True):
                    optimiser.load_state_dict(stored)
                if self.ema:
                    self.ema.module.load_state_dict(state.ema)
                    self.ema.resume(epoch * self.steps)
            except (LookupError, RuntimeError, TypeError, ValueError, AttributeError) as error:
                raise damaged_state(self.folder, error) from None
            self.seconds = state.seconds
        return epoch

    def _finish(self, epoch: int) -> None:
        if self.processes.is_main:
            self.publish(epoch)
        self.processes.all_gather(None)
