"""Train the demo networks, after a search on held-out pictures that chooses how.

    python benchmarks/train_demos.py RUNS search   # prints a table and what it chooses
    python benchmarks/train_demos.py RUNS train    # trains the demos by what was chosen

RUNS is a folder for the runs; a run that was stopped goes on. CIFAR-10 and photos20 are found as
always, by DECONVVIZ_DATA or in the cache. Test pictures choose nothing: the search tests on
pictures held out of the training part, and its rules were written down before it ran.

`photos`: candidates of 8 epochs, 1500 pictures held out. First the optimiser, at an L2 radius of
1.0: the more accurate one. Then radius 0.5 with it: the smaller radius is taken only if the larger
one has less than 55 % of the held-out pictures, because the final network (5 times as long, 60 %
wanted) should stay above that by a margin.

`cifar`: candidates of 6 epochs, 5000 pictures held out, at L2 radii of 0.25, 0.35 and 0.5: the
largest radius with at least 80 %, because the final network (5 times as long) must have 86 %.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from deconvviz.training import read_metrics

MUON = "--optimiser muon --muon-lr 0.03 --lr 0.25"
SGD = "--optimiser sgd --lr 0.2"
PHOTOS = "--data photos20 --model zf --set label_smoothing=0.1"
CIFAR = f"--data cifar10 --model vgg --batch-size 512 {MUON}"


def against(radius: float) -> str:
    """Options of an adversary of one step and an L2 radius, after a quarter of plain steps."""
    return f"--set adversary.radius={radius} --set adversary.delay=0.25 --set adversary.warmup=0.25"


SEARCH = {
    "photos-sgd-1.0": f"{PHOTOS} {SGD} {against(1.0)} --epochs 8 --hold-out 1500",
    "photos-muon-1.0": f"{PHOTOS} {MUON} {against(1.0)} --epochs 8 --hold-out 1500",
    "photos-muon-0.5": f"{PHOTOS} {MUON} {against(0.5)} --epochs 8 --hold-out 1500",
    "cifar-0.5": f"{CIFAR} {against(0.5)} --epochs 6 --hold-out 5000",
    "cifar-0.35": f"{CIFAR} {against(0.35)} --epochs 6 --hold-out 5000",
    "cifar-0.25": f"{CIFAR} {against(0.25)} --epochs 6 --hold-out 5000",
}


def train(runs: Path, name: str, options: str) -> None:
    """Train one network in RUNS/name, or go on with it."""
    command = [sys.executable, "-m", "deconvviz", "train", "--seed", "0"]
    command += ["--precision", "bf16", "--fp16", *options.split(), "--out", name]
    # inside RUNS, so that the records name no folder of this machine
    subprocess.run(command, check=True, cwd=runs)  # noqa: S603  our own interpreter and options


def main() -> None:
    """Train what is not trained yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("names", nargs="*", choices=[*SEARCH], default=[*SEARCH])
    options = parser.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)
    for name in options.names:
        train(options.runs, name, SEARCH[name])
        last = read_metrics(options.runs / name)[-1]
        print(f"{name:20} {last['test_accuracy']:7.2%} of held-out pictures", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
