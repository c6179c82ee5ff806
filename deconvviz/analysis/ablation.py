"""Ablation: what the same training makes of networks with layers removed or resized (Table 3)."""

import json
import math
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from tqdm import tqdm

from deconvviz.analysis.result import Result
from deconvviz.errors import CheckpointError, SettingError
from deconvviz.io.checkpoint import load_checkpoint
from deconvviz.io.data import Dataset
from deconvviz.io.files import write_atomically
from deconvviz.models import build
from deconvviz.plots.figures import ACCENTS, NEUTRAL_INK, plot
from deconvviz.training import Recipe, evaluate, train
from deconvviz.training.cost import multiply_adds

__all__ = ["RECIPE", "VARIANTS", "Ablation", "Trial", "ablation"]

VARIANTS: Mapping[str, str] = {
    "full": "plain:32,32/64,64/128,128+256",
    "one convolution in stage 3": "plain:32,32/64,64/128+256",
    "no stage 3": "plain:32,32/64,64/+256",
    "no stages 2 and 3": "plain:32,32//+256",
    "no hidden layer": "plain:32,32/64,64/128,128",
    "no stage 3, no hidden layer": "plain:32,32/64,64/",
    "half as wide": "plain:16,16/32,32/64,64+128",
    "twice as wide": "plain:64,64/128,128/256,256+512",
    "four times the hidden units": "plain:32,32/64,64/128,128+1024",
}
"""Variant -> the network that the trainer builds. The first is what the others are compared with.

A stage that is removed still pools, so that what is above it sees maps of the same size.
"""


RECIPE = Recipe(epochs=10, lr=0.03, precision="float32", snapshots=())
"""How variants are trained unless told otherwise.

The rate is lower than that of networks whose last maps are averaged: without a hidden layer, logits
that read thousands of features at once would not settle.
"""


@dataclass(frozen=True)
class Trial:
    """One variant, trained once.

    Attributes:
        variant: Its name.
        model: The network, as `models.build` names it.
        seed: Of initial weights, order and augmentation; the same for all variants.
        training_error: The share of the training pictures, as they are, that it gets wrong.
        test_error: Likewise, of the test pictures.
        parameters: How many numbers it learnt.
        multiply_adds: Of one picture's forward pass.
        seconds: That training took.
    """

    variant: str
    model: str
    seed: int
    training_error: float
    test_error: float
    parameters: int
    multiply_adds: int
    seconds: float


