"""Train the missing runs of a plan one after the other, each with its record."""

import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from deconvviz.errors import StudyError
from deconvviz.io.checkpoint import load_checkpoint, versions
from deconvviz.io.data import Dataset, stratified_subset, train_test_split, with_label_noise
from deconvviz.io.legacy import earlier_arm
from deconvviz.progress import Progress
from deconvviz.schema import to_dict
from deconvviz.study.complete import complete
from deconvviz.study.plan import Plan, RunSpec
from deconvviz.study.record import Record, record_file
from deconvviz.study.scores import clarity_of, robustness, score
from deconvviz.study.store import RecordFile
from deconvviz.training import read_metrics, train
from deconvviz.training.cost import multiply_adds, step_cost
from deconvviz.training.device import device_name
from deconvviz.training.recipe import differences

_ROBUSTNESS_PICTURES = 1000  # each is corrupted in twenty ways


def run_plan(
    plan: Plan,
    training: Dataset,
    test: Dataset,
    path: Path,
    *,
    arms: Sequence[str] | None = None,
    labels: Sequence[int] | None = None,
    seeds: Sequence[int] | None = None,
    runs: Callable[[RunSpec], Path] | None = None,
    device: str | torch.device = "cpu",
    progress: Progress | None = None,
) -> tuple[Record, ...]:
    """Train all runs without a record, and return the records of all chosen runs.

    A run that is interrupted resumes where it was; Ctrl-C keeps what there is.

    Args:
        plan: Plan to run.
        training: Training pictures; those without a known label serve without it.
        test: Test pictures, not used if the plan holds pictures out.
        path: The file of records, NAME.jsonl; made where missing.
        arms: Only these; by default all.
        labels: Only these budgets.
        seeds: Only these.
        runs: Folder in which a run's checkpoint is kept. By default nothing but its record is kept;
            until then it is in the folder `NAME/unfinished`.
        device: Device to train on.
        progress: Called with the finished and the total work; each run shows a bar too.

    Raises:
        StudyError: The plan has no such arm, budget or seed, leaves its precision open, or the file
            has a record of another configuration or other pictures.
        DataError: A budget is larger than the data.
        KeyboardInterrupt: After Ctrl-C, once the current run is kept.
    """
    if plan.recipe.precision == "auto":
        raise StudyError(
            f"the study {plan.name} leaves its precision open, and arms of different precision "
            "cannot be compared; declare float32 or bf16"
        )
    if plan.hold_out:
        training, test = train_test_split(training, plan.hold_out)
    specs = list(plan.specs(arms, labels, seeds))
    most = max((spec.labels for spec in specs), default=1)
    stratified_subset(training, most)  # a budget that is too large is refused before hours of work
    file = record_file(path)
    trainer = _Trainer(plan, training, test, file, torch.device(device), bars=progress is not None)

    def make(spec: RunSpec, report: Callable[[float], None]) -> Record:
        folder = runs(spec) if runs else _scratch(file, spec)
        record = trainer.same(spec) or trainer.record(spec, folder, report)
        if not runs:
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):  # another run is unfinished too
                folder.parent.rmdir()
                folder.parent.parent.rmdir()
        return record

    return complete(
        specs,
        file,
        make,
        check=trainer.check,
        work=trainer.work(specs),
        title=plan.name,
        progress=progress,
    )


def _scratch(file: RecordFile[Record], spec: RunSpec) -> Path:
    """The folder of a run until it has a record; a stopped run may be under earlier names."""
    arm, *rest = map(str, spec.key)
    folders = [
        path.with_suffix("") / "unfinished" / "-".join([name, *rest])
        for path in file.paths
        for name in (earlier_arm(arm), arm)
    ]
    return next((folder for folder in folders if folder.is_dir()), folders[-1])


