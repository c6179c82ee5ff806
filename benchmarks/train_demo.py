"""Train the two demo networks and put them, with cards and snapshots, where the package has them.

    python benchmarks/train_demo.py RUNS

RUNS is a folder for the two runs; a run that was stopped goes on. CIFAR-10 is found as always, by
DECONVVIZ_DATA or in the cache. Both networks have the same seed, data, recipe and number of steps;
the twin has a deconvolution decoder beside it.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from deconvviz.card import card
from deconvviz.checkpoint import load_checkpoint
from deconvviz.files import write_atomically

DEMO = Path(__file__).parent.parent / "deconvviz" / "demo"
COMMON = ("--model", "vgg", "--data", "cifar10", "--epochs", "24", "--seed", "0", "--half")
RUNS = {"demo": (), "demo-deconv": ("--deconv-weight", "0.3")}
SNAPSHOTS = (1, 2, 5, 10)  # of the demo alone: all together must stay below 16 MB


def main() -> None:
    """Train what is not trained yet, then install both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path)
    runs = parser.parse_args().runs
    for name, options in RUNS.items():
        command = [sys.executable, "-m", "deconvviz", "train", "--precision", "bf16"]
        command += [*COMMON, *options, "--out", str(runs / name)]
        subprocess.run(command, check=True)  # noqa: S603  our own interpreter and options
        install(runs / name, name)


def install(run: Path, name: str) -> None:
    """Copy a run's checkpoint, card and, for the demo, snapshots."""
    target = DEMO / f"{name}.safetensors"
    write_atomically(target, (run / "model.safetensors").read_bytes())
    write_atomically(target.with_suffix(".md"), card(load_checkpoint(target).description, name))
    if name == "demo":
        folder = DEMO / "demo-epochs"
        shutil.rmtree(folder, ignore_errors=True)
        for epoch in SNAPSHOTS:
            file = f"epoch-{epoch:04d}.safetensors"
            write_atomically(folder / file, (run / "snapshots" / file).read_bytes())


if __name__ == "__main__":
    main()
