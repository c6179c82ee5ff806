"""Shared by the benchmarks: options, pictures, times of runs in turns, a section of results."""

import argparse
import platform
import re
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import torch

from deconvviz.errors import DataError
from deconvviz.io.data import Dataset, load_dataset
from deconvviz.training.device import device_name

RESULTS = Path(__file__).parent / "RESULTS.md"


def options(description: str) -> argparse.ArgumentParser:
    """A parser with --device and --write; the first line of `description` is its help."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    return parser


def cifar10(split: str) -> Dataset:
    """CIFAR-10, or drawn shapes where it is not on this machine."""
    try:
        return load_dataset("cifar10", split, progress=False)
    except DataError:
        return load_dataset("shapes", split)


def seconds(
    runs: Sequence[Callable[[], object]], device: str = "cpu", spend: float = 8.0
) -> list[float]:
    """The median of each run, without its first; in turns, so that a busy machine slows all.

    On one thread it is processor time, in which waiting for a core that others use has no part.

    Args:
        runs: Functions to time.
        device: Device of the work; the clock waits for it.
        spend: About how many seconds all may take; each runs three times at least.
    """
    alone = device == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if alone else time.perf_counter
    times: list[list[float]] = [[] for _ in runs]
    began = time.perf_counter()
    while len(times[0]) < 3 or time.perf_counter() - began < spend:
        for run, taken in zip(runs, times, strict=True):
            started = clock()
            run()
            if device == "cuda":
                torch.cuda.synchronize()
            taken.append(clock() - started)
    return [statistics.median(taken[1:]) for taken in times]


def environment(device: str = "cpu", **libraries: str) -> str:
    """Device, versions and date, for the line above a table."""
    versions = {"torch": str(torch.__version__), "Python": platform.python_version(), **libraries}
    text = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"{device_name(torch.device(device))}; {text}; {date.today()}"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def publish(title: str, text: str, *, write: bool) -> None:
    """Print a section and, with --write, put it into RESULTS.md in place of that of its title."""
    print(text)  # noqa: T201
    if not write:
        return
    before = RESULTS.read_text("utf-8") if RESULTS.is_file() else ""
    sections = dict(re.findall(r"^# (.+)\n\n((?:(?!^# ).*\n)*)", before, re.MULTILINE))
    sections[title] = f"{text.strip()}\n"
    written = (f"# {name}\n\n{body.strip()}\n" for name, body in sections.items())
    RESULTS.write_text("\n".join(written), "utf-8")
