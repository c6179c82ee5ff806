"""The engine's speed compared with captum.

    python benchmarks/engine.py [--device cuda] [--write]

Each row projects some units of one layer with deconvviz (one call, with its forward pass) and with
captum's NeuronDeconvolution (one call a unit), warm, in one run, and gives the ratio of the times
per unit; weights are random. The share of the machine's limit is the multiplications and additions
per second of our convolutions, the forward pass included, over those of the fastest of several
matrix products and 1x1 convolutions, of the same dtype and in turns with them.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import captum
import torch
from captum.attr import NeuronDeconvolution
from report import environment, markdown, options, publish, seconds
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry
from torchvision.models import resnet18, resnet50, vgg16
from typing_extensions import override

from deconvviz.deconv import Deconvnet, Selection
from deconvviz.models import vgg

# Of the limit: matrix products by rows, inner and columns; 1x1 convolutions by images, channels,
# maps and side.
PRODUCTS = ((512, 512, 512), (1024, 1024, 1024), (2048, 2048, 2048), (3136, 1152, 256))
POINTWISE = ((1, 256, 256, 56), (1, 512, 512, 28), (16, 256, 256, 14))
HEAD = ("work", "ours, ms a unit", "captum, ms a unit", "ratio")
HEAD += ("captum batched over pictures", "ours, of the machine's limit")


@dataclass(frozen=True)
class Work:
    """Units of one layer in some pictures."""

    title: str
    model: Callable[[], nn.Module]
    side: int
    layer: str
    images: int
    units: int  # a picture


ROWS = (
    Work("VGG16 conv3_3, 64 units", vgg16, 224, "features.15", 1, 64),
    Work("VGG16 conv4_3, 64 units", vgg16, 224, "features.22", 1, 64),
    Work("VGG16 conv5_3, 64 units", vgg16, 224, "features.29", 1, 64),
    Work("ResNet18 layer2, 64 units", resnet18, 224, "layer2.1.conv2", 1, 64),
    Work("vgg 32x32, last map, every unit of 32", vgg, 32, "stage3.relu2", 32, 256),
)


class Count(TorchDispatchMode):
    """Multiplications and additions of convolutions and matrix products.

    Without the global hooks of torch's own counter, which a recording refuses.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations = 0

    @override
    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        value = func(*args, **(kwargs or {}))
        count = flop_registry.get(func._overloadpacket)
        if count is not None:
            self.operations += count(*args, **(kwargs or {}), out_val=value)
        return value


def ours(net: Deconvnet, work: Work, images: Tensor) -> Tensor:
    recording = net.record(images, [work.layer])
    return net.project(recording, peaks(recording[work.layer], work), start="one").pixels


def peaks(maps: Tensor, work: Work) -> Selection:
    """The position of the maximum in the first maps of every picture."""
    place = maps[:, : work.units].flatten(2).argmax(2).cpu()
    image, channel = torch.nonzero(torch.ones_like(place), as_tuple=True)
    place = place.flatten()
    return Selection(work.layer, image, channel, place // maps.shape[3], place % maps.shape[3])


def captums(method: NeuronDeconvolution, images: Tensor, unit: tuple[int, int, int]) -> object:
    """A call of captum for one unit, in all the pictures."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the hooks that it sets
        return method.attribute(images.requires_grad_(), unit)


def peak_runs(device: str, dtype: torch.dtype) -> list[tuple[Callable[[], object], int]]:
    """Work that a machine is fastest at: what runs, and its multiplications and additions."""
    runs: list[tuple[Callable[[], object], int]] = []
    for rows, inner, columns in PRODUCTS:
        left = torch.randn(rows, inner, device=device, dtype=dtype)
        right = torch.randn(inner, columns, device=device, dtype=dtype)
        runs.append((partial(torch.matmul, left, right), 2 * rows * inner * columns))
    for images, channels, maps, side in POINTWISE:
        x = torch.randn(images, channels, side, side, device=device, dtype=dtype)
        x = x.contiguous(memory_format=torch.channels_last)
        kernels = torch.randn(maps, channels, 1, 1, device=device, dtype=dtype)
        run = partial(functional.conv2d, x, kernels)
        runs.append((run, 2 * images * channels * maps * side**2))
    return runs


def measure(work: Work, device: str) -> list[str]:
    torch.manual_seed(0)
    model = work.model().eval().to(device)
    for module in model.modules():  # captum does not work with in-place activations
        if isinstance(module, nn.ReLU):
            module.inplace = False
    images = torch.randn(work.images, 3, work.side, work.side, device=device)
    net = Deconvnet(model, (3, work.side, work.side))
    units = peaks(net.record(images, [work.layer])[work.layer], work)
    method = NeuronDeconvolution(model, model.get_submodule(work.layer))
    unit = (int(units.channel[0]), int(units.y[0]), int(units.x[0]))
    run, peaks_of = partial(ours, net, work, images), peak_runs(device, torch.float32)
    runs = [run, *(peak for peak, _ in peaks_of)]
    batches = (images[:1], images) if work.images > 1 else (images,)
    runs += [partial(captums, method, batch.clone(), unit) for batch in batches]
    mine, *times = seconds(runs, device)
    limit = max(count / time for (_, count), time in zip(peaks_of, times, strict=False))
    theirs, *batched = times[len(peaks_of) :]
    with Count() as counter:
        run()
    share = counter.operations / mine / limit
    mine /= len(units)
    ratio = f"**{batched[0] / work.images / mine:.1f}x**" if batched else ""
    cells = [work.title, f"{1e3 * mine:.2f}", f"{1e3 * theirs:.1f}", f"**{theirs / mine:.0f}x**"]
    return [*cells, ratio, f"{share:.0%}"]


def logit(device: str) -> str:
    """One logit of ResNet50, recorded and projected, beside a forward and a backward pass."""
    torch.manual_seed(0)
    model = resnet50().eval().to(device)
    images = torch.randn(1, 3, 224, 224, device=device)
    net = Deconvnet(model, (3, 224, 224))
    layer = list(net.layers)[-1]
    unit = Selection(layer, image=0, channel=0, y=0, x=0)

    def mine() -> Tensor:
        return net.project(net.record(images, [layer]), unit, rule="gradient", start="one").pixels

    def torchs() -> Tensor:
        leaf = images.clone().requires_grad_()
        return torch.autograd.grad(model(leaf)[0, 0], leaf)[0]

    ours_s, torch_s = seconds([mine, torchs], device, spend=16)
    ours_s, torch_s = 1e3 * ours_s, 1e3 * torch_s
    return (
        "One logit of ResNet50 at 224 x 224, recorded and projected under the gradient rule: "
        f"{ours_s:.0f} ms; torch's forward and backward pass to the picture: {torch_s:.0f} ms; "
        f"**{ours_s / torch_s:.2f}x**."
    )


def main() -> None:
    given = options(__doc__).parse_args()
    rows = [measure(work, given.device) for work in ROWS]
    where = environment(given.device, captum=captum.__version__)
    text = f"`python benchmarks/engine.py`; {where}.\n\n{markdown(HEAD, rows)}\n\n"
    text += logit(given.device)
    publish("The engine", text, write=given.write)


if __name__ == "__main__":
    main()
