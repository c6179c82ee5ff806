"""The engine in bfloat16: its speed and its error.

    python benchmarks/precision.py [--device cuda] [--write]

Each row projects some units of one recorded layer in float32 and in bfloat16, in turns with a
matrix product and a convolution of either; weights are random. Errors are the lengths of the
differences from a projection in float64 with the same switches and masks, of its length.
"""

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from engine import ROWS, Work, peaks
from report import environment, markdown, options, publish, seconds
from torch import Tensor

from deconvviz.deconv import Deconvnet, Recording, Selection

MATRIX = 2048  # rows and columns of the matrix product
HEAD = ("work", "float32, ms a unit", "bf16, ms a unit", "ratio", "of a matrix product")
HEAD += ("share", "error of float32", "error of bf16")


def products(device: str) -> list[Callable[[], object]]:
    """A matrix product in float32 and in bfloat16."""
    left, right = torch.randn(2, MATRIX, MATRIX, device=device)
    return [partial(torch.matmul, left.to(d), right.to(d)) for d in (torch.float32, torch.bfloat16)]


def in_float64(net: Deconvnet, recording: Recording, units: Selection) -> Tensor:
    precise = net.with_model(copy.deepcopy(net.model).double())
    maps = {name: value.double() for name, value in recording.activations.items()}
    return precise.project(replace(recording, activations=maps), units, start="one").pixels


def error(pixels: Tensor, precise: Tensor) -> str:
    return f"{float((pixels - precise).norm() / precise.norm()):.0e}"


def measure(work: Work, device: str) -> list[str]:
    torch.manual_seed(0)
    model = work.model().eval().to(device)
    net = Deconvnet(model, (3, work.side, work.side))
    recording = net.record(
        torch.randn(work.images, 3, work.side, work.side, device=device), [work.layer]
    )
    units = peaks(recording[work.layer], work)
    project = partial(net.project, recording, units, start="one")
    runs = [project, partial(project, precision="bf16"), *products(device)]
    full, low, product, low_product = seconds(runs, device, spend=20)
    few = units[torch.arange(0, len(units), max(1, len(units) // 8))]
    precise = in_float64(net, recording, few)
    errors = [
        error(net.project(recording, few, start="one", precision=precision).pixels, precise)
        for precision in ("full", "bf16")
    ]
    times = [f"{1e3 * full / len(units):.2f}", f"{1e3 * low / len(units):.2f}"]
    ratio, bound = full / low, product / low_product
    return [
        work.title,
        *times,
        f"**{ratio:.2f}x**",
        f"{bound:.2f}x",
        f"{ratio / bound:.0%}",
        *errors,
    ]


def main() -> None:
    given = options(__doc__).parse_args()
    rows = [measure(work, given.device) for work in ROWS]
    text = f"`python benchmarks/precision.py`; {environment(given.device)}.\n\n"
    publish("The engine in bfloat16", text + markdown(HEAD, rows), write=given.write)


if __name__ == "__main__":
    main()
