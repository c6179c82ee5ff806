"""An atlas as a static gallery: one HTML file that opens from disk, and its pictures."""

import hashlib
import html
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from deconvviz.atlas.accumulator import EDGES
from deconvviz.atlas.store import Atlas, Header, Units
from deconvviz.deconv import Deconvnet, Layer
from deconvviz.deconv.rules import Rule
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset
from deconvviz.io.files import write_atomically
from deconvviz.io.images import limit_side, to_png
from deconvviz.io.preprocess import Pixels
from deconvviz.plots.arrays import mosaic
from deconvviz.plots.atlas import UnitTiles, render_units
from deconvviz.plots.display import display_caption
from deconvviz.progress import Progress

INDEX = "index.html"
"""The file to open in a browser."""

_TEMPLATES = Path(__file__).parent
_VERSION = 1  # of the pictures; raise it to draw all again
_SIDE = 96  # pixels; larger tiles are shrunk, since a deep network has gigabytes of them
_CLASSES = 5  # listed for a unit


def render(
    atlas: Atlas,
    bundle: Bundle,
    dataset: Dataset,
    folder: Path,
    *,
    net: Deconvnet | None = None,
    rule: Rule = "deconvnet",
    progress: Progress | None = None,
) -> Path:
    """Write a gallery of all units of an atlas: patches, projections and statistics.

    `index.html` opens from disk and needs no network; every unit has its own address there,
    `#LAYER/UNIT`. The pictures of a unit are one PNG file. An interrupted call can be repeated:
    existing pictures of the same atlas are not drawn again. The page is written last.

    Args:
        atlas: Atlas to draw.
        bundle: Network of the atlas.
        dataset: Pictures of the atlas.
        folder: Folder of the gallery; other files there are left alone.
        net: Deconvnet of the network, if there is one already.
        rule: Rule of the projections.
        progress: Called with the number of units done.

    Returns:
        Path of the page.

    Raises:
        AtlasError: The atlas is of another network or of other pictures.
    """
    atlas.check(bundle, dataset)
    net = net or Deconvnet(bundle.model, bundle.input_size)
    key = f"{_VERSION} {_SIDE} {rule} {atlas.header.digest}"  # all that the pictures depend on
    pictures = Path("pictures") / hashlib.sha256(key.encode()).hexdigest()[:16]
    sheets = [
        _LayerSheets(layer, folder / pictures / str(number))
        for number, layer in enumerate(atlas.units)
    ]
    total = sum(map(len, atlas.units.values()))
    done = 0
    for one in sheets:
        for count in one.draw(atlas, bundle, dataset, net, rule):
            done += count
            if progress:
                progress("units", done, total)
    data = _page_data(atlas, dataset, net, rule, sheets) | {"folder": pictures.as_posix()}
    path = folder / INDEX
    write_atomically(path, _page(atlas.header, data))
    return path


@dataclass(frozen=True)
class _LayerSheets:
    """The pictures of a layer: a PNG per unit, patches above projections."""

    layer: str
    folder: Path

    def path(self, unit: int) -> Path:
        return self.folder / f"{unit}.png"

    def draw(
        self, atlas: Atlas, bundle: Bundle, dataset: Dataset, net: Deconvnet, rule: Rule
    ) -> Iterator[int]:
        """Draw the missing pictures, and yield the number of units done in each step."""
        dead = atlas[self.layer].dead.tolist()
        missing = [
            unit for unit, none in enumerate(dead) if not none and not self.path(unit).is_file()
        ]
        yield len(dead) - len(missing)
        for sheet in render_units(atlas, bundle, dataset, self.layer, missing, net=net, rule=rule):
            write_atomically(self.path(sheet.unit), to_png(_sprite(sheet, atlas.header.k)))
            yield 1

    def tile(self, k: int, units: Units) -> tuple[int, int]:
        """Height and width of a tile of this layer; squares where all units are dead."""
        alive = (~units.dead).nonzero()[:, 0].tolist()
        if not alive:
            return 1, 1
        with Image.open(self.path(alive[0])) as image:
            return image.height // 2, image.width // k


