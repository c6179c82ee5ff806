"""Ablation: what the same training makes of networks with layers removed or resized (Table 3)."""

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from deconvviz.errors import SettingError
from deconvviz.io.data import Dataset
from deconvviz.progress import Progress
from deconvviz.study.plan import Arm, Plan, RunSpec
from deconvviz.study.record import Record
from deconvviz.study.run import run_plan
from deconvviz.training import Recipe

__all__ = ["RECIPE", "VARIANTS", "Ablation", "ablation"]

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
"""How variants are trained by default.

The learning rate is lower than that of networks whose last maps are averaged: without a hidden
layer, logits that read thousands of features at once would not settle.
"""


@dataclass(frozen=True)
class Ablation:
    """The runs of all variants, each with the same seeds.

    Attributes:
        records: Variant by variant, seeds within.
        recipe: How all were trained.
        data: Title of the test pictures.
    """

    records: tuple[Record, ...]
    recipe: Recipe
    data: str
    name = "ablation"

    @property
    def variants(self) -> dict[str, tuple[Record, ...]]:
        """Variant -> its runs, in the order of seeds."""
        names = dict.fromkeys(record.arm for record in self.records)
        return {name: tuple(r for r in self.records if r.arm == name) for name in names}

    def change(self, variant: str) -> tuple[float, float | None]:
        """How a variant's test error differs from the first one's: mean over seeds, deviation.

        Runs of equal seed are paired. The deviation is None with one seed.
        """
        first = next(iter(self.variants.values()))
        pairs = zip(self.variants[variant], first, strict=True)
        changes = [other.test_accuracy - one.test_accuracy for one, other in pairs]
        deviation = statistics.stdev(changes) if len(changes) > 1 else None
        return statistics.fmean(changes), deviation

    def to_dict(self) -> dict[str, Any]:
        """Every run, and the mean of each variant."""
        trials = [
            {
                "variant": record.arm,
                "model": record.configuration["recipe"]["model"],
                "seed": record.seed,
                "training_error": 1 - record.train_accuracy,
                "test_error": 1 - record.test_accuracy,
                "parameters": record.parameters,
                "multiply_adds": record.multiply_adds,
                "seconds": record.seconds,
            }
            for record in self.records
        ]
        variants = {}
        for name in self.variants:
            own = [trial for trial in trials if trial["variant"] == name]
            change, deviation = self.change(name)
            variants[name] = {
                "model": own[0]["model"],
                "test error": statistics.fmean(trial["test_error"] for trial in own),
                "training error": statistics.fmean(trial["training_error"] for trial in own),
                "change of test error": change,
                "deviation of the change": deviation,
                "parameters": own[0]["parameters"],
                "multiply-adds": own[0]["multiply_adds"],
            }
        return {
            "data": self.data,
            "training pictures": self.records[0].data["training_pictures"],
            "test pictures": self.records[0].data["test_pictures"],
            "recipe": {key: v for key, v in asdict(self.recipe).items() if key != "model"},
            "variants": variants,
            "trials": trials,
        }


def ablation(
    training: Dataset,
    test: Dataset,
    folder: Path,
    *,
    variants: Mapping[str, str] = VARIANTS,
    recipe: Recipe | None = None,
    seeds: Sequence[int] = (0,),
    device: str | torch.device = "cpu",
    progress: Progress | None = None,
) -> Ablation:
    """Train networks that differ in their layers alone, and compare their errors.

    All have the same data, recipe and seeds, so that order and augmentation are the same; the last
    epoch counts. Zeiler & Fergus (2014), section 5.1 and Table 3, arXiv:1311.2901, at the size of
    small pictures.

    Records of finished trials are in `folder/ablation.jsonl`, beside the folders of their runs. A
    trial that is there is not trained again, and one that was interrupted goes on.

    Args:
        training: Training pictures.
        test: Test pictures.
        folder: Where records and runs are kept; made where missing.
        variants: Name -> network, see `models.build`; the first is what the others are compared
            with.
        recipe: How each is trained, by default `RECIPE`; its `model` and `seed` are set here, and
            its precision must not be "auto", which may differ from one network to the next.
        seeds: One run of every variant for each.
        device: Where to train.
        progress: Called with the multiply-adds that are done, and all of them.

    Raises:
        SettingError: No variants or seeds, or a seed twice.
        UnknownModelError: A variant names no network.
        StudyError: The recipe leaves its precision open, or `folder` has a trial of another recipe
            or of other data.
        KeyboardInterrupt: After Ctrl-C, once the run that was going on is kept.
    """
    if len(set(seeds)) < len(seeds):
        raise SettingError(f"seeds must be different, got {', '.join(map(str, seeds))}")
    recipe = recipe or RECIPE
    plan = Plan(
        name="ablation",
        question="What does the same training make of networks with layers removed or resized?",
        recipe=recipe,
        arms=tuple(Arm(name, model, {"model": model}) for name, model in variants.items()),
        budgets={len(training): {}},
        seeds=tuple(seeds),
    )
    records = run_plan(
        plan,
        training,
        test,
        folder / "ablation.jsonl",
        runs=lambda spec: folder / _stem(spec),
        device=device,
        progress=progress,
    )
    ordered = tuple(record for name in variants for record in records if record.arm == name)
    return Ablation(ordered, recipe, test.title)


def _stem(spec: RunSpec) -> str:
    """Name of a run's folder."""
    name = re.sub(r"[^a-z0-9]+", "-", spec.arm.name.lower()).strip("-")
    return f"{name}-{spec.seed}"
