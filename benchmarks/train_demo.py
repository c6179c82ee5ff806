"""Train the two demo networks and put them, with cards and snapshots, where the package has them.

    python benchmarks/train_demo.py RUNS

RUNS is a folder for the runs; a run that was stopped goes on. CIFAR-10 is found as always, by
DECONVVIZ_DATA or in the cache. First come the networks that the demos learn from beside the labels;
the last of them was taught itself by the two before it. The demos have the same seed, data, recipe
and number of steps; the twin has a deconvolution decoder beside it.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from deconvviz.io.card import card
from deconvviz.io.checkpoint import load_checkpoint
from deconvviz.io.files import write_atomically

DEMO = Path(__file__).parent.parent / "deconvviz" / "demo"
MUON = "--batch-size 512 --optimiser muon --muon-lr 0.03 --lr 0.25"
TAUGHT = f"--model vgg {MUON} --set label_smoothing=0"
ELDERS = {
    "vgg": "--model vgg --epochs 24",
    "fast": f"--model fast --epochs 50 {MUON} --set mixup=0.4",
    "first": f"{TAUGHT} --epochs 40 --set teachers=fast/model.safetensors,vgg/model.safetensors",
}
TWICE = f"{TAUGHT} --epochs 45 --set teachers=first/model.safetensors,fast/model.safetensors"
DEMOS = {"demo": TWICE, "demo-deconv": f"{TWICE} --deconv-weight 0.3"}
SNAPSHOTS = (1, 2, 5, 10)  # of the demo alone: all together must stay below 16 MB


def main() -> None:
    """Train what is not trained yet, then install both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path)
    runs = parser.parse_args().runs
    runs.mkdir(parents=True, exist_ok=True)
    for name, options in {**ELDERS, **DEMOS}.items():
        command = [sys.executable, "-m", "deconvviz", "train", "--data", "cifar10", "--seed", "0"]
        command += ["--precision", "bf16", "--fp16", *options.split(), "--out", name]
        # inside RUNS, so that the records name no folder of this machine
        subprocess.run(command, check=True, cwd=runs)  # noqa: S603  our own interpreter and options
    for name in DEMOS:
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
