"""Train an encoder-decoder: a run is a folder, as for classifiers, and resumes the same way.

`config.json`, `metrics.jsonl` (a line per epoch), `state.pt` (all that a resume needs) and at the
end `model.safetensors` with its card `model.md`. On the CPU a run that was killed and resumed ends
with bit-equal weights.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from deconvviz.errors import CheckpointError
from deconvviz.io.card import card
from deconvviz.io.checkpoint import (
    Description,
    TrainingRecord,
    load_checkpoint,
    save_checkpoint,
    versions,
)
from deconvviz.io.files import only_writer, write_atomically
from deconvviz.progress import Progress
from deconvviz.restoration.recipe import RestorationRecipe
from deconvviz.restoration.task import AnyTask, Batch
from deconvviz.restoration.tasks import load_task
from deconvviz.schema import to_dict, validated
from deconvviz.training.device import device_name, keep_memory
from deconvviz.training.loop import Loop
from deconvviz.training.moving_average import MovingAverage
from deconvviz.training.run_folder import check_same, read_config_of, read_metrics


@dataclass(frozen=True)
class RestorationRun:
    """A training run.

    Attributes:
        folder: The run's folder.
        epochs: Epochs done.
        held_out: Figures of the stored network on pictures held out of the training.
    """

    folder: Path
    epochs: int
    held_out: dict[str, float]

    @property
    def checkpoint(self) -> Path:
        """The trained network."""
        return self.folder / "model.safetensors"


@validated
class RestorationConfig:
    """Everything that determines a run: `config.json`."""

    recipe: RestorationRecipe
    """Options."""
    data: str
    """Fingerprint of the training data."""
    init_sha256: str = ""
    """Checkpoint of the recipe's `init`."""


def train_restoration(
    recipe: RestorationRecipe,
    folder: Path,
    *,
    task: AnyTask | None = None,
    device: str | torch.device = "cpu",
    progress: bool = True,
    callback: Progress | None = None,
) -> RestorationRun:
    """Train `recipe.network`, or resume the run in `folder`.

    Ctrl-C ends the run cleanly after the last whole epoch, with a checkpoint of it.

    Args:
        recipe: The options of the run.
        folder: The run's folder; made where missing.
        task: The task with its data; by default that of the recipe.
        device: Device to train on.
        progress: Show a bar with the loss and the time left.
        callback: Called after every step; raising `KeyboardInterrupt` in it equals Ctrl-C.

    Raises:
        CheckpointError: `folder` holds another run, or damaged files, or `init` is no checkpoint.
        BusyError: Another process writes to `folder`.
        DivergedError: The loss or a weight is NaN or inf; the epoch before is stored.
        DataError, SettingError, UnknownModelError: As `load_task`.
    """
    device = torch.device(device)
    if device.type == "cpu":
        keep_memory()
    with only_writer(folder):
        trainer = RestorationTrainer(recipe, folder, task or load_task(recipe), device)
        done = trainer.run(progress=progress, callback=callback)
    return RestorationRun(folder, done, trainer.held_out)


