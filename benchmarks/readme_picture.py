"""Make the picture that opens the README: `python benchmarks/readme_picture.py`.

Photographs that come with scikit-image, and what units of the demo network saw in them: for some
layers one strong unit, the part of the photograph in its window, and its reconstruction.
"""

import argparse
from pathlib import Path

import numpy as np

from deconvviz.deconv import Deconvnet, Recording
from deconvviz.io.bundle import Bundle
from deconvviz.io.images import PHOTOGRAPHS, limit_side, photograph
from deconvviz.io.preprocess import Box
from deconvviz.io.zoo import load
from deconvviz.plots.display import display
from deconvviz.plots.figures import GalleryRow, Pixels, crop, figure_png, framed, gallery

SIDE = 320  # pixels, the longest side at which photographs go through the layers
PICTURES = ("cat", "rocket", "coffee")
LAYERS = ("stage1.relu2", "stage2.relu1", "stage2.relu2", "stage3.relu2")
OUT = Path(__file__).resolve().parents[1] / "docs" / "reconstructions.png"


def gallery_row(bundle: Bundle, net: Deconvnet, name: str) -> GalleryRow:
    """One photograph, its windows outlined, with a unit of each layer."""
    picture = limit_side(photograph(name).image, SIDE)
    recording = net.record(bundle.preprocess(picture, size=None)[None], LAYERS)
    pixels = np.asarray(picture)
    found = [unit_inside(net, recording, layer) for layer in LAYERS]
    boxes = [box for _, box, _ in found]
    units = [(f"unit {unit}", crop(pixels, box), shown) for unit, box, shown in found]
    return GalleryRow(framed(pixels, boxes), PHOTOGRAPHS[name].title, units)


def unit_inside(net: Deconvnet, recording: Recording, layer: str) -> tuple[int, Box, Pixels]:
    """The strongest unit whose window lies inside the picture: its window and reconstruction."""
    selection = recording.strongest(layer, k=64)
    projection = net.project(recording, selection)
    height, width = recording.size
    top, left, bottom, right = projection.boxes.T
    inside = (top >= 0) & (left >= 0) & (bottom <= height) & (right <= width)
    row = int(inside.int().argmax())
    top, left, bottom, right = projection.boxes[row].tolist()
    shown = display(projection.pixels[row])
    return int(selection.channel[row]), (top, left, bottom, right), shown


def main() -> None:
    """Write the picture, and say where and how large it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="demo", help="its name, or a checkpoint's path")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    bundle = load(options.network)
    net = Deconvnet(bundle.model, bundle.input_size)
    heading = [f"{layer}, window {net.layers[layer].receptive_field[0]} px" for layer in LAYERS]
    figure = gallery([gallery_row(bundle, net, name) for name in PICTURES], heading)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_bytes(figure_png(figure, dpi=130))
    print(f"{options.out}, {options.out.stat().st_size / 1000:.0f} kB")  # noqa: T201


if __name__ == "__main__":
    main()
