"""The cost of an atlas beside the plain forward pass over the same pictures.

    DECONVVIZ_DATA=DIR python benchmarks/atlas.py [--pictures 60000] [--device cuda] [--write]

The demo network over CIFAR-10 (drawn shapes where there is none): the forward pass, the pass for
the strongest activations with their positions, and the pass with all statistics, every default
layer together, over the first pictures in turns in one run; each normalises the pictures. Then all
pictures once, in a process of its own, whose peak of memory is compared with that of a process that
passes over the first pictures only.
"""

import argparse
import resource
import subprocess
import sys
import time
from functools import partial

import torch
from report import cifar10, environment, markdown, options, publish, seconds

import deconvviz as dv
from deconvviz.io.data import Dataset

BLOCK = 64  # pictures a forward pass, as the atlas takes them for this network
FIRST = 2048  # pictures, in turns
SECONDS = 90.0  # spent on these


@torch.inference_mode()
def forward(bundle: dv.Bundle, dataset: Dataset, device: str) -> None:
    """The network's own forward pass over all pictures."""
    for block in dataset.images.split(BLOCK):
        bundle.model(bundle.preprocessing.normalised(block.to(device)))


def in_own_process(count: int, device: str) -> tuple[float, float]:
    """Seconds and largest memory, in megabytes, of a process that builds one atlas."""
    words = [sys.executable, __file__, "--once", "--pictures", str(count), "--device", device]
    printed = subprocess.run(words, check=True, capture_output=True, text=True).stdout  # noqa: S603
    taken, peak = map(float, printed.split())
    return taken, peak


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--pictures", type=int, default=60_000)
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    bundle, dataset = dv.load("demo"), cifar10("all")
    dataset = dataset.subset(range(min(given.pictures, len(dataset))))
    bundle.model.to(given.device)
    net = dv.Deconvnet(bundle.model, bundle.input_size)
    if given.once:
        started = time.perf_counter()
        dv.build_atlas(bundle, dataset, net=net)
        taken, peak = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
        print(taken, peak.ru_maxrss / 1024)  # noqa: T201
        return
    first = dataset.subset(range(FIRST))
    build = partial(dv.build_atlas, bundle, first, net=net)
    forward_pass = partial(forward, bundle, first, given.device)
    runs = {"plain forward pass": forward_pass}
    runs |= {"9 strongest with positions": partial(build, statistics=False)}
    runs |= {"and all statistics": build}
    times = seconds(list(runs.values()), given.device, spend=SECONDS)
    taken, peak = in_own_process(len(dataset), given.device)
    _, before = in_own_process(FIRST, given.device)
    units = sum(net.layers[layer].channels for layer in net.default_layers)
    rows = [
        [name, f"{1e3 * time:.0f}", f"**{time / times[0]:.2f}x**"]
        for name, time in zip(runs, times, strict=True)
    ]
    text = (
        f"`python benchmarks/atlas.py`; {environment(given.device)}.\n\nThe demo network, {units} "
        f"units in {len(net.default_layers)} layers, {dataset.title}. All {len(dataset)} pictures, "
        f"with statistics, took {taken:.0f} s; the process's peak of memory was {peak:.0f} MB, "
        f"{before:.0f} MB with the first {FIRST} only.\n\n"
        + markdown(["pass", f"ms for {FIRST} pictures", "of the forward pass"], rows)
    )
    publish("The atlas", text, write=given.write)


if __name__ == "__main__":
    main()
