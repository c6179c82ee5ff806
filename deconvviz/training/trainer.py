"""Train a CNN: the whole data set on the device, one pass of ordinary PyTorch from top to bottom.

A run is a folder: `config.json`, `metrics.jsonl` (a line an epoch), `snapshots/` (the convolutional
stages at chosen epochs), `state.pt` (all that a resume needs) and at the end `model.safetensors`
with its card `model.md`. Each epoch draws its random numbers from (seed, epoch), so that a run that
was killed and taken up again ends, on the CPU, with bit-equal weights.
"""

import io
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from deconvviz.card import card
from deconvviz.checkpoint import Description, load_checkpoint, save_checkpoint, versions
from deconvviz.data import Augmentation, Dataset, normalise
from deconvviz.errors import CheckpointError, DataError, SettingError
from deconvviz.files import write_atomically
from deconvviz.models import build
from deconvviz.training.decoder import Decoder, reconstruction_loss
from deconvviz.training.device import device_name, faster_precision
from deconvviz.training.evaluate import Evaluation, evaluate
from deconvviz.training.limit import limit_kernels
from deconvviz.training.muon import Muon
from deconvviz.training.start import decorrelated_start

PRECISIONS = ("auto", "bf16", "float32")

__all__ = ["Recipe", "Run", "train"]


@dataclass(frozen=True)
class Recipe:
    """How to train; every figure of a run's card follows from it, the data and the device.

    Attributes:
        model: A name of `models.MODELS`.
        epochs: Passes over the training pictures.
        seed: Of the initial weights, the order of the pictures and their augmentation.
        batch_size: Pictures in one step; the last, smaller batch of an epoch is left out.
        peak_rate: Of SGD. All rates follow one cycle: from 0 to their peak in `warmup` of all
            steps, then linearly to 0.
        kernel_rate: Of Muon, likewise, for the kernels whose scale BatchNorm undoes; 0 leaves
            these to SGD too.
        warmup: The share of steps before the peak.
        momentum: Of both, with Nesterov's correction.
        weight_decay: Of SGD, on kernels and matrices; BatchNorm's scales and the last biases have
            none.
        shift_rate: BatchNorm's shifts learn this many times faster, with a weight decay as many
            times smaller, which saves epochs (Jordan 2024, arXiv:2404.00498).
        label_smoothing: The share of the target spread over all classes.
        augmentation: Crop, flip and cutout. A picture that is mirrored in one epoch is not in the
            next (Jordan 2024): both sides are seen equally often.
        deconv_weight: Of the deconvolution decoder's mean squared error beside the cross-entropy;
            0 trains the classifier alone.
        largest_rms: The root mean square to which longer kernels of the classifier's convolutions
            are shortened after each step; 0 lets them grow. Zeiler & Fergus (2014) took 0.1.
        snapshots: The epochs whose convolutional stages are kept; 0 is the initial weights.
        precision: "bf16", "float32", or "auto" for the one that is faster on the device.
        half: Store the checkpoint and the snapshots in float16.
    """

    model: str = "vgg"
    epochs: int = 15
    seed: int = 0
    batch_size: int = 128
    peak_rate: float = 0.125
    kernel_rate: float = 0.0
    warmup: float = 0.2
    momentum: float = 0.9
    weight_decay: float = 1.3e-3
    shift_rate: float = 16.0
    label_smoothing: float = 0.1
    augmentation: Augmentation = field(default_factory=lambda: Augmentation(cutout=8))
    deconv_weight: float = 0.0
    largest_rms: float = 0.0
    snapshots: tuple[int, ...] = (0, 1, 2, 5, 10, 20, 50, 100)
    precision: str = "auto"
    half: bool = False

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise SettingError(
                f"no precision `{self.precision}`; there are {', '.join(PRECISIONS)}"
            )
        least: dict[str, float] = {"epochs": 1, "batch_size": 2, "seed": 0}
        weights_and_rates = ("deconv_weight", "peak_rate", "kernel_rate", "largest_rms")
        least |= dict.fromkeys(weights_and_rates, 0.0)
        for name, value in least.items():
            if not value <= getattr(self, name) < math.inf:
                asked = getattr(self, name)
                raise SettingError(f"{name} {asked} cannot be; it is {value} or more")
        if self.largest_rms and self.kernel_rate:
            raise SettingError(
                f"largest_rms {self.largest_rms} and kernel_rate {self.kernel_rate} both set how "
                "long kernels are; set one of them to 0"
            )

    def pace(self, progress: float) -> float:
        """The share of their peaks that all rates have when a share `progress` is done."""
        if progress < self.warmup:
            return progress / self.warmup
        return (1 - progress) / (1 - self.warmup)


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
    device: str | torch.device = "cpu",
    progress: bool = True,
) -> Run:
    """Train `recipe.model`, or take up the run in `folder` where it was left.

    Ctrl-C ends the run cleanly after the last whole epoch, with a checkpoint of that.

    Args:
        recipe: How to train.
        training: uint8 pictures with labels, copied to the device whole.
        test: Measured once an epoch for the curve; nothing is chosen by it.
        folder: Of this run; made where missing.
        device: Where to train.
        progress: Show a bar with loss, accuracy, pictures a second and the time left.

    Raises:
        DataError: fewer pictures than one batch, or `test` has other classes.
        CheckpointError: `folder` holds a run of another recipe or other data.
    """
    _check(recipe, training, test)
    loop = _Loop(recipe, training, test, folder, torch.device(device))
    done = loop.resume()
    try:
        with loop.bar(done, progress) as bar:
            for epoch in range(done + 1, recipe.epochs + 1):
                loop.epoch(epoch, bar)
                done = epoch
    except KeyboardInterrupt:
        done = loop.resume()
        tqdm.write(f"stopped; {done} of {recipe.epochs} epochs are kept, the same command goes on")
    return loop.finish(done)


