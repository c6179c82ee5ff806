"""How long a Deconvnet takes to build, and until its first picture.

    python benchmarks/building.py [--write]

Building is everything that `Deconvnet(model, size)` does: tracing, simplifying, and the comparison
with the model's own values. Beside it stands `torch.export` alone of the same network for images of
any number and size. The first picture is building, recording one picture of 224 pixels, and
projecting the 9 strongest units of the last default layer. Weights are random.
"""

import logging
from functools import partial

import torch
from report import environment, markdown, options, publish, seconds
from torch import nn
from torch.export import Dim, export
from torchvision import models

from deconvviz.deconv import Deconvnet

SIZE = (3, 224, 224)
BUILT = ("vgg16", "googlenet", "resnet50", "efficientnet_v2_s", "densenet201")
PICTURED = ("vgg16", "googlenet", "inception_v3", "resnet50")
SLOW_INITIALISATION = ("googlenet", "inception_v3")
HEAD = ("network", "operations", "building, s", "torch.export alone, s", "ratio")
FIRST_HEAD = ("network", "building, s", "first picture, s", "of VGG16's")


def network(name: str) -> nn.Module:
    given = {"init_weights": False} if name in SLOW_INITIALISATION else {}
    model: nn.Module = getattr(models, name)(weights=None, **given).eval()
    return model


def exported(model: nn.Module) -> object:
    free = dict.fromkeys((0, 2, 3), Dim.AUTO)
    with torch.no_grad():
        return export(model, (torch.zeros(2, *SIZE),), dynamic_shapes=(free,), strict=False)


def first_picture(model: nn.Module, images: torch.Tensor) -> object:
    net = Deconvnet(model, SIZE)
    layer = net.default_layers[-1]
    recording = net.record(images, [layer])
    return net.project(recording, recording.strongest(layer, k=9)).pixels


def built(name: str) -> list[str]:
    model = network(name)
    ours, theirs = seconds([partial(Deconvnet, model, SIZE), partial(exported, model)])
    count = sum(covered.count for covered in Deconvnet(model, SIZE).coverage.operations)
    return [name, str(count), f"{ours:.1f}", f"{theirs:.1f}", f"**{theirs / ours:.1f}x**"]


def main() -> None:
    given = options(__doc__).parse_args()
    logging.disable(logging.WARNING)  # of what export cannot solve
    rows = [built(name) for name in BUILT]
    nets, images = [network(name) for name in PICTURED], torch.randn(1, *SIZE)
    runs = [partial(first_picture, model, images) for model in nets]
    building = [partial(Deconvnet, model, SIZE) for model in nets]
    times = seconds([*building, *runs])
    builds, firsts = times[: len(nets)], times[len(nets) :]
    first_rows = [
        [name, f"{build:.1f}", f"{first:.1f}", f"**{first / firsts[0]:.2f}**"]
        for name, build, first in zip(PICTURED, builds, firsts, strict=True)
    ]
    text = f"`python benchmarks/building.py`; {environment()}.\n\n{markdown(HEAD, rows)}\n\n"
    publish("Building", text + markdown(FIRST_HEAD, first_rows), write=given.write)


if __name__ == "__main__":
    main()