@dataclass(frozen=True)
class Ablation(Result):
    """The trials of all variants, each with the same seeds.

    Attributes:
        trials: Variant by variant, seeds within.
        recipe: How all were trained.
        data: What the test pictures are.
        training: How many pictures they were trained on.
        test: How many they were measured on.
    """

    trials: tuple[Trial, ...]
    recipe: Recipe
    data: str
    training: int
    test: int
    name = "ablation"

    @property
    def variants(self) -> dict[str, tuple[Trial, ...]]:
        """Variant -> its trials, by rising seed."""
        names = dict.fromkeys(trial.variant for trial in self.trials)
        return {name: tuple(t for t in self.trials if t.variant == name) for name in names}

    def change(self, variant: str) -> tuple[float, float | None]:
        """How a variant's test error differs from the first one's: mean over seeds, deviation.

        Trials of equal seed are paired. The deviation is None with one seed.
        """
        first = next(iter(self.variants.values()))
        pairs = zip(self.variants[variant], first, strict=True)
        changes = [one.test_error - other.test_error for one, other in pairs]
        spread = statistics.stdev(changes) if len(changes) > 1 else None
        return statistics.fmean(changes), spread

    def to_dict(self) -> dict[str, Any]:
        """Every trial, and the mean of each variant."""
        return {
            "data": self.data,
            "training pictures": self.training,
            "test pictures": self.test,
            "recipe": {key: v for key, v in asdict(self.recipe).items() if key != "model"},
            "variants": {
                name: {
                    "model": trials[0].model,
                    "test error": statistics.fmean(t.test_error for t in trials),
                    "training error": statistics.fmean(t.training_error for t in trials),
                    "change of test error": self.change(name)[0],
                    "deviation of the change": self.change(name)[1],
                    "parameters": trials[0].parameters,
                    "multiply-adds": trials[0].multiply_adds,
                }
                for name, trials in self.variants.items()
            },
            "trials": [asdict(trial) for trial in self.trials],
        }

    def summary(self) -> str:
        """The first variant's errors, and what each change does to them."""
        first, *others = self.variants
        trials = self.variants[first]
        told = []
        for name in others:
            mean, spread = self.change(name)
            told.append(
                f"{name} {100 * mean:+.1f}" + ("" if spread is None else f" ± {100 * spread:.1f}")
            )
        error = statistics.fmean(trial.test_error for trial in trials)
        fitted = statistics.fmean(trial.training_error for trial in trials)
        noise = 100 * math.sqrt(error * (1 - error) / self.test)
        runs = f"{len(trials)} runs each" if len(trials) > 1 else "one run each"
        return (
            f"{first}: test error {error:.1%}, training error {fitted:.1%} after "
            f"{self.recipe.epochs} epochs on {self.training} pictures ({self.data}), {runs}. "
            f"Test error against this, in points: {', '.join(told) or 'no other variant'}. "
            f"{self.test} test pictures alone give each error a standard error of {noise:.1f}."
        )

    def figure(self, ink: str = NEUTRAL_INK) -> Figure:
        """Errors by variant, a dot a run, with the numbers of parameters and multiply-adds."""
        rows = self.variants
        figure, axes = plot(7.2, 1.0 + 0.32 * len(rows), ink)
        for row, trials in enumerate(rows.values()):
            fitted = [trial.training_error for trial in trials]
            errors = [trial.test_error for trial in trials]
            ends = [statistics.fmean(fitted), statistics.fmean(errors)]
            axes.plot(ends, [row, row], color=ink, linewidth=0.8, alpha=0.6, zorder=1)
            axes.scatter(
                fitted, [row] * len(fitted), s=26, facecolors="none", edgecolors=ACCENTS[1]
            )
            axes.scatter(errors, [row] * len(errors), s=26, color=ACCENTS[0])
            size = f"{trials[0].parameters / 1e6:.2f} M, {trials[0].multiply_adds / 1e6:.0f} M"
            axes.annotate(
                size,
                (1.02, row),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=8,
                color=ink,
            )
        axes.annotate(
            "parameters, multiply-adds",
            (1.02, -0.9),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8,
            color=ink,
        )
        axes.axvline(
            statistics.fmean(t.test_error for t in next(iter(rows.values()))),
            color=ACCENTS[0],
            linewidth=0.8,
            linestyle=":",
        )
        axes.set_yticks(range(len(rows)), list(rows))
        axes.set_ylim(len(rows) - 0.5, -1.3)
        axes.set_xlim(left=0)
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_xlabel("error: filled, test; open, training pictures as they are")
        return figure


