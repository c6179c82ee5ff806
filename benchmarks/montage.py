"""One sheet a network family and rule, for a person to look at after a change of the engine.

    python benchmarks/montage.py FOLDER [NAME ...]

A NAME is what `deconvviz.load` takes; by default the demo and one network of each of torchvision's
convolutional families, with its own weights where they are on this machine, else random ones. Each
sheet shows the strongest units of an early, a middle and the last rectified map in one photograph:
what the unit sees, and its projection.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from deconvviz import Bundle, Deconvnet, load
from deconvviz.deconv.rules import RULES, Rule
from deconvviz.errors import CheckpointError
from deconvviz.io.files import write_atomically
from deconvviz.io.images import photograph
from deconvviz.plots.display import display, display_caption
from deconvviz.plots.figures import Pixels, contact_sheet, crop, figure_png

FAMILIES = (
    *("alexnet", "vgg16", "vgg11_bn", "resnet18", "resnext50_32x4d", "wide_resnet50_2"),
    *("densenet121", "googlenet", "inception_v3", "squeezenet1_1", "mobilenet_v2"),
    *("mobilenet_v3_large", "mnasnet1_0", "shufflenet_v2_x1_0", "efficientnet_b0"),
    *("efficientnet_v2_s", "regnet_y_400mf", "convnext_tiny"),
)
UNITS = 6  # of each layer
SIDE = 160  # pixels that a window is brought to


def main() -> None:
    """Draw every sheet into the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    for name in given.names or ["demo", *(f"torchvision/{family}" for family in FAMILIES)]:
        bundle = _load(name)
        net = Deconvnet(bundle.model, bundle.input_size)
        for rule in RULES:
            file = given.folder / f"{name.replace('/', '-')}-{rule}.png"
            write_atomically(file, sheet(bundle, net, rule))
            print(file)  # noqa: T201


def _load(name: str) -> Bundle:
    try:
        return load(name)
    except CheckpointError:
        return load(name, weights=None)


def sheet(bundle: Bundle, net: Deconvnet, rule: Rule) -> bytes:
    """The strongest units of three layers, as a PNG file."""
    picture = bundle.view(photograph("cat").image)
    shown = np.asarray(picture)
    layers = [net.default_layers[i * (len(net.default_layers) - 1) // 2] for i in range(3)]
    recording = net.record(bundle.preprocess(picture)[None], layers)
    cells, titles = [], []
    for layer in layers:
        projection = net.project(recording, recording.strongest(layer, UNITS), rule)
        boxes = [(top, left, low, right) for top, left, low, right in projection.boxes.tolist()]
        for unit, box, pixels in zip(
            projection.selection.channel.tolist(), boxes, projection.pixels, strict=True
        ):
            cells.append([_sized(crop(shown, box)), _sized(display(pixels))])
            titles.append(f"{layer}, unit {unit}")
    told = ", ".join(bundle.summary).replace("**", "")
    caption = f"{bundle.name}, {told}, rule {rule}. {display_caption()}"
    return figure_png(contact_sheet(cells, titles, caption, columns=3, ink="#333333"), dpi=100)


def _sized(pixels: Pixels) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.NEAREST))


if __name__ == "__main__":
    main()