def _sprite(sheet: UnitTiles, k: int) -> Pixels:
    """The tiles of a unit in k columns, patches above projections."""
    rows = [
        mosaic([_shrink(tile) for tile in tiles], columns=k, gap=0, places=k)[..., :3]
        for tiles in (sheet.patches, sheet.shown)
    ]
    return np.vstack(rows)


def _shrink(tile: Pixels) -> Pixels:
    return np.asarray(limit_side(Image.fromarray(tile), _SIDE))


def _page_data(
    atlas: Atlas, dataset: Dataset, net: Deconvnet, rule: Rule, sheets: Sequence[_LayerSheets]
) -> dict[str, Any]:
    head = atlas.header
    return {
        "title": f"Atlas of {head.network}",
        "pictures": head.pictures,
        "classes": head.classes,
        "k": head.k,
        "rule": rule,
        "statistics": head.statistics,
        "edges": EDGES,
        "layers": [
            {
                "number": number,
                "name": one.layer,
                "receptive_field": _receptive_field(net.layers[one.layer], head.layers[one.layer]),
                "tile": one.tile(head.k, atlas[one.layer]),
                "units": list(_unit_data(atlas, one.layer, dataset)),
            }
            for number, one in enumerate(sheets)
        ],
    }


def _receptive_field(layer: Layer, size: tuple[int, int, int]) -> str:
    _, high, wide = size
    if layer.stride == (0, 0):
        return "Each unit sees the whole picture."
    height, width = layer.receptive_field
    return f"Maps of {high} × {wide}; each unit sees {height} × {width} pixels."


def _unit_data(atlas: Atlas, layer: str, dataset: Dataset) -> Iterator[dict[str, Any]]:
    units = atlas[layer]
    selectivity, ranked = units.selectivity, None
    if units.class_mean is not None:
        ranked = units.class_mean.nan_to_num(-torch.inf).sort(dim=1, descending=True)
    for unit in range(len(units)):
        data: dict[str, Any] = {
            "top": [
                (_rounded(a.value), a.picture, int(dataset.labels[a.picture]), a.y, a.x)
                for a in atlas.top(layer, unit)
            ]
        }
        for name, column in (
            ("mean", units.mean),
            ("active", units.active),
            ("activation_frequency", units.activation_frequency),
            ("selectivity", selectivity),
        ):
            if column is not None:
                data[name] = _rounded(float(column[unit]))
        if ranked is not None:
            best = zip(ranked.indices[unit].tolist(), ranked.values[unit].tolist(), strict=True)
            data["classes"] = [(c, _rounded(v)) for c, v in best if v > -torch.inf][:_CLASSES]
        if units.histogram is not None:
            data["histogram"] = _histogram_data(units.histogram[unit].tolist())
        yield data


def _histogram_data(counts: Sequence[int]) -> dict[str, Any]:
    """Inactive pictures, and the counts from the first to the last filled bin."""
    inactive, *active = counts
    filled = [place for place, count in enumerate(active) if count]
    first, last = (filled[0], filled[-1]) if filled else (0, -1)
    return {"inactive": inactive, "first": first, "counts": active[first : last + 1]}


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")


def _page(head: Header, data: dict[str, Any]) -> str:
    units = sum(channels for channels, _, _ in head.layers.values())
    classes = f", class ({head.classes[0]}, …)" if head.statistics and head.classes else ""
    parts = {
        "title": html.escape(data["title"]),
        "lead": html.escape(
            f"The {head.k} strongest activations of each of its {units} units in "
            f"{head.pictures} pictures ({head.data}), and their projections to pixels by a "
            "deconvnet (Zeiler & Fergus 2014)."
        ),
        "hint": html.escape(f"layer, unit number{classes}, or dead"),
        "caption": html.escape(
            f"{display_caption()} Patches are preprocessed pictures, grey beyond the edge. A "
            "projection shows what activated a unit, not why the network decided."
        ),
        "style": _template("gallery.css"),
        "script": _template("gallery.js"),
        # No "<" in it, so that no name can end the element that holds it.
        "data": json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _template("gallery.html"))


def _template(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8").rstrip()
