"""Train a CNN: the whole data set on the device, an ordinary PyTorch loop.

A run is a folder: `config.json`, `metrics.jsonl` (one line per epoch), `snapshots/` (the
convolutional stages at chosen epochs), `state.pt` (all that a resume needs) and at the end
`model.safetensors` with its card `model.md`, and `decoder.safetensors` if there is a decoder. Each
epoch draws its random numbers from (seed, epoch), so that on the CPU a run that was killed and
resumed ends with bit-equal weights.

Under `torchrun`, each process trains on its part of every batch, and gradients are averaged.
"""

import copy
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, distributed, nn

from deconvviz.errors import DataError, SettingError
from deconvviz.io.card import card
from deconvviz.io.checkpoint import (
    Description,
    TrainingRecord,
    amend_checkpoint,
    load_checkpoint,
    save_checkpoint,
    versions,
)
from deconvviz.io.data import Dataset, normalise
from deconvviz.io.files import only_writer, write_atomically
from deconvviz.io.zoo import load
from deconvviz.models import build
from deconvviz.processes import ProcessGroup
from deconvviz.progress import Progress
from deconvviz.training.decode import load_decoder, save_decoder
from deconvviz.training.device import device_name, keep_memory
from deconvviz.training.distillation import TeacherEnsemble, load_teachers
from deconvviz.training.evaluate import Evaluation, evaluate, test_record
from deconvviz.training.init import decorrelated_init
from deconvviz.training.loader import Batch, BatchLoader
from deconvviz.training.loop import Loop
from deconvviz.training.objective import Objective, StepForward, Terms
from deconvviz.training.optimisers import max_norm_, optimisers
from deconvviz.training.recipe import Recipe
from deconvviz.training.run_folder import RunConfig, read_metrics, start


@dataclass(frozen=True)
class Run:
    """A training run.

    Attributes:
        folder: The run's folder.
        epochs: Epochs done.
        evaluation: The stored network on the test data.
    """

    folder: Path
    epochs: int
    evaluation: Evaluation

    @property
    def checkpoint(self) -> Path:
        """The trained network."""
        return self.folder / "model.safetensors"


def train(
    recipe: Recipe,
    training: Dataset,
    test: Dataset,
    folder: Path,
    *,
    unlabelled: Dataset | None = None,
    device: str | torch.device = "cpu",
    processes: ProcessGroup | None = None,
    progress: bool = True,
    callback: Progress | None = None,
) -> Run:
    """Train `recipe.model`, or resume the run in `folder`.

    Ctrl-C ends the run cleanly after the last whole epoch, with a checkpoint of it.

    Args:
        recipe: The options of the run.
        training: Labelled pictures, uint8, copied to the device whole.
        test: Test pictures, evaluated once per epoch; nothing is chosen by them.
        folder: The run's folder; made where missing.
        unlabelled: Pictures of the same size whose labels are not used.
        device: Device to train on.
        processes: Processes that share the work; by default this one alone.
        progress: Show a bar with loss, accuracy, pictures per second and the time left.
        callback: Called after every step; raising `KeyboardInterrupt` in it equals Ctrl-C.

    Raises:
        DataError: Fewer pictures than one batch, or one class alone, or `test` has other classes,
            or the recipe needs unlabelled pictures and there are none.
        SettingError: The processes cannot share a batch evenly.
        CheckpointError: `folder` holds another run, or damaged files.
        BusyError: Another process writes to `folder`.
        DivergedError: The loss or a weight is NaN or inf; the epoch before is stored.
    """
    processes = processes or ProcessGroup()
    _check(recipe, training, test, unlabelled, processes)
    device = processes.device(torch.device(device))
    if device.type == "cpu":
        keep_memory()
    with only_writer(folder) if processes.is_main else nullcontext():
        trainer = Trainer(recipe, training, test, unlabelled, folder, device, processes)
        done = trainer.run(progress=progress, callback=callback)
    evaluation = processes.all_gather(trainer.evaluation)[0]
    assert evaluation is not None
    return Run(folder, done, evaluation)


