"""Train a CNN: the whole data set on the device, one pass of ordinary PyTorch from top to bottom.

A run is a folder: `config.json`, `metrics.jsonl` (a line an epoch), `snapshots/` (the convolutional
stages at chosen epochs), `state.pt` (all that a resume needs) and at the end `model.safetensors`
with its card `model.md`, and `decoder.safetensors` where there was a decoder. Each epoch draws its
random numbers from (seed, epoch), so that a run that was killed and taken up again ends, on the
CPU, with bit-equal weights.

Under `torchrun`, each process learns from its part of every batch, and gradients are averaged.
"""

import io
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from tqdm import tqdm

from deconvviz.errors import CheckpointError, DataError, DivergedError, SettingError
from deconvviz.io.card import card
from deconvviz.io.checkpoint import Description, load_checkpoint, save_checkpoint, versions
from deconvviz.io.data import Dataset, normalise
from deconvviz.io.files import write_atomically
from deconvviz.models import build
from deconvviz.processes import ProcessGroup
from deconvviz.progress import Progress
from deconvviz.training.adversary import attack
from deconvviz.training.allocator import keep_memory
from deconvviz.training.device import device_name, faster_precision
from deconvviz.training.ensemble import Ensemble
from deconvviz.training.evaluate import Evaluation, evaluate
from deconvviz.training.init import decorrelated_init
from deconvviz.training.loader import Batch, BatchLoader
from deconvviz.training.max_norm import max_norm_
from deconvviz.training.objective import Objective, Terms
from deconvviz.training.optimisers import optimisers, set_pace
from deconvviz.training.recipe import Recipe, differences, to_dict
from deconvviz.training.reconstruct import save_decoder
from deconvviz.training.teacher import Teacher

__all__ = ["Run", "read_metrics", "train"]

_LOOK = 50  # steps between two looks at the loss: reading a number waits for the device


@dataclass(frozen=True)
class Run:
    """What a training run left: its folder, the epochs done, and how it does on the test data."""

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
    watch: Progress | None = None,
) -> Run:
    """Train `recipe.model`, or take up the run in `folder` where it was left.

    Ctrl-C ends the run cleanly after the last whole epoch, with a checkpoint of that.

    Args:
        recipe: How to train.
        training: uint8 pictures with labels, copied to the device whole.
        test: Measured once an epoch for the curve; nothing is chosen by it.
        folder: Of this run; made where missing.
        unlabelled: More pictures of the same size, for what needs no labels; theirs are not read.
        device: Where to train.
        processes: The processes that share the work; by default this one alone.
        progress: Show a bar with loss, accuracy, pictures a second and the time left.
        watch: Told of every step; a `KeyboardInterrupt` that it raises is as good as Ctrl-C.

    Raises:
        DataError: fewer pictures than one batch, or `test` has other classes, or the recipe wants
            pictures without labels and there are none.
        SettingError: the processes cannot share a batch evenly.
        CheckpointError: `folder` holds a run of another recipe or other data.
        DivergedError: the loss is no number any more; a checkpoint of the epoch before is kept.
    """
    processes = processes or ProcessGroup()
    _check(recipe, training, test, unlabelled, processes)
    device = processes.device(torch.device(device))
    if device.type == "cpu":
        keep_memory()
    loop = _Loop(recipe, training, test, unlabelled, folder, device, processes)
    done = loop.resume()
    try:
        with loop.bar(done, progress and processes.is_main) as bar:
            for epoch in range(done + 1, recipe.epochs + 1):
                loop.epoch(epoch, bar, watch)
                done = epoch
    except KeyboardInterrupt:
        done = loop.resume()
        if progress:
            kept = f"{done} of {recipe.epochs} epochs are kept"
            tqdm.write(f"stopped; {kept}, the same command goes on")
    except DivergedError:
        loop.finish(loop.resume())
        raise
    return loop.finish(done)


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
            "ask for a smaller batch or give more pictures"
        )
    if training.classes != test.classes:
        raise DataError(
            f"training and test data have different classes: {', '.join(training.classes[:5])} … "
            f"and {', '.join(test.classes[:5])} …"
        )
    if recipe.unlabelled_batch and unlabelled is None:
        raise DataError(
            f"{recipe.unlabelled_batch} pictures without labels in each step, and none were given; "
            "give some or set unlabelled_batch to 0"
        )
    if recipe.batch_size % processes.size or recipe.unlabelled_batch % processes.size:
        raise SettingError(
            f"{processes.size} processes cannot share a batch of {recipe.batch_size} (and "
            f"{recipe.unlabelled_batch} without labels) evenly; ask for a multiple of {processes.size}"
        )


