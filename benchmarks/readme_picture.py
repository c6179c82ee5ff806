"""Make the picture that opens the README: `python benchmarks/readme_picture.py`.

Four photographs that come with scikit-image. For each, the strongest unit of four layers of
`demo-photos`: the part of the photograph in its window, and its projection.
"""

import argparse
from pathlib import Path

import numpy as np

from deconvviz import Bundle, Deconvnet, load
from deconvviz.deconv import Box
from deconvviz.io.images import PHOTOGRAPHS, limit_side, photograph
from deconvviz.plots.arrays import crop, framed
from deconvviz.plots.display import display
from deconvviz.plots.figures import GalleryRow, Pixels, gallery
from deconvviz.plots.files import figure_png

SIDE = 320  # pixels, the longest side at which photographs go through the layers
PICTURES = ("cat", "astronaut", "coffee", "rocket")
LAYERS = ("stage2.relu", "stage3.relu2", "stage4.relu1", "stage4.relu2")
OUT = Path(__file__).resolve().parents[1] / "docs" / "reconstructions.png"


def gallery_row(bundle: Bundle, net: Deconvnet, name: str) -> GalleryRow:
    """One photograph with the windows outlined, and a unit of each layer."""
    picture = limit_side(photograph(name).image, SIDE)
    recording = net.record(bundle.preprocess(picture, size=None)[None], LAYERS)
    pixels, boxes, units = np.asarray(picture), list[Box](), list[tuple[str, Pixels, Pixels]]()
    for layer in LAYERS:
        shown = net.project(recording, recording.strongest(layer, k=64))
        inside = (shown.boxes[:, :2] >= 0) & (
            shown.boxes[:, 2:] <= shown.boxes.new_tensor(shown.size)
        )
        row = int(inside.all(dim=1).int().argmax())  # the strongest whose window is in the picture
        top, left, bottom, right = shown.boxes[row].tolist()
        boxes.append((top, left, bottom, right))
        title = f"unit {shown.selection.channel[row]}"
        units.append((title, crop(pixels, boxes[-1]), display(shown.pixels[row])))
    return framed(pixels, boxes), PHOTOGRAPHS[name].title, units


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="demo-photos", help="its name, or a checkpoint's path")
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    bundle = load(given.network)
    net = Deconvnet(bundle.model, bundle.input_size)
    heading = [f"{layer}, window {net.layers[layer].receptive_field[0]} px" for layer in LAYERS]
    figure = gallery([gallery_row(bundle, net, name) for name in PICTURES], heading)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_bytes(figure_png(figure, dpi=110))
    print(f"{given.out}, {given.out.stat().st_size / 1000:.0f} kB")  # noqa: T201


if __name__ == "__main__":
    main()
