"""Make the pictures of the site: `python docs/pictures.py`.

All are of photographs that come with scikit-image, and of the networks that come with the package.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import deconvviz as dv
from deconvviz.analysis.trust import examine
from deconvviz.deconv.randomization import untrained
from deconvviz.deconv.rules import RULES
from deconvviz.io.images import limit_side, photograph
from deconvviz.io.preprocess import Pixels
from deconvviz.plots.arrays import crop, enlarge
from deconvviz.plots.display import display
from deconvviz.plots.figures import contact_sheet
from deconvviz.plots.files import figure_png
from deconvviz.plots.projections import figure
from deconvviz.units import Unit

OUT = Path(__file__).parent / "pictures"
SIDE = 320  # pixels, the longest side at which photographs go through the layers


def save(name: str, figure: Any, dpi: int = 110) -> None:
    """Write a figure as WebP, with its transparent background."""
    picture = Image.open(io.BytesIO(figure_png(figure, dpi=dpi)))
    path = OUT / f"{name}.webp"
    picture.save(path, quality=88, method=6)
    print(f"{path}, {path.stat().st_size / 1000:.0f} kB")  # noqa: T201


class Looked:
    """One photograph in one network."""

    def __init__(self, network: str, name: str) -> None:
        self.bundle = dv.load(network)
        self.net = dv.Deconvnet(self.bundle.model, self.bundle.input_size)
        picture = limit_side(photograph(name).image, SIDE)
        self.shown: Pixels = np.asarray(picture)
        self.images = self.bundle.preprocess(picture, size=None)[None]
        self.recording = self.net.record(self.images)

    def projected(self, layer: str, k: int) -> dv.Projection:
        """The strongest units of a layer whose windows lie inside of the picture, at most `k`."""
        chosen = self.recording.strongest(layer, k=64)
        found = self.net.project(self.recording, chosen)
        size = found.boxes.new_tensor(found.size)
        inside = (found.boxes[:, :2] >= 0).all(1) & (found.boxes[:, 2:] <= size).all(1)
        rows = inside.nonzero()[:k, 0]
        return self.net.project(self.recording, chosen[rows])

    def patch(self, projection: dv.Projection, row: int) -> Pixels:
        """The part of the photograph in a window."""
        top, left, bottom, right = projection.boxes[row].tolist()
        return crop(self.shown, (top, left, bottom, right))


def pair(patch: Pixels, projected: torch.Tensor, side: int = 160) -> list[Pixels]:
    """A patch and its projection, of one size."""
    return [enlarge(one, side) for one in (patch, display(projected))]


def units() -> Any:
    """The command of the page Start."""
    looked = Looked("demo-photos", "cat")
    chosen = looked.recording.strongest("stage3.relu2", k=6)
    values = looked.recording.values(chosen).tolist()
    projection = looked.net.project(looked.recording, chosen)
    return figure(
        projection, None, looked.images, 6, values=values, source=" of demo-photos in cat"
    )


def ladder() -> Any:
    """The strongest unit of four layers."""
    looked = Looked("demo-photos", "cat")
    cells, titles = [], []
    for layer in ("stage1.relu", "stage2.relu", "stage3.relu2", "stage4.relu1"):
        projection = looked.projected(layer, 1)
        cells.append(pair(looked.patch(projection, 0), projection.pixels[0]))
        wide = projection.pixels.shape[-1]
        titles.append(f"{layer}, unit {int(projection.selection.channel[0])}, {wide} pixels")
    return contact_sheet(cells, titles, "", columns=2)


def rules() -> Any:
    """One unit by three rules, and the strongest one at its place in a random network."""
    looked = Looked("demo-photos", "cat")
    own = Unit.rows(looked.projected("stage3.relu2", 1).selection)[0]
    random = untrained(looked.bundle.model, torch.Generator().manual_seed(0))
    cells, titles = [], []
    for title, net in (("trained", looked.net), ("random", looked.net.with_model(random))):
        recording = net.record(looked.images, [own.layer])
        unit = own
        if title == "random":  # the same unit is not active there
            channel = int(recording[own.layer][0, :, own.y, own.x].argmax())
            unit = Unit(own.layer, channel, own.y, own.x)
        for rule in RULES:
            found = net.project(recording, unit.selection, rule)
            cells.append(pair(looked.patch(found, 0), found.pixels[0]))
            titles.append(f"{rule}, {title}")
    return contact_sheet(cells, titles, "", columns=3)


def clear() -> Any:
    """Units of a network trained against an adversary, and of one trained without."""
    cells, titles = [], []
    for network in ("demo", "demo-accurate"):
        looked = Looked(network, "cat")
        for layer in ("stage2.relu2", "stage3.relu2"):
            projection = looked.projected(layer, 2)
            for row in range(len(projection)):
                cells.append(pair(looked.patch(projection, row), projection.pixels[row]))
                titles.append(f"{network}, {layer}")
    return contact_sheet(cells, titles, "", columns=4, side=0.8)


def trust() -> Any:
    """The examination of one unit."""
    bundle = dv.load("demo-photos")
    net = dv.Deconvnet(bundle.model, bundle.input_size)
    image = bundle.preprocess(photograph("cat").image)
    peak = Unit.at_peak(net.record(image[None], ["stage3.relu2"]), "stage3.relu2")
    return examine(net, image, peak.selection).story()


def main() -> None:
    """Make all of them."""
    OUT.mkdir(exist_ok=True)
    for make in (units, ladder, rules, clear, trust):
        save(make.__name__, make())


if __name__ == "__main__":
    main()
