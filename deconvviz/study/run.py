"""Run what a plan lacks: one training run after the other, each with its record."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from deconvviz.errors import StudyError
from deconvviz.io.checkpoint import load_checkpoint, versions
from deconvviz.io.data import Dataset, stratified_subset, train_test_split, with_label_noise
from deconvviz.study.measures import measure, robustness
from deconvviz.study.plan import Cell, Plan
from deconvviz.study.record import Record, file_name
from deconvviz.training import Recipe, read_metrics, train
from deconvviz.training.cost import multiply_adds, step_cost
from deconvviz.training.device import device_name
from deconvviz.training.recipe import differences, to_dict

__all__ = ["run_study"]

_ROBUST = 1000  # pictures that are made worse, in twenty ways each


def run_study(
    plan: Plan,
    training: Dataset,
    test: Dataset,
    folder: Path,
    *,
    arms: Sequence[str] | None = None,
    labels: Sequence[int] | None = None,
    seeds: Sequence[int] | None = None,
    device: str | torch.device = "cpu",
    progress: bool = False,
) -> tuple[Record, ...]:
    """Train whatever has no record yet, and give the records of all that was asked for.

    A run that is interrupted goes on where it was; Ctrl-C keeps what there is. Of each run its
    record stays, `folder/ARM-LABELS-SEED.json`; what it needs until then is in `folder/unfinished`.

    Args:
        plan: What is to be run.
        training: Training pictures; those without a known label serve without it.
        test: Where the plan is measured, unless it holds pictures out.
        folder: Of the records; made where missing.
        arms: Only these; by default all.
        labels: Only these budgets.
        seeds: Only these.
        device: Where to train.
        progress: Show bars, with the time left.

    Raises:
        StudyError: The plan has no such arm, budget or seed, leaves its precision open, or the
            folder has a record of another configuration or other pictures.
        DataError: A budget is larger than the data.
        KeyboardInterrupt: After Ctrl-C, once the run that was going on is kept.
    """
    if plan.recipe.precision == "auto":
        raise StudyError(
            f"the study {plan.name} leaves its precision open, and arms of different precision are "
            "no comparison; declare float32 or bf16"
        )
    if plan.hold_out:
        training, test = train_test_split(training, plan.hold_out)
    bench = _Bench(plan, training, test, folder, torch.device(device), progress=progress)
    cells = list(plan.cells(arms, labels, seeds))
    # what is wrong is told now, not after hours
    stratified_subset(training, max((cell.labels for cell in cells), default=1))
    work = [bench.work(cell) for cell in cells]
    records = []
    with tqdm(
        total=sum(work), unit="MAC", unit_scale=True, disable=not progress, position=0
    ) as bar:
        for cell, share in zip(cells, work, strict=True):
            bar.set_description(str(cell))
            records.append(bench.record(cell))
            bar.update(share)
    return tuple(records)


@dataclass(frozen=True, eq=False)
class _Bench:
    """Where all runs are made, and what they have in common."""

    plan: Plan
    training: Dataset
    test: Dataset
    folder: Path
    device: torch.device
    progress: bool

    def work(self, cell: Cell) -> int:
        """The multiply-adds of all steps forward, by which the time left is told."""
        recipe = self.plan.recipe_of(cell)
        _, cost = step_cost(recipe, self._size, len(self.training.classes))
        steps = recipe.steps_per_epoch or cell.labels // recipe.batch_size
        return cost * recipe.batch_size * steps * recipe.epochs

    def record(self, cell: Cell) -> Record:
        """The record from its file, or of a run made now."""
        recipe = self.plan.recipe_of(cell)
        right = stratified_subset(self.training, cell.labels, cell.seed)
        path = self.folder / file_name(cell.arm.name, cell.labels, cell.seed)
        if path.is_file():
            return self._stored(path, cell, right)
        if same := self._same(cell, right):
            same.write(self.folder)
            return same
        scratch = self.folder / "unfinished" / path.stem
        run = train(
            recipe,
            with_label_noise(right, cell.arm.label_noise, cell.seed),
            self.test,
            scratch,
            unlabelled=self.training,
            device=self.device,
            progress=self.progress,
        )
        if run.epochs < recipe.epochs:
            raise KeyboardInterrupt
        record = self._measured(cell, recipe, right, scratch)
        record.write(self.folder)
        shutil.rmtree(scratch)
        return record

    def _same(self, cell: Cell, right: Dataset) -> Record | None:
        """The record of another arm that was trained in the very same way, in this arm's name.

        The value that a lever has anyway is an arm of each lever.
        """
        wanted = self._configuration(cell, self.plan.recipe_of(cell))
        for path in self.folder.glob(f"*-{cell.labels}-{cell.seed}.json"):
            there = Record.read(path)
            if there.configuration == wanted and there.subset == right.fingerprint:
                return replace(there, arm=cell.arm.name)
        return None

    def _measured(self, cell: Cell, recipe: Recipe, right: Dataset, scratch: Path) -> Record:
        checkpoint = load_checkpoint(scratch / "model.safetensors")
        network, described = checkpoint.network(), checkpoint.description
        size = described.input_size
        work = multiply_adds(network, size)
        network.to(self.device)
        mean, std = described.mean, described.std
        found = measure(network, self.test, mean, std)
        every = max(1, len(self.test) // _ROBUST)
        worse = (
            robustness(network, self.test.subset(range(0, len(self.test), every)), mean, std)
            if self.plan.robust
            else {}
        )
        learnt, cost = step_cost(recipe, size, len(right.classes))
        metrics = read_metrics(scratch)
        return Record(
            study=self.plan.name,
            arm=cell.arm.name,
            labels=cell.labels,
            seed=cell.seed,
            test_accuracy=found.accuracy,
            train_accuracy=measure(network, right, mean, std).accuracy,
            nll=found.nll,
            ece=found.ece,
            robustness=worse,
            parameters=sum(weight.numel() for weight in network.parameters()),
            multiply_adds=work,
            training_parameters=learnt,
            training_multiply_adds=cost,
            seconds=metrics[-1]["seconds"],
            configuration=self._configuration(cell, recipe),
            data=self._data,
            subset=right.fingerprint,
            epochs=tuple(metrics),
            versions=versions(),
            device=device_name(self.device),
        )

    @property
    def _size(self) -> tuple[int, int, int]:
        channels, height, width = self.training.images.shape[1:]
        return channels, height, width

    @property
    def _data(self) -> dict[str, Any]:
        return {
            "title": self.training.title,
            "training": self.training.fingerprint,
            "test": self.test.fingerprint,
            "training_pictures": len(self.training),
            "test_pictures": len(self.test),
        }

    def _configuration(self, cell: Cell, recipe: Recipe) -> dict[str, Any]:
        """What a record follows from beside its data, as JSON has it."""
        return {
            "recipe": to_dict(recipe),
            "label_noise": cell.arm.label_noise,
            "held_out": self.plan.hold_out,
        }

    def _stored(self, path: Path, cell: Cell, right: Dataset) -> Record:
        """A record that is there, if it is of this very run."""
        recipe = self.plan.recipe_of(cell)
        configuration = self._configuration(cell, recipe)
        record = Record.read(path)
        wrong = differences(record.configuration.get("recipe", {}), recipe)
        for name, value in configuration.items():
            if name != "recipe" and record.configuration.get(name) != value:
                wrong.append(f"{name} was {record.configuration.get(name)}, not {value}")
        if record.subset != right.fingerprint or record.data.get("test") != self.test.fingerprint:
            wrong.append("the pictures are others")
        if wrong:
            raise StudyError(
                f"{path} is of another plan ({'; '.join(wrong)}); move it away, or give another "
                "folder"
            )
        return record
