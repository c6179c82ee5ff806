"""One small training run at a time, in the background, that every session sees and may stop.

The run is a thread of the server: the page that started it may be gone before it ends.
"""

import atexit
import os
import shutil
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from threading import Event, Lock, Thread

from deconvviz.errors import DeconvvizError, DivergedError
from deconvviz.io.data import Dataset, cache_folder, draw_shapes, load_dataset, stratified_subset
from deconvviz.schema import changed
from deconvviz.study import find_plan
from deconvviz.training import Recipe, read_metrics, train
from deconvviz.ui.show import as_sentence

NETWORKS = ("vgg:16,32,64", "fast:16,32,64", "seed-cnn")
"""Networks that two cores train in seconds to minutes."""
LABELS = (60, 300, 1000)
"""Labelled pictures that a run may learn from."""
STEPS = (100, 300, 1000)
"""Optimiser steps; with the smallest networks the most of them take minutes."""
KEPT = 20
"""Runs that stay on disk; the oldest go first."""

_PARTS = 10  # epochs of a run: after each it is measured and can be kept
_TRAINING, _TEST = 2000, 1000  # drawn pictures; as many test pictures of another set are taken
_PATIENCE = 10  # seconds that the server waits for it when it ends


@dataclass(frozen=True)
class Job:
    """A small run, after an arm of the study: A, or R-all where it has a decoder.

    `network` is one of `NETWORKS` and `data` one of `sources()`; `steps` are of the optimiser.
    """

    network: str = NETWORKS[0]
    data: str = "shapes"
    decoder: bool = False
    labels: int = LABELS[1]
    steps: int = STEPS[1]
    seed: int = 0

    @property
    def title(self) -> str:
        """For people, and in a run's name."""
        beside = "with" if self.decoder else "without"
        given = f"{self.labels} labels of {self.data}, seed {self.seed}"
        return f"{self.network} {beside} decoder, {given}"

    @property
    def recipe(self) -> Recipe:
        """Recipe of the study's arm, for a smaller network and fewer steps."""
        plan = find_plan("helps")
        arm = next(arm for arm in plan.arms if arm.name == ("R-all" if self.decoder else "A"))
        small = {
            "model": self.network,
            "epochs": _PARTS,
            "steps_per_epoch": max(1, self.steps // _PARTS),
            "seed": self.seed,
        }
        return changed(plan.recipe, {**arm.changes, **small})


@dataclass(frozen=True)
class JobStatus:
    """Progress of a run, or its end.

    `done` of `total` steps of what it is `doing` are done; `message` is empty while it runs.
    """

    job: Job
    folder: Path
    running: bool = True
    stopping: bool = False
    doing: str = "reading pictures"
    done: int = 0
    total: int = 1
    message: str = ""
    failed: bool = False


class Runner:
    """Trains one `Job` at a time; see `status` for its progress."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._stop = Event()
        self._status: JobStatus | None = None
        self._thread: Thread | None = None
        atexit.register(self._stop_and_wait)

    @property
    def status(self) -> JobStatus | None:
        """Status of the last run; None before the first."""
        return self._status

    def start(self, job: Job) -> bool:
        """Start a run unless one is running; return whether it was started."""
        with self._lock:
            if self._status is not None and self._status.running:
                return False
            self._stop = Event()
            self._status = JobStatus(job, _free_folder())
            args = (self._status, self._stop)
            self._thread = Thread(target=self._work, args=args, daemon=True)
            self._thread.start()
        return True

    def stop(self) -> None:
        """End the run after its last measured part; one that has ended stays so."""
        with self._lock:
            self._stop.set()
            if self._status is not None and self._status.running:
                self._status = replace(self._status, stopping=True)

    def _stop_and_wait(self) -> None:
        """End a run with the server, which would else break it off within a step."""
        self.stop()
        if self._thread is not None:
            self._thread.join(_PATIENCE)

    def _work(self, begun: JobStatus, stop: Event) -> None:
        message, failed = "The run broke off by a fault of ours; the server's log says more.", True
        try:
            message, failed = self._train(begun.job, begun.folder, stop), False
        except DivergedError as error:
            # The rest names a file that the run may not leave, and what to do in a terminal.
            message = f"{as_sentence(error).partition(';')[0]}; the epochs before are kept."
        except DeconvvizError as error:
            message = as_sentence(error)
        except (OSError, MemoryError) as error:
            message = f"The machine could not continue: {error or 'its memory is full'}."
        finally:
            _tidy(begun.folder)
            self._set(running=False, stopping=False, message=message, failed=failed)

    def _train(self, job: Job, folder: Path, stop: Event) -> str:
        def watch(title: str, done: int, total: int, /) -> None:
            self._set(doing=title, done=done, total=total)
            if stop.is_set():
                raise KeyboardInterrupt  # what `train` takes for the wish to end cleanly

        training, test = _pictures(job.data)
        known = stratified_subset(training, job.labels, job.seed)
        run = train(
            job.recipe, known, test, folder, unlabelled=training, progress=False, callback=watch
        )
        if not run.epochs:
            return f"Stopped before the first of {_PARTS} parts was done; nothing is kept."
        part = "" if run.epochs == _PARTS else f"Stopped after {run.epochs} of {_PARTS} parts: "
        right = f"{run.evaluation.accuracy:.1%} of {len(test)} test pictures right ({test.title})"
        return f"{part}{right}."

    def _set(self, **changes: object) -> None:
        with self._lock:
            if self._status is not None:
                self._status = replace(self._status, **changes)  # type: ignore[arg-type]  # its own


def sources() -> tuple[str, ...]:
    """The data that a run can learn from here: drawn shapes, and CIFAR-10 where it may be found."""
    there = os.environ.get("DECONVVIZ_DATA") or (cache_folder() / "cifar10").is_dir()
    return ("shapes", "cifar10") if there else ("shapes",)


def runs_folder() -> Path:
    """The folder of all runs."""
    return cache_folder() / "runs"


def kept_runs() -> list[Path]:
    """The checkpoints of runs that were made here, the newest first."""
    return sorted(runs_folder().glob("*/model.safetensors"), reverse=True)


def _free_folder() -> Path:
    name = datetime.now().astimezone().strftime("%Y-%m-%d %H.%M.%S")
    folder = runs_folder() / name
    number = 1
    while folder.exists():
        number += 1
        folder = runs_folder() / f"{name} ({number})"
    return folder


def _tidy(folder: Path) -> None:
    """Delete the state for resumes, runs without an epoch, and the oldest runs."""
    (folder / "state.pt").unlink(missing_ok=True)
    if not read_metrics(folder):
        shutil.rmtree(folder, ignore_errors=True)
    for old in kept_runs()[KEPT:]:
        shutil.rmtree(old.parent, ignore_errors=True)


def _pictures(data: str) -> tuple[Dataset, Dataset]:
    if data == "shapes":
        return draw_shapes(_TRAINING), draw_shapes(_TEST, seed=1)
    training, test = (load_dataset(data, split, progress=False) for split in ("train", "test"))
    return training, test.subset(range(0, len(test), max(1, len(test) // _TEST)))
