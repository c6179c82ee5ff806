"""What an atlas costs beside the bare forward pass over the same pictures.

    DECONVVIZ_DATA=DIR python benchmarks/atlas.py [--pictures 60000] [--device cuda] [--write]

The demo network over CIFAR-10 (drawn shapes where there is none): its plain forward pass, the sweep
for the strongest activations with their positions, and the sweep with all statistics, every default
layer together, over the first pictures in turns in one run; each normalises the pictures. Then all
pictures once, in a process of its own, whose peak of memory is compared with that of one that
sweeps the first pictures alone.
"""

import argparse
import resource
import subprocess
import sys
import time
from functools import partial

import torch
from report import made, markdown, seconds, write_section

import deconvviz as dv
from deconvviz.atlas import build_atlas
from deconvviz.errors import DataError
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset, load_dataset

BLOCK = 64  # pictures a forward pass, as in the sweep of this network
FIRST = 2048  # pictures, in turns
SECONDS = 90.0  # spent on these


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
        bundle.model(bundle.preprocessing.normalised(block.to(device)))


def alone(count: int, device: str) -> tuple[float, float]:
    """Seconds and largest memory, in megabytes, of a process that builds one atlas."""
    words = [sys.executable, __file__, "--once", "--pictures", str(count), "--device", device]
    told = subprocess.run(words, check=True, capture_output=True, text=True).stdout  # noqa: S603
    taken, peak = map(float, told.split())
    return taken, peak


def once(bundle: Bundle, dataset: Dataset) -> None:
    """Build one atlas and print its seconds, and the peak of this process's memory."""
    net = dv.Deconvnet(bundle.model, bundle.input_size)
    started = time.perf_counter()
    build_atlas(bundle, dataset, net=net)
    taken = time.perf_counter() - started
    print(taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)  # noqa: T201


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=60_000)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    bundle, dataset = dv.load("demo"), pictures(options.pictures)
    bundle.model.to(options.device)
    if options.once:
        once(bundle, dataset)
        return
    net, first = dv.Deconvnet(bundle.model, bundle.input_size), dataset.subset(range(FIRST))
    sweep = partial(build_atlas, bundle, first, net=net)
    runs = [partial(forward, bundle, first), partial(sweep, statistics=False), sweep]
    bare, top, full = seconds(runs, options.device, spend=SECONDS)
    taken, peak = alone(len(dataset), options.device)
    _, before = alone(FIRST, options.device)
    units = sum(net.layers[layer].channels for layer in net.default_layers)
    head = ["sweep", f"ms for {FIRST} pictures", "of the forward pass"]
    rows = [
        ["bare forward pass", f"{1e3 * bare:.0f}", "1"],
        ["9 strongest with positions", f"{1e3 * top:.0f}", f"**{top / bare:.2f}x**"],
        ["and all statistics", f"{1e3 * full:.0f}", f"**{full / bare:.2f}x**"],
    ]
    text = (
        f"`python benchmarks/atlas.py`; {made(options.device)}.\n\nThe demo network, {units} units "
        f"in {len(net.default_layers)} layers, {dataset.title}. All {len(dataset)} pictures, with "
        f"statistics, took {taken:.0f} s; the process's peak of memory was {peak:.0f} MB, that of "
        f"one that took the first {FIRST} alone {before:.0f} MB.\n\n{markdown(head, rows)}"
    )
    print(text)  # noqa: T201
    if options.write:
        write_section("The atlas", text)


if __name__ == "__main__":
    main()
