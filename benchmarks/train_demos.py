"""Train the demo networks, or search how to train the next ones.

    python benchmarks/train_demos.py RUNS demos     # trains and installs the two shipped demos
    python benchmarks/train_demos.py RUNS search    # all candidates; or name some of them

RUNS is a folder for the runs; a stopped run resumes. CIFAR-10 and photos20 are found
as always, by DECONVVIZ_DATA or in the cache.

The demos have the same seed, data, recipe and number of steps; `demo-deconv` has a deconvolution
decoder beside it. Both are distilled from `first` and `fast`, and `first` from `fast` and `vgg`.

The search is tested on pictures held out of the training part, and its rules were written down
before it ran; test pictures choose nothing.

`photos`: candidates of 8 epochs, 1500 pictures held out. First the optimiser, at an L2 radius of
1.0: the more accurate one. Then radius 0.5 with it: the smaller radius is taken only if the larger
one has less than 55 % of the held-out pictures, because the final network (5 times as long, 60 %
required) should stay above that by a margin.

`cifar`: candidates of 6 epochs, 5000 pictures held out, at L2 radii of 0.25, 0.35 and 0.5: the
largest radius with at least 80 %, because the final network (5 times as long) must have 86 %.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from deconvviz.io.card import card
from deconvviz.io.checkpoint import load_checkpoint
from deconvviz.io.files import write_atomically
from deconvviz.training import read_metrics

SHIPPED = Path(__file__).parent.parent / "deconvviz" / "demo"
SNAPSHOTS = (1, 2, 5, 10)  # of `demo` alone: all files together must stay below 16 MB

MUON = "--batch-size 512 --optimiser muon --muon-lr 0.03 --lr 0.25"
STUDENT = f"--data cifar10 --model vgg {MUON} --label-smoothing 0"
DISTILLED = f"{STUDENT} --epochs 45 --teachers first/model.safetensors,fast/model.safetensors"
DEMOS = {
    "vgg": "--data cifar10 --model vgg --epochs 24",
    "fast": f"--data cifar10 --model fast --epochs 50 {MUON} --mixup 0.4",
    "first": f"{STUDENT} --epochs 40 --teachers fast/model.safetensors,vgg/model.safetensors",
    "demo": DISTILLED,
    "demo-deconv": f"{DISTILLED} --deconv-weight 0.3",
}

CLEAR = "--adversary.delay 0.25 --adversary.warmup 0.25 --adversary.radius"
PHOTOS = "--data photos20 --model zf --label-smoothing 0.1 --epochs 8 --hold-out 1500"
PHOTOS_SGD = f"{PHOTOS} --optimiser sgd --lr 0.2 {CLEAR}"
PHOTOS_MUON = f"{PHOTOS} --optimiser muon --muon-lr 0.03 --lr 0.25 {CLEAR}"
CIFAR = f"--data cifar10 --model vgg {MUON} --epochs 6 --hold-out 5000 {CLEAR}"
SEARCH = {
    "photos-sgd-1.0": f"{PHOTOS_SGD} 1.0",
    "photos-muon-1.0": f"{PHOTOS_MUON} 1.0",
    "photos-muon-0.5": f"{PHOTOS_MUON} 0.5",
    "cifar-0.5": f"{CIFAR} 0.5",
    "cifar-0.35": f"{CIFAR} 0.35",
    "cifar-0.25": f"{CIFAR} 0.25",
}
GROUPS = {"demos": DEMOS, "search": SEARCH}


def train(runs: Path, name: str, options: str) -> None:
    """Train one network in RUNS/name, or resume it."""
    command = [sys.executable, "-m", "deconvviz", "train", "--seed", "0", "--out", name]
    command += ["--precision", "bf16", "--fp16", *options.split()]
    # inside RUNS, so that the records name no folder of this machine
    subprocess.run(command, check=True, cwd=runs)  # noqa: S603  our own interpreter and options
    accuracy = read_metrics(runs / name)[-1]["test_accuracy"]
    print(f"{name:20} {accuracy:7.2%}", flush=True)  # noqa: T201


def install(run: Path, name: str) -> None:
    """Copy a run's checkpoint, card and, for `demo`, snapshots into the package."""
    target = SHIPPED / f"{name}.safetensors"
    write_atomically(target, (run / "model.safetensors").read_bytes())
    write_atomically(target.with_suffix(".md"), card(load_checkpoint(target).description, name))
    if name == "demo":
        folder = SHIPPED / "demo-epochs"
        shutil.rmtree(folder, ignore_errors=True)
        for epoch in SNAPSHOTS:
            file = f"epoch-{epoch:04d}.safetensors"
            write_atomically(folder / file, (run / "snapshots" / file).read_bytes())


def main() -> None:
    """Train all networks that are not trained yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("names", nargs="+", choices=[*GROUPS, *DEMOS, *SEARCH])
    options = parser.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)
    for name in options.names:
        for one in GROUPS.get(name, [name]):
            train(options.runs, one, {**DEMOS, **SEARCH}[one])
    if "demos" in options.names:
        for name in ("demo", "demo-deconv"):
            install(options.runs / name, name)


if __name__ == "__main__":
    main()