class RestorationTrainer(Loop[tuple[float, Batch]]):
    """A run in memory: its task, network and optimiser."""

    def __init__(
        self, recipe: RestorationRecipe, folder: Path, task: AnyTask, device: torch.device
    ) -> None:
        self.recipe, self.task = recipe, task
        with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they are
            torch.manual_seed(recipe.seed)
            net = task.architecture.network(task.channels, len(task.classes), recipe.patch)
        self.init_sha256 = transfer(Path(recipe.init), net) if recipe.init else ""
        self.model = net.to(device).to(memory_format=torch.channels_last)
        self.autocast = torch.bfloat16 if recipe.precision == "bf16" else torch.float32
        self.held_out: dict[str, float] = {}
        start(folder, RestorationConfig(recipe, task.data["fingerprint"], self.init_sha256))
        super().__init__(
            folder,
            self.model,
            [optimiser(self.model, recipe)],
            epochs=recipe.epochs,
            steps=recipe.steps_per_epoch,
            batch_size=recipe.batch_size,
            device=device,
            ema=MovingAverage(self.model, recipe.ema_decay) if recipe.ema else None,
        )

    @property
    def eval_model(self) -> nn.Module:
        """The network that is evaluated and stored."""
        return self.ema.module if self.ema else self.model

    def batches(self, epoch: int) -> Iterator[tuple[float, Batch]]:
        """The batches of an epoch, each with the fraction of all steps done after it."""
        total = self.steps * self.epochs
        for done, batch in enumerate(self.task.batches(epoch), (epoch - 1) * self.steps + 1):
            inputs = batch.inputs.to(self.device, memory_format=torch.channels_last)
            yield done / total, Batch(inputs, batch.targets.to(self.device))

    def lr_scale(self, progress: float) -> float:
        """The learning rate over its peak; see `Loop`."""
        return self.recipe.lr_scale(progress)

    def step(self, batch: tuple[float, Batch]) -> Tensor:
        """One optimiser step; returns the task's values."""
        progress, given = batch
        enabled = self.autocast != torch.float32
        with torch.autocast(self.device.type, self.autocast, enabled=enabled):
            values = self.task.loss(self.model, given)
        self.update(values[0], progress, self.recipe.max_grad_norm)
        if self.ema:
            self.ema.update_parameters(self.model)
        return values.detach()

    def metrics(self, epoch: int, values: Tensor) -> dict[str, float]:
        """A line of `metrics.jsonl`: means over the epoch, figures on held-out pictures, time."""
        named = zip(self.task.values, values.tolist(), strict=True)
        return {
            "epoch": epoch,
            **{name: float(f"{value:.6g}") for name, value in named},
            **self.task.validate(self.eval_model.eval()),
            "seconds": round(self.seconds, 1),
        }

    def describe(self, epoch: int) -> Description:
        """The description of a checkpoint after an epoch."""
        training: TrainingRecord = {
            "recipe": asdict(self.recipe),  # type: ignore[typeddict-item]  # some of its keys
            "epochs": epoch,
            "pictures": self.task.pictures,
            "device": device_name(self.device),
            "seconds": round(self.seconds, 1),
            "init_sha256": self.init_sha256,
        }
        channels = self.task.channels
        return Description(
            model=self.recipe.network,
            channels=channels,
            size=self.recipe.patch,
            classes=self.task.classes,
            mean=self.task.mean or (0.0,) * channels,
            std=self.task.std or (1.0,) * channels,
            data=self.task.data,
            training=training,
            versions=versions(),
            task=self.recipe.task,
        )

    def publish(self, epoch: int) -> None:
        """Write the checkpoint, evaluated as stored, and its card."""
        path = self.folder / "model.safetensors"
        description = self.describe(epoch)
        self.task.finish(self.eval_model.eval())
        save_checkpoint(path, self.eval_model, description, fp16=self.recipe.fp16)
        stored = load_checkpoint(path).network().to(self.device)
        self.held_out = dict(self.task.validate(stored))
        training: TrainingRecord = {
            **description.training,
            "metrics": read_metrics(self.folder),
            "held_out": self.held_out,
        }
        description = replace(description, training=training)
        save_checkpoint(path, self.eval_model, description, fp16=self.recipe.fp16)
        write_atomically(path.with_suffix(".md"), card(description, path.stem))


def optimiser(model: nn.Module, recipe: RestorationRecipe) -> torch.optim.Optimizer:
    """Adam or AdamW; kernels and matrices have weight decay, biases and slopes have none."""
    groups = [
        {
            "params": [p for p in model.parameters() if (p.ndim > 1) == kernels],
            "weight_decay": recipe.weight_decay if kernels else 0.0,
            "max_lr": recipe.lr,
        }
        for kernels in (True, False)
    ]
    kind = torch.optim.AdamW if recipe.optimiser == "adamw" else torch.optim.Adam
    return kind([group for group in groups if group["params"]], lr=recipe.lr)


def transfer(path: Path, model: nn.Module) -> str:
    """Copy a checkpoint's tensors of equal name and shape into a network.

    Returns:
        The sha256 of the checkpoint.

    Raises:
        CheckpointError: It is no checkpoint, or no tensor fits.
    """
    checkpoint = load_checkpoint(path)
    own = model.state_dict()
    fitting = {
        name: tensor
        for name, tensor in checkpoint.weights.items()
        if name in own and own[name].shape == tensor.shape
    }
    if not fitting:
        raise CheckpointError(f"{path} has no tensor that fits; leave init out")
    model.load_state_dict(fitting, strict=False)
    return checkpoint.sha256


def start(folder: Path, config: RestorationConfig) -> None:
    """Check the run that is in the folder, and write `config.json`.

    Raises:
        CheckpointError: The folder holds another run.
    """
    path = folder / "config.json"
    if path.is_file():
        check_same(folder, read_config_of(RestorationConfig, path), config)
    write_atomically(path, json.dumps(to_dict(config), indent=1))