def ablation(
    training: Dataset,
    test: Dataset,
    folder: Path,
    *,
    variants: Mapping[str, str] = VARIANTS,
    recipe: Recipe | None = None,
    seeds: Sequence[int] = (0,),
    device: str | torch.device = "cpu",
    progress: bool = False,
) -> Ablation:
    """Train networks that differ in their layers alone, and compare their errors.

    All have the same data, recipe and seeds, so that order and augmentation are the same; the last
    epoch counts. Zeiler & Fergus (2014), section 5.1 and Table 3, arXiv:1311.2901, at the size of
    small pictures.

    A finished trial is one small file, `folder/VARIANT-SEED.json`, beside the folder of its run. A
    trial that is there is not trained again, and one that was interrupted goes on.

    Args:
        training: To train on.
        test: To measure on.
        folder: Where trials and runs are kept; made where missing.
        variants: Name -> network, see `models.build`; the first is what the others are compared
            with.
        recipe: How each is trained, by default `RECIPE`; its `model` and `seed` are set here, and
            its precision must not be "auto", which may differ from one network to the next.
        seeds: One run of every variant for each.
        device: Where to train.
        progress: Show bars.

    Raises:
        SettingError: No variants or seeds, or a recipe whose precision is left open.
        UnknownModelError: A variant names no network.
        CheckpointError: `folder` has a trial of another recipe or of other data.
        KeyboardInterrupt: After Ctrl-C, once the run that was going on is kept.
    """
    recipe = recipe or RECIPE
    if recipe.precision == "auto":
        raise SettingError(
            "variants must be trained in the same precision to be compared; ask for float32 or bf16"
        )
    if not variants or not seeds or len(set(seeds)) < len(seeds):
        raise SettingError(
            f"{len(variants)} variants with seeds {list(seeds)} are no comparison; give at least "
            "one of each, and no seed twice"
        )
    channels, size = training.images.shape[1], training.images.shape[-1]
    for model in variants.values():  # a wrong name is told now, not after hours
        with torch.device("meta"):
            build(model, channels=channels, classes=len(training.classes), size=size)
    bench = _Bench(training, test, folder, torch.device(device), progress=progress)
    plan = [
        (name, replace(recipe, model=model, seed=seed))
        for seed in seeds  # seed by seed, so that an early end leaves whole comparisons
        for name, model in variants.items()
    ]
    with tqdm(plan, "trials", disable=not progress) as bar:
        done = {(name, one.seed): bench.trial(name, one) for name, one in bar}
    trials = tuple(done[name, seed] for name in variants for seed in seeds)
    return Ablation(trials, recipe, test.title, len(training), len(test))


@dataclass(frozen=True, eq=False)
class _Bench:
    """Where all trials are run, and what they have in common."""

    training: Dataset
    test: Dataset
    folder: Path
    device: torch.device
    progress: bool

    def trial(self, variant: str, recipe: Recipe) -> Trial:
        """The trial from its file, or trained now."""
        stem = f"{re.sub(r'[^a-z0-9]+', '-', variant.lower()).strip('-')}-{recipe.seed}"
        path = self.folder / f"{stem}.json"
        setting = self._setting(recipe)
        if path.is_file():
            return _stored(path, setting)
        run = train(
            recipe,
            self.training,
            self.test,
            self.folder / stem,
            device=self.device,
            progress=self.progress,
        )
        if run.epochs < recipe.epochs:
            raise KeyboardInterrupt
        checkpoint = load_checkpoint(run.checkpoint)
        network, described = checkpoint.network(), checkpoint.description
        size = multiply_adds(network, described.input_size)
        fitted = evaluate(
            network.to(self.device), self.training, described.mean, described.std
        ).accuracy
        trial = Trial(
            variant=variant,
            model=recipe.model,
            seed=recipe.seed,
            training_error=1 - fitted,
            test_error=1 - run.evaluation.accuracy,
            parameters=sum(weight.numel() for weight in network.parameters()),
            multiply_adds=size,
            seconds=float(described.training["seconds"]),
        )
        write_atomically(path, json.dumps({**asdict(trial), "setting": setting}, indent=1) + "\n")
        return trial

    def _setting(self, recipe: Recipe) -> dict[str, Any]:
        """What a trial follows from, as JSON has it."""
        setting = {
            "recipe": asdict(recipe),
            "training": self.training.fingerprint,
            "test": self.test.fingerprint,
        }
        told: dict[str, Any] = json.loads(json.dumps(setting))
        return told


def _stored(path: Path, setting: Mapping[str, Any]) -> Trial:
    """A trial that was done before, with the same setting."""
    try:
        content = json.loads(path.read_text("utf-8"))
        before = content.pop("setting")
        trial = Trial(**content)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise CheckpointError(
            f"{path} is no trial that can be read; remove it to run it again"
        ) from None
    if before != setting:
        raise CheckpointError(
            f"{path} is a trial of another recipe or other data; give the same options to go on, "
            "or another folder"
        )
    return trial