def _check(
    recipe: Recipe,
    training: Dataset,
    test: Dataset,
    unlabelled: Dataset | None,
    processes: ProcessGroup,
) -> None:
    if len(training) < recipe.batch_size and not recipe.steps_per_epoch:
        raise DataError(
            f"{len(training)} training pictures are fewer than one batch of {recipe.batch_size}; "
            "use a smaller batch_size or more pictures"
        )
    if len(training.classes) < 2:
        raise DataError(
            f"the training pictures have one class alone ({', '.join(training.classes)}); training "
            "needs at least two to tell apart"
        )
    if training.classes != test.classes:
        raise DataError(
            f"training and test data have different classes: {', '.join(training.classes[:5])} … "
            f"and {', '.join(test.classes[:5])} …"
        )
    if recipe.unlabelled_batch and unlabelled is None:
        raise DataError(
            f"unlabelled_batch is {recipe.unlabelled_batch}, and there are no unlabelled pictures; "
            "give some or set it to 0"
        )
    if recipe.batch_size % processes.size or recipe.unlabelled_batch % processes.size:
        raise SettingError(
            f"batch_size and unlabelled_batch must be multiples of {processes.size}, the number of "
            f"processes, got {recipe.batch_size} and {recipe.unlabelled_batch}"
        )


def _check_size(model: nn.Module, name: str, input_size: tuple[int, int, int]) -> None:
    """Run the network without numbers, so that a wrong size is an error before a run begins."""
    try:
        copy.deepcopy(model).to("meta")(torch.empty(2, *input_size, device="meta"))
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise SettingError(
            f"`{name}` does not take pictures of {input_size[2]} x {input_size[1]} pixels "
            f"({reason}); choose another size or network"
        ) from None


def start_from(name: str, objective: Objective) -> str:
    """Give a network the weights of another one, and its decoder those of the one beside it.

    Args:
        name: A network of the same architecture, by name or by its checkpoint's path.
        objective: The classifier to train, with its decoder if it has one.

    Returns:
        The SHA-256 of the other network's checkpoint.

    Raises:
        UnknownModelError, CheckpointError: The network is missing or cannot be read.
        SettingError: It is of another architecture.
    """
    bundle = load(name)
    try:
        objective.model.load_state_dict(bundle.model.state_dict())
        if objective.regulariser and Path(name).with_name("decoder.safetensors").is_file():
            decoder = load_decoder(Path(name)).regulariser
            objective.regulariser.load_state_dict(decoder.state_dict())
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[1].strip()
        raise SettingError(
            f"cannot start from `{name}`, a `{bundle.architecture}`: {reason}; name a network of "
            "the same architecture, with the same classes and decoder"
        ) from None
    return bundle.sha256


