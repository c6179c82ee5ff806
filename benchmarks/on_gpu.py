"""The parts of `benchmarks/on_gpu.sh`: each in a process of its own, with a limit of time.

Every part leaves RESULTS/NAME.json: command, exit status, seconds, device, versions, the notes of
the packed pictures, the end of what it printed, and of trainings the metrics of each epoch.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parent.parent
GPU = torch.cuda.is_available()
MUON = "--optimiser muon --muon-lr 0.03 --lr 0.25"
FAST = f"--data cifar10 --model fast --batch-size 512 {MUON} --mixup 0.4"
ATTACK = "--adversary.radius 1.0 --adversary.delay 0.25 --adversary.warmup 0.25"
PHOTOS = f"--data photos20 --model zf --label-smoothing 0.1 {MUON} {ATTACK}"
TINY = "--data shapes --model plain:4/8 --epochs 1 --labels 200 --hold-out 1000"


@dataclass(frozen=True)
class Part:
    """One command and the seconds that it may take; a training keeps its run in a folder."""

    name: str
    words: list[str]
    limit: float
    target: float = 0.0
    run: Path | None = field(default=None)


def parts(*, tiny: bool) -> list[Part]:
    """All parts, the most important first; 540 seconds in all."""
    python, device = [sys.executable], "cuda" if GPU else "cpu"
    tests = [*python, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", "-m", "gpu", "tests"]
    engine = [*python, "benchmarks/engine.py", "--device", device]
    if tiny:
        engine = [*python, "-c", "import report; print(report.environment())"]
        tests = [*python, "-m", "pytest", "-q", "-n0", "tests/test_progress.py"]
    made: list[Part] = [Part("tests", tests, 120), Part("engine", engine, 90)]
    for name, options, limit, target in (
        ("fast", f"{FAST} --epochs 60", 130.0, 0.94),
        ("demo-photos", f"{PHOTOS} --epochs 16", 200.0, 0.0),
    ):
        run = Path(tempfile.mkdtemp(prefix=f"{name}-")) / "run"
        words = [*python, "-m", "deconvviz", "train", *(TINY if tiny else options).split()]
        words += ["--out", str(run), "--precision", "auto" if GPU else "float32", "--fp16"]
        made.append(Part(name, words, limit, target, run))
    return made


def measure(part: Part) -> dict[str, Any]:
    """Run a part, stopped as by Ctrl-C at its limit, so that a training ends with a checkpoint."""
    started = time.perf_counter()
    places = [str(ROOT), str(ROOT / "benchmarks"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(  # noqa: S603  our own interpreter and options
            part.words, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            process.wait(part.limit)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        log.seek(0)
        printed = log.read().replace("\r", "\n")[-6000:]
    seconds = time.perf_counter() - started
    notes = sorted((ROOT / ".gpu").glob("*/note.json"))
    found: dict[str, Any] = {
        "part": part.name,
        "command": [word.replace(sys.executable, "python3") for word in part.words],
        "exit_status": process.returncode,
        "seconds": round(seconds, 1),
        "device": torch.cuda.get_device_name() if GPU else "cpu",
        "torch": torch.__version__,
        "pictures": [json.loads(note.read_text()) for note in notes],
        "output": printed.splitlines()[-60:],
    }
    metrics = part.run / "metrics.jsonl" if part.run else None
    if metrics and metrics.is_file():
        found["epochs"] = [json.loads(line) for line in metrics.read_text().splitlines()]
        reached = [line for line in found["epochs"] if line["test_accuracy"] >= part.target > 0]
        found["seconds_to_target"] = reached[0]["seconds"] if reached else None
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--tiny", action="store_true", help="next to no work, on a CPU too")
    given = parser.parse_args()
    given.results.mkdir(parents=True, exist_ok=True)
    failed = 0
    for part in parts(tiny=given.tiny):
        found = measure(part)
        failed += found["exit_status"] not in (0, 130)
        (given.results / f"{part.name}.json").write_text(json.dumps(found, indent=1) + "\n")
        checkpoint = part.run / "model.safetensors" if part.run else None
        if checkpoint and checkpoint.is_file():
            (given.results / f"{part.name}.safetensors").write_bytes(checkpoint.read_bytes())
        print(part.name, found["exit_status"], f"{found['seconds']} s", flush=True)  # noqa: T201
    raise SystemExit(failed > 0)


if __name__ == "__main__":
    main()