@dataclass(frozen=True, eq=False)
class _Trainer:
    """Makes the runs of a plan."""

    plan: Plan
    training: Dataset
    test: Dataset
    file: RecordFile[Record]
    device: torch.device
    bars: bool

    def work(self, specs: Sequence[RunSpec]) -> list[int]:
        """The multiply-adds of each run's steps forward, which the time left is estimated from."""
        known: dict[tuple[str, int], int] = {}
        channels, height, width = self.training.images.shape[1:]
        for spec in specs:
            if spec.key[:2] not in known:
                recipe = self.plan.recipe_of(spec)
                _, cost = step_cost(recipe, (channels, height, width), len(self.training.classes))
                steps = recipe.steps_per_epoch or spec.labels // recipe.batch_size
                known[spec.key[:2]] = cost * recipe.batch_size * steps * recipe.epochs
        return [known[spec.key[:2]] for spec in specs]

    def record(self, spec: RunSpec, folder: Path, report: Callable[[float], None]) -> Record:
        """Train a network, and measure it."""
        recipe = self.plan.recipe_of(spec)
        subset = stratified_subset(self.training, spec.labels, spec.seed)
        run = train(
            recipe,
            with_label_noise(subset, spec.arm.label_noise, spec.seed),
            self.test,
            folder,
            unlabelled=self.training,
            device=self.device,
            progress=self.bars,
            callback=lambda _, done, total: report(done / total),
        )
        if run.epochs < recipe.epochs:
            raise KeyboardInterrupt
        metrics = read_metrics(folder)
        checkpoint = load_checkpoint(folder / "model.safetensors")
        network, described = checkpoint.network(), checkpoint.description
        size, mean, std = described.input_size, described.mean, described.std
        learnt, cost = step_cost(recipe, size, len(subset.classes))
        forward = multiply_adds(network, size)
        network.to(self.device)
        found = score(network, self.test, mean, std)
        every = max(1, len(self.test) // _ROBUSTNESS_PICTURES)
        some = self.test.subset(range(0, len(self.test), every))
        return Record(
            study=self.plan.name,
            arm=spec.arm.name,
            labels=spec.labels,
            seed=spec.seed,
            test_accuracy=found.accuracy,
            train_accuracy=score(network, subset, mean, std).accuracy,
            nll=found.nll,
            ece=found.ece,
            clarity=clarity_of(folder / "model.safetensors", self.test)
            if self.plan.clarity
            else {},
            robustness=robustness(network, some, mean, std) if self.plan.robustness else {},
            parameters=sum(weight.numel() for weight in network.parameters()),
            multiply_adds=forward,
            training_parameters=learnt,
            training_multiply_adds=cost,
            seconds=metrics[-1]["seconds"],
            configuration=self._configuration(spec),
            data={
                "title": self.training.title,
                "training": self.training.fingerprint,
                "test": self.test.fingerprint,
                "training_pictures": len(self.training),
                "test_pictures": len(self.test),
            },
            subset=subset.fingerprint,
            epochs=tuple(metrics),
            versions=versions(),
            device=device_name(self.device),
        )

    def same(self, spec: RunSpec) -> Record | None:
        """The record of another arm that was trained in the very same way, in this arm's name.

        The default of each swept factor is the same run.
        """
        subset = stratified_subset(self.training, spec.labels, spec.seed).fingerprint
        configuration = self._configuration(spec)
        for record in self.file.read():
            if record.configuration == configuration and record.subset == subset:
                return replace(record, arm=spec.arm.name)
        return None

    def check(self, spec: RunSpec, record: Record) -> None:
        """Refuse a record that is not of this very run."""
        configuration = self._configuration(spec)
        wrong = differences(record.configuration.get("recipe", {}), self.plan.recipe_of(spec))
        for name in ("label_noise", "held_out"):
            if (before := record.configuration.get(name)) != configuration[name]:
                wrong.append(f"{name} was {before}, not {configuration[name]}")
        subset = stratified_subset(self.training, spec.labels, spec.seed).fingerprint
        if (record.subset, record.data.get("test")) != (subset, self.test.fingerprint):
            wrong.append("dataset fingerprint differs")
        if wrong:
            raise StudyError(
                f"the run ({record}) in {self.file.path} is of another plan ({'; '.join(wrong)}); "
                "move it away, or give another folder"
            )

    def _configuration(self, spec: RunSpec) -> dict[str, Any]:
        """Everything besides the data that determines a record, as JSON has it."""
        return {
            "recipe": to_dict(self.plan.recipe_of(spec)),
            "label_noise": spec.arm.label_noise,
            "held_out": self.plan.hold_out,
        }
