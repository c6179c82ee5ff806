"""What an atlas costs beside the bare forward pass over the same pictures.

    DECONVVIZ_DATA=DIR python benchmarks/atlas.py [--pictures 60000] [--device cuda] [--write]

The demo network over CIFAR-10 (drawn shapes where there is none): its plain forward pass, the sweep
for the strongest activations with their positions, and the sweep with all statistics, every default
layer together, in turns in one run; each normalises the pictures. The peak of memory is that of a
process which does nothing else, over that of one which stops after the first two thousand.
"""

import argparse
import resource
import subprocess
import sys
from functools import partial

import torch
from report import made, markdown, seconds, write_section

import deconvviz as dv
from deconvviz.atlas import build_atlas
from deconvviz.bundles import Bundle
from deconvviz.data import Dataset, load_dataset
from deconvviz.errors import DataError

BLOCK = 64  # pictures a forward pass, as in the sweep of this network


def pictures(count: int) -> Dataset:
    """The first of CIFAR-10's pictures, or drawn ones."""
    try:
        found = load_dataset("cifar10", "all", progress=False)
    except DataError:
        found = load_dataset("shapes", "all")
    return found if count >= len(found) else found.subset(range(count))


@torch.inference_mode()
def forward(bundle: Bundle, dataset: Dataset) -> None:
    """The network's own forward pass over all pictures."""
    device = next(bundle.model.parameters()).device
    for block in dataset.images.split(BLOCK):
        bundle.model(bundle.intake.normalised(block.to(device)))


def peak_megabytes(count: int) -> float:
    """The largest memory of a process that builds the atlas of so many pictures."""
    words = [sys.executable, __file__, "--pictures", str(count), "--once"]
    return float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)  # noqa: S603


def once(count: int) -> None:
    """Build one atlas and print the peak of this process's memory, in megabytes."""
    build_atlas(dv.load("demo"), pictures(count))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)  # noqa: T201


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=60_000)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        once(options.pictures)
        return
    bundle, dataset = dv.load("demo"), pictures(options.pictures)
    bundle.model.to(options.device)
    net = dv.Deconvnet(bundle.model, bundle.input_size)
    sweep = partial(build_atlas, bundle, dataset, net=net)
    runs = [partial(forward, bundle, dataset), partial(sweep, statistics=False), sweep]
    bare, top, full = seconds(runs, options.device)
    units = sum(net.layers[layer].channels for layer in net.default_layers)
    grown = peak_megabytes(len(dataset)) - peak_megabytes(2048)
    head = ["sweep", "seconds", "of the forward pass"]
    rows = [
        ["bare forward pass", f"{bare:.1f}", "1"],
        ["9 strongest with positions", f"{top:.1f}", f"**{top / bare:.2f}x**"],
        ["and all statistics", f"{full:.1f}", f"**{full / bare:.2f}x**"],
    ]
    text = (
        f"`python benchmarks/atlas.py`; {made(options.device)}.\n\nThe demo network, {units} units "
        f"in {len(net.default_layers)} layers, over {len(dataset)} pictures ({dataset.title}). "
        f"The pictures themselves are {dataset.images.numel() / 2**20:.0f} MB; a process that "
        f"sweeps all of them takes {grown:.0f} MB more than one that loads and sweeps 2048.\n\n"
        f"{markdown(head, rows)}"
    )
    print(text)  # noqa: T201
    if options.write:
        write_section("The atlas", text)


if __name__ == "__main__":
    main()
