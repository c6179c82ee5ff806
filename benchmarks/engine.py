"""How fast the engine is against captum.

    python benchmarks/engine.py [--device cuda] [--write]

Each row projects some units of one layer with deconvviz (one call, its forward pass included) and
with captum's NeuronDeconvolution (one call a unit), warm, in one run, and prints the ratio of the
times a unit; weights are random. The share of the machine's limit is what our convolutions
multiply and add a second, the forward pass included, against a large matrix product in turns with
them. `--write` puts the table into benchmarks/RESULTS.md.
"""

import argparse
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import captum
import torch
from captum.attr import NeuronDeconvolution
from report import made, markdown, seconds, write_section
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import get_model

from deconvviz.deconv import Deconvnet, Selection
from deconvviz.models import vgg

MATRIX = 2048  # rows and columns of the large matrices


@dataclass(frozen=True)
class Work:
    """Units of one layer in some pictures."""

    title: str
    model: Callable[[], nn.Module]
    side: int
    layer: str
    images: int
    units: int  # a picture

    def make(self, device: str) -> tuple[nn.Module, Tensor]:
        """The network with random weights, and random pictures."""
        torch.manual_seed(0)
        model = self.model().eval().to(device)
        for module in model.modules():  # captum cannot take in-place activations
            if isinstance(module, nn.ReLU):
                module.inplace = False
        return model, torch.randn(self.images, 3, self.side, self.side, device=device)


def zoo(name: str) -> Callable[[], nn.Module]:
    """An untrained network of torchvision."""
    return lambda: get_model(name, weights=None)


ROWS = (
    Work("VGG16 conv3_3, 64 units", zoo("vgg16"), 224, "features.15", 1, 64),
    Work("VGG16 conv4_3, 64 units", zoo("vgg16"), 224, "features.22", 1, 64),
    Work("VGG16 conv5_3, 64 units", zoo("vgg16"), 224, "features.29", 1, 64),
    Work("ResNet18 layer2, 64 units", zoo("resnet18"), 224, "layer2.1.conv2", 1, 64),
    Work("vgg 32x32, last map, every unit of 32", vgg, 32, "stage3.relu2", 32, 256),
)


def ours(net: Deconvnet, work: Work, images: Tensor) -> Callable[[], Tensor]:
    """Record, choose the strongest units, project."""

    def run() -> Tensor:
        recording = net.record(images, [work.layer])
        return net.project(recording, chosen(recording[work.layer], work), start="one").pixels

    return run


def chosen(maps: Tensor, work: Work) -> Selection:
    """The position of the maximum in the first maps of every picture."""
    place = maps[:, : work.units].flatten(2).argmax(2).cpu()
    image, channel = torch.meshgrid(
        torch.arange(len(place)), torch.arange(place.shape[1]), indexing="ij"
    )
    image, channel, place = image.flatten(), channel.flatten(), place.flatten()
    return Selection(work.layer, image, channel, place // maps.shape[3], place % maps.shape[3])


def captums(
    model: nn.Module, images: Tensor, units: Selection, batched: bool
) -> Callable[[], object]:
    """A call of captum for one unit, in one picture or in all at once."""
    method = NeuronDeconvolution(model, model.get_submodule(units.layer))
    place = (int(units.channel[0]), int(units.y[0]), int(units.x[0]))
    pictures = (images if batched else images[:1]).clone().requires_grad_()

    def run() -> object:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it tells of the hooks that it sets
            return method.attribute(pictures, place)

    return run


def product(device: str) -> Callable[[], Tensor]:
    """The product of two large matrices, which is as fast as a machine multiplies and adds."""
    left, right = torch.randn(2, MATRIX, MATRIX, device=device)
    return lambda: left @ right


def operations(run: Callable[[], object]) -> int:
    """How many multiplications and additions the convolutions and matrix products of a run take."""
    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())


def measure(work: Work, device: str) -> list[str]:
    """The table's line for one row."""
    model, images = work.make(device)
    net = Deconvnet(model, (3, work.side, work.side))
    with torch.no_grad():
        units = chosen(net.record(images, [work.layer])[work.layer], work)
    run = ours(net, work, images)
    runs = [run, product(device), captums(model, images, units, batched=False)]
    if work.images > 1:
        runs.append(captums(model, images, units, batched=True))
    taken = seconds(runs, device)
    mine, theirs = taken[0] / len(units), taken[2]
    share = operations(run) / taken[0] / (2 * MATRIX**3 / taken[1])
    batched = f"**{taken[3] / work.images / mine:.1f}x**" if work.images > 1 else ""
    ratio = f"**{theirs / mine:.0f}x**"
    times = [f"{1e3 * mine:.2f}", f"{1e3 * theirs:.1f}"]
    return [work.title, *times, ratio, batched, f"{share:.0%}"]


def table(device: str) -> str:
    """The whole table in Markdown."""
    head = ["work", "ours, ms a unit", "captum, ms a unit", "ratio"]
    head += ["captum batched over pictures", "ours, of the machine's limit"]
    rows = []
    for work in ROWS:
        rows.append(measure(work, device))
        print(" | ".join(rows[-1]), flush=True)  # noqa: T201
    return markdown(head, rows)


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    text = table(options.device)
    if options.write:
        told = made(options.device, captum=captum.__version__)
        write_section("The engine", f"`python benchmarks/engine.py`; {told}.\n\n{text}")


if __name__ == "__main__":
    main()
