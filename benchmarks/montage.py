"""Projections of one network of each family, for a person to look at after a change of the engine.

    python benchmarks/montage.py FOLDER [NAME ...]

A NAME is what `deconvviz.load` takes; by default the demo and one network of each of torchvision's
convolutional families, with pretrained weights where they are on this machine, else random ones.
Each sheet shows the strongest units of an early, a middle or the last rectified map under one rule:
the part of a photograph in the unit's window, and the projection.
"""

import argparse
from pathlib import Path

from deconvviz import Bundle, Deconvnet, load
from deconvviz.deconv.rules import RULES
from deconvviz.errors import CheckpointError
from deconvviz.io.files import write_atomically
from deconvviz.io.images import photograph
from deconvviz.plots.files import figure_png

FAMILIES = (
    *("alexnet", "vgg16", "vgg11_bn", "resnet18", "resnext50_32x4d", "wide_resnet50_2"),
    *("densenet121", "googlenet", "inception_v3", "squeezenet1_1", "mobilenet_v2"),
    *("mobilenet_v3_large", "mnasnet1_0", "shufflenet_v2_x1_0", "efficientnet_b0"),
    *("efficientnet_v2_s", "regnet_y_400mf", "convnext_tiny"),
)
UNITS = 6  # of each layer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    for name in given.names or ["demo", *(f"torchvision/{family}" for family in FAMILIES)]:
        try:
            bundle = load(name)
        except CheckpointError:
            bundle = load(name, weights=None)
        draw(bundle, given.folder / name.replace("/", "-"))


def draw(bundle: Bundle, stem: Path) -> None:
    """The strongest units of three layers under each rule, a PNG file each."""
    net = Deconvnet(bundle.model, bundle.input_size)
    images = bundle.preprocess(photograph("cat").image)[None]
    layers = [net.default_layers[i * (len(net.default_layers) - 1) // 2] for i in range(3)]
    recording = net.record(images, layers)
    for layer in layers:
        for rule in RULES:
            shown = net.project(recording, recording.strongest(layer, UNITS), rule)
            file = stem.with_name(f"{stem.name}-{layer}-{rule}.png")
            write_atomically(file, figure_png(shown.plot(images=images), dpi=100))
            print(file)  # noqa: T201


if __name__ == "__main__":
    main()