class Trainer(Loop[Batch]):
    """A run in memory: its network, decoder, optimisers and data."""

    shown = {"loss": 0, "acc": len(Terms._fields) - 1}  # noqa: RUF012  never changed

    def __init__(
        self,
        recipe: Recipe,
        training: Dataset,
        test: Dataset,
        unlabelled: Dataset | None,
        folder: Path,
        device: torch.device,
        processes: ProcessGroup,
    ) -> None:
        self.training, self.test = training, test
        others = unlabelled if recipe.unlabelled_batch else None
        self.loader = BatchLoader(training, others, recipe, device, processes)
        self.mean, self.std = self.loader.mean, self.loader.std
        channels, height, width = training.images.shape[1:]
        input_size = (channels, height, width)
        teachers = None
        if recipe.teachers:
            bundles = load_teachers(recipe.teachers, training.classes, input_size)
            teachers = TeacherEnsemble(bundles, self.mean, self.std).to(device)
            teachers.to(memory_format=torch.channels_last)
        with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they are
            torch.manual_seed(recipe.seed)
            classes = len(training.classes)
            self.model = build(recipe.model, channels=channels, classes=classes, size=width)
            _check_size(self.model, recipe.model, input_size)
            # from all over the data, which may be sorted by class: 2000 pictures of 32 x 32
            sampled = min(2000, len(training), max(1, 2**21 // (height * width)))
            sample = training.images[torch.linspace(0, len(training) - 1, sampled).long()]
            decorrelated_init(self.model, normalise(sample, self.mean, self.std).cpu())
            objective = Objective(self.model, input_size, recipe)
        init_sha256 = start_from(recipe.init, objective) if recipe.init else ""
        self.objective = objective.to(device).to(memory_format=torch.channels_last)
        config = RunConfig(
            recipe,
            training.fingerprint,
            others.fingerprint if others else None,
            teachers.sha256 if teachers else (),
            init_sha256,
        )
        self.config = start(folder, config, device, processes)
        self.recipe = self.config.recipe
        self.autocast = torch.bfloat16 if self.recipe.precision == "bf16" else torch.float32
        self.forward = StepForward(self.objective, self.mean, self.std, teachers)
        if processes.size > 1:
            # BatchNorm normalises each process's part by itself; its running statistics are those
            # of the first process.
            ids = [device.index] if device.type == "cuda" else None
            self.forward.distributed = nn.parallel.DistributedDataParallel(
                self.objective, device_ids=ids
            )
        self.evaluation: Evaluation | None = None
        super().__init__(
            folder,
            self.objective,
            optimisers(self.objective, self.recipe),
            epochs=self.recipe.epochs,
            steps=self.loader.steps,
            batch_size=self.recipe.batch_size,
            device=device,
            processes=processes,
            ema=self.forward.ema,
        )

    @property
    def eval_model(self) -> nn.Module:
        """The network that is evaluated and stored."""
        return self.ema.module if self.recipe.ema and self.ema else self.model

    def batches(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch; see `Loop`."""
        return self.loader.batches(epoch)

    def lr_scale(self, progress: float) -> float:
        """The learning rates over their peaks; see `Loop`."""
        return self.recipe.lr_scale(progress)

    def step(self, batch: Batch) -> Tensor:
        """One optimiser step; returns `Terms`, averaged over the processes, as a tensor."""
        # Soft labels, attack and loss run under autocast; weights, gradients and updates stay
        # float32, and bf16 needs no loss scaling.
        enabled = self.autocast != torch.float32
        with torch.autocast(self.device.type, self.autocast, enabled=enabled):
            terms = self.forward(batch)
        total = self.objective.total(terms, batch.progress)
        self.update(total, batch.progress, self.recipe.max_grad_norm)
        if self.recipe.max_kernel_rms:
            max_norm_(self.model, self.recipe.max_kernel_rms)
        if self.ema:
            self.ema.update_parameters(self.model)
        detached = torch.stack([term.detach() for term in terms])
        if self.processes.size > 1:
            distributed.all_reduce(detached)
        return detached / self.processes.size

    def metrics(self, epoch: int, values: Tensor) -> dict[str, float]:
        """A line of `metrics.jsonl`; see `Loop`."""
        terms = Terms(*values)
        result = evaluate(self.eval_model, self.test, self.mean, self.std, autocast=self.autocast)
        metrics: dict[str, float] = {
            "epoch": epoch,
            "train_loss": round(float(terms.classification), 5),
            "train_accuracy": round(float(terms.accuracy), 5),
            "test_loss": round(result.loss, 5),
            "test_accuracy": round(result.accuracy, 5),
            "seconds": round(self.seconds, 1),
        }
        if self.objective.regulariser:
            metrics["reconstruction_error"] = round(float(terms.reconstruction), 5)
        if self.recipe.consistency_weight:
            metrics["consistency"] = round(float(terms.consistency), 5)
        return metrics

    def snapshot(self, epoch: int) -> None:
        """Store the convolutional stages after the recipe's epochs."""
        if epoch in self.recipe.snapshots:
            path = self.folder / "snapshots" / f"epoch-{epoch:04d}.safetensors"
            description = replace(self.describe(epoch), stages_only=True)
            save_checkpoint(path, self.eval_model, description, fp16=self.recipe.fp16)

    def describe(self, epoch: int) -> Description:
        """The description of a checkpoint after an epoch."""
        training: TrainingRecord = {
            "recipe": asdict(self.recipe),  # type: ignore[typeddict-item]  # some of its keys
            "epochs": epoch,
            "pictures": len(self.training),
            "device": device_name(self.device),
            "seconds": round(self.seconds, 1),
            "teacher_sha256": self.config.teacher_sha256,
            "init_sha256": self.config.init_sha256,
        }
        return Description(
            model=self.recipe.model,
            channels=self.training.images.shape[1],
            size=self.training.images.shape[-1],
            classes=self.training.classes,
            mean=self.mean,
            std=self.std,
            data={"title": self.training.title, "fingerprint": self.training.fingerprint},
            training=training,
            versions=versions(),
        )

    def publish(self, epoch: int) -> None:
        """Write the checkpoint, evaluated as stored, and its card."""
        path = self.folder / "model.safetensors"
        save_checkpoint(path, self.eval_model, self.describe(epoch), fp16=self.recipe.fp16)
        stored = load_checkpoint(path).network().to(self.device)
        result = evaluate(stored, self.test, self.mean, self.std)
        record = test_record(self.test, result)
        description = amend_checkpoint(path, metrics=read_metrics(self.folder), test=record)
        if self.objective.regulariser:
            save_decoder(self.folder / "decoder.safetensors", self.objective.regulariser)
        write_atomically(path.with_suffix(".md"), card(description, path.stem))
        self.evaluation = result
