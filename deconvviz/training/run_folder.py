"""The files of a run's folder, which `trainer` describes: schemas and reading."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from deconvviz.errors import CheckpointError
from deconvviz.io.files import write_atomically
from deconvviz.io.legacy import current_run, current_state
from deconvviz.processes import ProcessGroup
from deconvviz.schema import Count, NonNegative, parse, read, to_dict, validated
from deconvviz.training.device import native_precision
from deconvviz.training.recipe import Recipe, differences

Config = TypeVar("Config")

_RESTART = (
    "restore it, or delete state.pt beside it to train again from the start, or train in another "
    "folder"
)


@validated
class RunConfig:
    """Everything that determines a run: `config.json`."""

    recipe: Recipe
    """Options, with the precision decided."""
    data: str
    """Fingerprint of the training data."""
    unlabelled: str | None = None
    """Fingerprint of the pictures without labels."""
    teacher_sha256: tuple[str, ...] = ()
    """Checkpoints of the recipe's teachers."""
    init_sha256: str = ""
    """Checkpoint that the run starts from."""


_DIFFERENT = {
    "data": "dataset fingerprint differs",
    "unlabelled": "dataset fingerprint differs",
    "teacher_sha256": "teacher checkpoints differ",
    "init_sha256": "the checkpoint to start from differs",
}


@validated
class RunState:
    """State that a resume needs, saved after each epoch: `state.pt`."""

    epoch: Count
    """Epochs done."""
    seconds: NonNegative
    """Time spent in training steps."""
    objective: dict[str, Tensor]
    """Weights of the classifier and the decoder."""
    optimisers: list[dict[str, Any]]
    """Momentum and the like."""
    ema: dict[str, Tensor]
    """Moving average of the weights; empty without one."""


def start(
    folder: Path, config: RunConfig, device: torch.device, processes: ProcessGroup
) -> RunConfig:
    """Decide precision and learning rate, check the run in the folder, and write `config.json`.

    Raises:
        CheckpointError: The folder holds another run.
    """
    path = folder / "config.json"
    before = read_config(path) if path.is_file() else None
    config = replace(config, recipe=replace(config.recipe, lr=config.recipe.peak_lr))
    if config.recipe.precision == "auto":
        # a resumed run keeps its precision, on another machine too
        precision = before.recipe.precision if before else native_precision(device)
        config = replace(config, recipe=replace(config.recipe, precision=precision))
    if before:
        check_same(folder, before, config)
    processes.all_gather(None)  # all have read before one writes
    if processes.is_main:
        write_atomically(path, json.dumps(to_dict(config), indent=1))
    return config


def check_same(folder: Path, before: Any, now: Any) -> None:
    """Refuse to continue the run in a folder as another one.

    Args:
        folder: The run's folder.
        before: Its stored `config.json`, a `RunConfig` or that of another kind of training.
        now: That of the run as it would be continued.

    Raises:
        CheckpointError: They differ; the sentence says in what.
    """
    wrong: list[str] = differences(to_dict(before.recipe), now.recipe)
    wrong += dict.fromkeys(
        words
        for name, words in _DIFFERENT.items()
        if getattr(before, name, None) != getattr(now, name, None)
    )
    if wrong:
        raise CheckpointError(
            f"{folder} holds a run with another recipe or other data ({'; '.join(wrong)}); "
            "use the same options to continue it, or another folder"
        )


def read_config(path: Path) -> RunConfig:
    """The `config.json` of a classifier's run; see `read_config_of`."""
    return read_config_of(RunConfig, path)


def read_config_of(kind: type[Config], path: Path) -> Config:
    """A run's `config.json`.

    Args:
        kind: Its declaration.
        path: The file.

    Raises:
        CheckpointError: It is missing or damaged.
    """
    if not path.is_file():
        raise CheckpointError(f"no config at {path}; `deconvviz train` writes config.json")
    try:
        stored = current_run(parse(path.read_bytes(), path, CheckpointError))
        return read(kind, stored, path, CheckpointError)
    except CheckpointError as error:
        raise CheckpointError(f"{error}; restore this file, or train in another folder") from None


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """The metrics of a run, a mapping for each epoch; a half-written last line is dropped.

    Raises:
        CheckpointError: A line is damaged.
    """
    path = folder / "metrics.jsonl"
    text = path.read_text("utf-8", errors="replace") if path.is_file() else ""
    lines = text.split("\n")[:-1]  # a kill may have cut the last one, which then has no end
    metrics: list[dict[str, float]] = []
    for number, line in enumerate(lines, 1):
        try:
            one = read(dict[str, int | float], line, f"{path}, line {number}", CheckpointError)
            if "epoch" not in one:
                raise CheckpointError(f"{path}, line {number}: epoch is missing")
        except CheckpointError as error:
            raise CheckpointError(f"{error}; {_RESTART}") from None
        metrics.append(one)
    return metrics


def restore_metrics(folder: Path, epochs: int) -> None:
    """Keep one line of metrics for each of the first epochs, and no other.

    Raises:
        CheckpointError: A line is damaged, or there is none of one of these epochs.
    """
    path = folder / "metrics.jsonl"
    if not epochs:
        path.unlink(missing_ok=True)
        return
    lines = {line["epoch"]: line for line in read_metrics(folder)}
    if missing := [epoch for epoch in range(1, epochs + 1) if epoch not in lines]:
        raise CheckpointError(f"{path} has no line of epoch {missing[0]}; {_RESTART}")
    kept = (lines[epoch] for epoch in range(1, epochs + 1))
    write_atomically(path, "".join(json.dumps(line) + "\n" for line in kept))


def read_state(folder: Path, device: torch.device) -> RunState | None:
    """The state of the run in `folder`; None before its first epoch.

    Raises:
        CheckpointError: It is damaged.
    """
    path = folder / "state.pt"
    if not path.is_file():
        return None
    try:
        stored = current_state(torch.load(path, map_location=device, weights_only=True))
        return RunState(**stored)
    except Exception as error:  # its reader raises anything on a damaged file
        raise damaged_state(folder, error) from error


def damaged_state(folder: Path, problem: Exception) -> CheckpointError:
    """The refusal of a state that does not fit."""
    first = next(iter(str(problem).strip().splitlines()), type(problem).__name__)
    return CheckpointError(
        f"{folder / 'state.pt'} is damaged ({first}); delete it to train again from the start, or "
        "restore it"
    )