class _Loop:
    """The state that one run carries from epoch to epoch."""

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
        self.folder, self.device, self.test, self.processes = folder, device, test, processes
        self.data = training
        more = unlabelled if recipe.unlabelled_batch else None
        self.more = more.fingerprint if more else None
        self.feed = BatchLoader(training, more, recipe, device, processes)
        self.mean, self.std, self.steps = self.feed.mean, self.feed.std, self.feed.steps
        channels, height, width = training.images.shape[1:]
        size = (channels, height, width)
        self.ensemble = (
            Ensemble(recipe.teachers, training.classes, size, self.mean, self.std).to(device)
            if recipe.teachers
            else None
        )
        with torch.random.fork_rng(devices=[]):  # nobody else's random numbers change
            torch.manual_seed(recipe.seed)
            classes = len(training.classes)
            model = build(recipe.model, channels=channels, classes=classes, size=width)
            decorrelated_init(model, self.normalised(_sample(training.images)).cpu())
            objective = Objective(model, size, recipe)
        self.parts = objective.to(device).to(memory_format=torch.channels_last)
        self.model = model
        self.recipe = self.settled(recipe)
        self.autocast = torch.bfloat16 if self.recipe.precision == "bf16" else torch.float32
        self.optimisers = optimisers(self.parts, self.recipe)
        self.teacher = (
            Teacher(model, recipe.ema_decay) if recipe.consistency_weight or recipe.ema else None
        )
        self.shared = _shared(self.parts, processes, device)
        self.seconds = 0.0

    @property
    def kept(self) -> nn.Module:
        """The network that is measured, and stored at the end."""
        if self.recipe.ema and self.teacher:
            return self.teacher.network
        return self.model

    @property
    def digests(self) -> list[str]:
        """The sha256 of each network that it learns from, as `recipe.teachers` names them."""
        return self.ensemble.digests if self.ensemble else []

    def settled(self, recipe: Recipe) -> Recipe:
        """The recipe with its precision decided; a run taken up again keeps what it had."""
        path = self.folder / "config.json"
        if path.is_file():
            before = json.loads(path.read_text())
            recipe = replace(recipe, precision=before["recipe"]["precision"])
            wrong = differences(before["recipe"], recipe)
            if (before["data"], before.get("unlabelled")) != (self.data.fingerprint, self.more):
                wrong.append("the pictures are others")
            if before.get("ensemble", []) != self.digests:
                wrong.append("the networks that it learns from are others")
            if wrong:
                raise CheckpointError(
                    f"{self.folder} holds a run of another recipe or other data "
                    f"({'; '.join(wrong)}); give the same options to go on, or another folder"
                )
        elif recipe.precision == "auto":
            batch = self.normalised(self.data.images[: recipe.batch_size].to(self.device))
            fastest = faster_precision(self.model, batch)
            recipe = replace(recipe, precision=self.processes.all_gather(fastest)[0])
        self.processes.all_gather(None)  # all have looked before one writes
        if self.processes.is_main:
            given = {
                "data": self.data.fingerprint,
                "unlabelled": self.more,
                "ensemble": self.digests,
            }
            write_atomically(path, json.dumps({"recipe": to_dict(recipe), **given}, indent=1))
        return recipe

    def normalised(self, images: Tensor) -> Tensor:
        return normalise(images, self.mean, self.std)

    def bar(self, done: int, progress: bool) -> "tqdm[Any]":
        pictures = self.steps * self.recipe.batch_size
        return tqdm(
            total=self.recipe.epochs * pictures,
            initial=done * pictures,
            unit=" images",
            unit_scale=True,
            disable=not progress,
            dynamic_ncols=True,
        )

    def epoch(self, epoch: int, bar: "tqdm[Any]", watch: Progress | None = None) -> None:
        """Its steps, its line of metrics, and the state after it."""
        started = time.perf_counter()
        self.model.train()
        size = self.recipe.batch_size
        summed = torch.zeros(len(Terms._fields), device=self.device)
        bad = torch.zeros((), device=self.device)  # the first step whose loss is no number
        for count, batch in enumerate(self.feed.batches(epoch), 1):
            terms = self.step(batch, (epoch - 1) * self.steps + count)
            bad = torch.where((bad == 0) & ~terms.isfinite().all(), count, bad)
            summed += terms
            bar.update(size)
            if watch:
                watch("training", (epoch - 1) * self.steps + count, self.steps * self.recipe.epochs)
            if count % _LOOK == 0 or count == self.steps:
                self.stop_if(int(bad), epoch)
                loss, accuracy = float(summed[0]) / count, float(summed[-1]) / count
                bar.set_description(f"epoch {epoch}/{self.recipe.epochs}")
                bar.set_postfix(loss=f"{loss:.3f}", acc=f"{accuracy:.1%}")
        self.seconds += time.perf_counter() - started
        self.record(epoch, Terms(*(summed / self.steps).cpu()))

    def stop_if(self, bad: int, epoch: int) -> None:
        """Stop where the loss of a step of this epoch, counted from 1, is no number."""
        if not bad:
            return
        step = (epoch - 1) * self.steps + bad
        pace = self.recipe.pace(step / (self.steps * self.recipe.epochs))
        raise DivergedError(
            f"the loss is no number from step {step} on (epoch {epoch}), at a learning rate of "
            f"{pace * self.recipe.lr:.3g}; {self.folder / 'model.safetensors'} holds epoch "
            f"{epoch - 1}, the last good one; train again with a lower rate, in another folder"
        )

    def step(self, batch: Batch, number: int) -> Tensor:
        """One step of learning, the `number`-th of all; returns `Terms` as a tensor."""
        with torch.autocast(
            self.device.type, self.autocast, enabled=self.autocast != torch.float32
        ):
            targets, taught = batch.targets, None
            if self.ensemble:
                share = self.recipe.distillation_weight
                targets = self.ensemble.targets(batch.images, targets, share)
            if self.teacher and batch.second is not None:
                taught = self.teacher.probabilities(batch.second)
            images = self.attacked(batch, targets)
            terms = Terms(*self.shared(images, targets, taught, batch.whole))
        self.parts.zero_grad()
        torch.autograd.backward(self.parts.total(terms, batch.progress))
        set_pace(self.optimisers, self.recipe.pace(batch.progress))
        for optimiser in self.optimisers:
            optimiser.step()
        if self.recipe.max_kernel_rms:
            max_norm_(self.model, self.recipe.max_kernel_rms)
        if self.teacher:
            self.teacher.follow(self.model, number)
        found = torch.stack([term.detach() for term in terms])
        if self.processes.size > 1:
            distributed.all_reduce(found)
        return found / self.processes.size

    def attacked(self, batch: Batch, targets: Tensor) -> Tensor:
        """The batch's pictures, those with labels changed by the adversary where there is one."""
        adversary = self.recipe.adversary
        radius = adversary.radius_at(batch.progress)
        if not radius:
            return batch.images
        labelled = len(targets)
        changed = attack(
            self.model,
            batch.images[:labelled],
            targets,
            self.mean,
            self.std,
            adversary,
            radius=radius,
            directions=batch.directions,
        )
        if labelled == len(batch.images):
            return changed
        return torch.cat([changed, batch.images[labelled:]])

    def record(self, epoch: int, terms: Terms) -> None:
        """Write the epoch's line of metrics, and what a resume needs."""
        if self.processes.is_main:
            result = evaluate(self.kept, self.test, self.mean, self.std, autocast=self.autocast)
            line: dict[str, float] = {
                "epoch": epoch,
                "train_loss": round(float(terms.classification), 5),
                "train_accuracy": round(float(terms.hits), 5),
                "test_loss": round(result.loss, 5),
                "test_accuracy": round(result.accuracy, 5),
                "seconds": round(self.seconds, 1),
            }
            if self.parts.regulariser:
                line["reconstruction_error"] = round(float(terms.reconstruction), 5)
            if self.recipe.consistency_weight:
                line["consistency"] = round(float(terms.consistency), 5)
            with (self.folder / "metrics.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")
            self.keep(epoch)
        self.processes.all_gather(None)

    def keep(self, epoch: int) -> None:
        """Write what a resume needs, and the snapshot where one was asked for."""
        if epoch in self.recipe.snapshots:
            path = self.folder / "snapshots" / f"epoch-{epoch:04d}.safetensors"
            description = replace(self.describe(epoch), stages_only=True)
            save_checkpoint(path, self.kept, description, fp16=self.recipe.fp16)
        state = {
            "epoch": epoch,
            "seconds": self.seconds,
            "parts": self.parts.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "teacher": self.teacher.network.state_dict() if self.teacher else {},
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_atomically(self.folder / "state.pt", buffer.getvalue())

    def resume(self) -> int:
        """Take up the last whole epoch and return its number; 0 for a new run."""
        path = self.folder / "state.pt"
        there = self.processes.all_gather(path.is_file())[0]
        if not there:
            if self.processes.is_main:
                self.keep(0)
            return 0
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.parts.load_state_dict(state["parts"])
        for optimiser, before in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(before)
        if self.teacher:
            self.teacher.network.load_state_dict(state["teacher"])
        self.seconds = state["seconds"]
        if self.processes.is_main:
            # a kill between the two writes of an epoch leaves a line that the state does not know
            kept = [line for line in read_metrics(self.folder) if line["epoch"] <= state["epoch"]]
            lines = "".join(json.dumps(line) + "\n" for line in kept)
            write_atomically(self.folder / "metrics.jsonl", lines)
        return int(state["epoch"])

    def describe(self, epoch: int, **results: Any) -> Description:
        training = {
            "recipe": asdict(self.recipe),
            "epochs": epoch,
            "pictures": len(self.data),
            "device": device_name(self.device),
            "seconds": round(self.seconds, 1),
            "ensemble": self.digests,
            **results,
        }
        return Description(
            model=self.recipe.model,
            channels=self.data.images.shape[1],
            size=self.data.images.shape[-1],
            classes=self.data.classes,
            mean=self.mean,
            std=self.std,
            data={"title": self.data.title, "fingerprint": self.data.fingerprint},
            training=training,
            versions=versions(),
        )

    def finish(self, epoch: int) -> Run:
        """Write the checkpoint, measured as it is stored, and its card."""
        result = self.publish(epoch) if self.processes.is_main else None
        measured = self.processes.all_gather(result)[0]
        assert measured is not None
        return Run(self.folder, epoch, measured)

    def publish(self, epoch: int) -> Evaluation:
        path = self.folder / "model.safetensors"
        save_checkpoint(path, self.kept, self.describe(epoch), fp16=self.recipe.fp16)
        stored = load_checkpoint(path).network().to(self.device)
        result = evaluate(stored, self.test, self.mean, self.std)
        description = self.describe(
            epoch,
            metrics=read_metrics(self.folder),
            test={
                "title": self.test.title,
                "pictures": len(self.test),
                "accuracy": result.accuracy,
                "confusion": result.confusion.tolist(),
            },
        )
        save_checkpoint(path, self.kept, description, fp16=self.recipe.fp16)
        if self.parts.regulariser:
            save_decoder(self.folder / "decoder.safetensors", self.parts.regulariser)
        write_atomically(path.with_suffix(".md"), card(description, path.stem))
        return result


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """The lines of a run's `metrics.jsonl`, one an epoch; a last, half-written line is dropped."""
    path = folder / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    metrics = []
    for line in lines:
        try:
            metrics.append(json.loads(line))
        except ValueError:
            break
    return metrics


def _sample(images: Tensor) -> Tensor:
    """Pictures from all over a data set, which may be sorted by class: 2000 of 32 x 32 pixels."""
    height, width = images.shape[-2:]
    count = min(2000, len(images), max(1, 2**21 // (height * width)))
    return images[torch.linspace(0, len(images) - 1, count).long()]


def _shared(parts: Objective, processes: ProcessGroup, device: torch.device) -> nn.Module:
    """What a step calls: among several processes, what averages their gradients too.

    BatchNorm normalises each process's part by itself; the running statistics are the first one's.
    """
    if processes.size == 1:
        return parts
    places = [device.index] if device.type == "cuda" else None
    return nn.parallel.DistributedDataParallel(parts, device_ids=places)