def _check(recipe: Recipe, training: Dataset, test: Dataset) -> None:
    if len(training) < recipe.batch_size:
        raise DataError(
            f"{len(training)} training pictures are fewer than one batch of {recipe.batch_size}; "
            "ask for a smaller batch or give more pictures"
        )
    if training.classes != test.classes:
        raise DataError(
            f"training and test data have different classes: {', '.join(training.classes[:5])} … "
            f"and {', '.join(test.classes[:5])} …"
        )


class _Loop:
    """The state that one run carries from epoch to epoch."""

    def __init__(
        self, recipe: Recipe, training: Dataset, test: Dataset, folder: Path, device: torch.device
    ) -> None:
        self.folder, self.device, self.test = folder, device, test
        self.data = training.to(device)
        self.mean, self.std = training.channel_statistics()
        channels, size = training.images.shape[1], training.images.shape[-1]
        torch.manual_seed(recipe.seed)
        self.model = build(
            recipe.model, channels=channels, classes=len(training.classes), size=size
        )
        decorrelated_start(self.model, self.normalised(training.images[:2000]).cpu())
        self.decoder = Decoder(self.model, channels) if recipe.deconv_weight else None
        self.parts = nn.ModuleList([self.model, *([self.decoder] if self.decoder else [])])
        self.parts.to(device).to(memory_format=torch.channels_last)
        self.recipe = self.settled(recipe)
        self.autocast = torch.bfloat16 if self.recipe.precision == "bf16" else torch.float32
        self.optimisers = _optimisers(self.parts, self.recipe)
        bits = torch.randint(2, (len(training),), generator=_generator(recipe.seed))
        self.mirrored = bits.bool().to(device)  # in even epochs; the others in odd ones
        self.seconds = 0.0

    def settled(self, recipe: Recipe) -> Recipe:
        """The recipe with its precision decided; a run taken up again keeps what it had."""
        path = self.folder / "config.json"
        wanted = asdict(recipe)
        if path.is_file():
            before = json.loads(path.read_text())
            # A run from before there was a setting was trained as that setting's default does.
            had = json.loads(json.dumps(asdict(Recipe()))) | before["recipe"]
            wanted["precision"] = had["precision"]
            if json.loads(json.dumps(wanted)) != had or before["data"] != self.data.fingerprint:
                raise CheckpointError(
                    f"{self.folder} holds a run of another recipe or other data; "
                    "give the same options to go on, or another folder"
                )
        elif recipe.precision == "auto":
            batch = self.normalised(self.data.images[: recipe.batch_size])
            wanted["precision"] = faster_precision(self.model, batch)
        config = {"recipe": wanted, "data": self.data.fingerprint}
        write_atomically(path, json.dumps(config, indent=1))
        return replace(recipe, precision=wanted["precision"])

    def normalised(self, images: Tensor) -> Tensor:
        return normalise(images, self.mean, self.std)

    def bar(self, done: int, progress: bool) -> "tqdm[Any]":
        steps = len(self.data) // self.recipe.batch_size
        return tqdm(
            total=self.recipe.epochs * steps * self.recipe.batch_size,
            initial=done * steps * self.recipe.batch_size,
            unit=" images",
            unit_scale=True,
            disable=not progress,
            dynamic_ncols=True,
        )

    def epoch(self, epoch: int, bar: "tqdm[Any]") -> None:
        """One pass over the training pictures, its line of metrics, and the state after it."""
        started = time.perf_counter()
        self.model.train()
        loss = torch.zeros(3, device=self.device)  # cross-entropy, reconstruction, hits; summed
        seen = 0
        for progress, images, labels in self.batches(epoch):
            loss += self.step(self.recipe.pace(progress), images, labels)
            seen += len(labels)
            bar.update(len(labels))
            if seen % (50 * len(labels)) == 0:  # seldom: reading a number waits for the device
                bar.set_description(f"epoch {epoch}/{self.recipe.epochs}")
                bar.set_postfix(loss=f"{loss[0] / seen:.3f}", acc=f"{loss[2] / seen:.1%}")
        self.seconds += time.perf_counter() - started
        self.record(epoch, *(loss / seen).tolist())

    def batches(self, epoch: int) -> Iterator[tuple[float, Tensor, Tensor]]:
        """The share of all steps done, normalised augmented pictures, labels."""
        size, total = self.recipe.batch_size, len(self.data) // self.recipe.batch_size
        # numbers for the dropout and the like of a model, and for the order and the augmentation
        seed = self.recipe.seed * 100_003 + epoch
        torch.manual_seed(seed)
        generator = _generator(seed, self.device)
        order = torch.randperm(len(self.data), generator=generator, device=self.device)
        mirrored = self.mirrored ^ bool(epoch % 2)
        for step in range(total):
            index = order[step * size : (step + 1) * size]
            images = self.recipe.augmentation(self.data.images[index], generator, mirrored[index])
            progress = (epoch - 1 + (step + 1) / total) / self.recipe.epochs
            yield progress, self.normalised(images), self.data.labels[index]

    def step(self, pace: float, images: Tensor, labels: Tensor) -> Tensor:
        """One step of learning; returns summed cross-entropy, reconstruction error and hits."""
        with torch.autocast(
            self.device.type, self.autocast, enabled=self.autocast != torch.float32
        ):
            features = self.model.features(images)
            logits = self.model.head(features).float()
            reconstruction = self.decoder(features) if self.decoder else images
        entropy = functional.cross_entropy(
            logits, labels, label_smoothing=self.recipe.label_smoothing
        )
        error = reconstruction_loss(reconstruction, images)
        self.parts.zero_grad()
        torch.autograd.backward(entropy + self.recipe.deconv_weight * error)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = pace * group["peak"]
            optimiser.step()
        if self.recipe.largest_rms:
            limit_kernels(self.model, self.recipe.largest_rms)
        hits = (logits.argmax(1) == labels).sum()
        return torch.stack([entropy.detach(), error.detach(), hits / len(labels)]) * len(labels)

    def record(self, epoch: int, entropy: float, error: float, accuracy: float) -> None:
        result = evaluate(self.model, self.test, self.mean, self.std, autocast=self.autocast)
        line: dict[str, float] = {
            "epoch": epoch,
            "train_loss": round(entropy, 5),
            "train_accuracy": round(accuracy, 5),
            "test_loss": round(result.loss, 5),
            "test_accuracy": round(result.accuracy, 5),
            "seconds": round(self.seconds, 1),
        }
        if self.decoder:
            line["reconstruction_error"] = round(error, 5)
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        self.keep(epoch)

    def keep(self, epoch: int) -> None:
        """Write what a resume needs, and the snapshot where one was asked for."""
        if epoch in self.recipe.snapshots:
            path = self.folder / "snapshots" / f"epoch-{epoch:04d}.safetensors"
            description = replace(self.describe(epoch), stages_only=True)
            save_checkpoint(path, self.model, description, half=self.recipe.half)
        state = {
            "epoch": epoch,
            "seconds": self.seconds,
            "parts": self.parts.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_atomically(self.folder / "state.pt", buffer.getvalue())

    def resume(self) -> int:
        """Take up the last whole epoch and return its number; 0 for a new run."""
        path = self.folder / "state.pt"
        if not path.is_file():
            self.keep(0)
            return 0
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.parts.load_state_dict(state["parts"])
        for optimiser, before in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(before)
        self.seconds = state["seconds"]
        # a kill between the two writes of an epoch leaves a line that the state knows nothing of
        kept = [line for line in read_metrics(self.folder) if line["epoch"] <= state["epoch"]]
        write_atomically(
            self.folder / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in kept)
        )
        return int(state["epoch"])

    def describe(self, epoch: int, **results: Any) -> Description:
        training = {
            "recipe": asdict(self.recipe),
            "epochs": epoch,
            "pictures": len(self.data),
            "device": device_name(self.device),
            "seconds": round(self.seconds, 1),
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
        path = self.folder / "model.safetensors"
        save_checkpoint(path, self.model, self.describe(epoch), half=self.recipe.half)
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
        save_checkpoint(path, self.model, description, half=self.recipe.half)
        write_atomically(path.with_suffix(".md"), card(description, path.stem))
        return Run(self.folder, epoch, result)


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


def _generator(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)


def _optimisers(parts: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for kernels whose scale BatchNorm undoes, SGD for the rest."""
    # a convolution has no bias because BatchNorm follows, which would undo that too
    free = [m.weight for m in parts.modules() if isinstance(m, nn.Conv2d) and m.bias is None]
    turned = free if recipe.kernel_rate else []
    shifts = [m.bias for m in parts.modules() if isinstance(m, nn.BatchNorm2d)]
    # lists, not sets: a resume finds the momentum of a parameter by its place
    rest = [p for p in parts.parameters() if not any(p is q for q in (*turned, *shifts))]
    peak, decay, momentum = recipe.peak_rate, recipe.weight_decay, recipe.momentum
    groups = [
        {"params": [p for p in rest if p.ndim > 1], "weight_decay": decay, "peak": peak},
        {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0, "peak": peak},
        {
            "params": shifts,
            "weight_decay": decay / recipe.shift_rate,
            "peak": peak * recipe.shift_rate,
        },
    ]
    sgd = torch.optim.SGD(groups, lr=peak, momentum=momentum, nesterov=True)
    if not turned:
        return [sgd]
    kernels = {"params": turned, "peak": recipe.kernel_rate}
    return [sgd, Muon([kernels], lr=recipe.kernel_rate, momentum=momentum)]
