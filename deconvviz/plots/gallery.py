"""An atlas as a static gallery: one HTML file that opens from disk, and the pictures beside it."""

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
from deconvviz.plots.atlas import UnitSheet, draw_units
from deconvviz.plots.display import display_caption
from deconvviz.plots.figures import Pixels, mosaic
from deconvviz.progress import Progress

__all__ = ["INDEX", "render"]

INDEX = "index.html"
"""The gallery's file that a person opens."""

_TEMPLATES = Path(__file__).parent
_FORM = 1  # of the pictures; one more makes all be drawn again
_SIDE = 96  # pixels: larger tiles are shrunk, as a deep network has gigabytes of them
_LIKES = 5  # classes that are told of a unit


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
    """Make a gallery of all units of an atlas: their patches, projections and statistics.

    `index.html` opens from disk and needs no network; every unit has its own address there,
    `#LAYER/UNIT`. Each unit's pictures are one PNG file. An interrupted call goes on: pictures of
    the same atlas that are there already are not drawn again. The page itself comes last.

    Args:
        atlas: What was found.
        bundle: The network that it was found of.
        dataset: The pictures that it was found in.
        folder: Where the gallery goes; what else it holds stays.
        net: The network's deconvnet, where there is one already.
        rule: The rule of the projections.
        progress: Told how many units are drawn.

    Returns:
        The page's file.

    Raises:
        AtlasError: The atlas is of another network or of other pictures.
    """
    atlas.check(bundle, dataset)
    net = net or Deconvnet(bundle.model, bundle.input_size)
    pictures = Path("pictures") / _digest(atlas.header, rule)
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
    told = _told(atlas, dataset, net, rule, sheets) | {"folder": pictures.as_posix()}
    path = folder / INDEX
    write_atomically(path, _page(atlas.header, told))
    return path


def _digest(header: Header, rule: Rule) -> str:
    """What the pictures depend on, as a folder's name: another atlas never meets them."""
    told = f"{_FORM} {_SIDE} {rule} {header.digest}"
    return hashlib.sha256(told.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class _LayerSheets:
    """The pictures of a layer: for each unit a PNG with its patches above its projections."""

    layer: str
    folder: Path

    def path(self, unit: int) -> Path:
        return self.folder / f"{unit}.png"

    def draw(
        self, atlas: Atlas, bundle: Bundle, dataset: Dataset, net: Deconvnet, rule: Rule
    ) -> Iterator[int]:
        """Draw what is missing, and give how many units are settled, some at a time."""
        dead = atlas[self.layer].dead.tolist()
        missing = [
            unit for unit, silent in enumerate(dead) if not silent and not self.path(unit).is_file()
        ]
        yield len(dead) - len(missing)
        for sheet in draw_units(atlas, bundle, dataset, self.layer, missing, net=net, rule=rule):
            write_atomically(self.path(sheet.unit), to_png(_sprite(sheet, atlas.header.k)))
            yield 1

    def tile(self, k: int, units: Units) -> tuple[int, int]:
        """Height and width of one tile; all of a layer are alike. Squares where all are dead."""
        alive = (~units.dead).nonzero()[:, 0].tolist()
        if not alive:
            return 1, 1
        with Image.open(self.path(alive[0])) as image:
            return image.height // 2, image.width // k


def _sprite(sheet: UnitSheet, k: int) -> Pixels:
    """All of a unit's tiles: patches in the upper row, projections below; k columns."""
    rows = [
        mosaic([_small(tile) for tile in tiles], columns=k, gap=0, places=k)[..., :3]
        for tiles in (sheet.patches, sheet.shown)
    ]
    return np.vstack(rows)


def _small(tile: Pixels) -> Pixels:
    return np.asarray(limit_side(Image.fromarray(tile), _SIDE))


def _told(
    atlas: Atlas, dataset: Dataset, net: Deconvnet, rule: Rule, sheets: Sequence[_LayerSheets]
) -> dict[str, Any]:
    """All that the page's script knows."""
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
                "sees": _sees(net.layers[one.layer], head.layers[one.layer]),
                "tile": one.tile(head.k, atlas[one.layer]),
                "units": list(_units_told(atlas[one.layer], dataset)),
            }
            for number, one in enumerate(sheets)
        ],
    }


def _sees(layer: Layer, size: tuple[int, int, int]) -> str:
    _, high, wide = size
    (down, across), (height, width) = layer.stride, layer.receptive_field
    if (down, across) == (0, 0):
        return "Each unit sees the whole picture."
    return f"Maps of {high} × {wide}; each unit sees {height} × {width} pixels."


def _units_told(units: Units, dataset: Dataset) -> Iterator[dict[str, Any]]:
    """What the script knows of each unit of a layer."""
    selectivity, ranked = units.selectivity, None
    if units.class_mean is not None:
        ranked = units.class_mean.nan_to_num(-torch.inf).sort(dim=1, descending=True)
    for unit in range(len(units)):
        told: dict[str, Any] = {
            "moments": [
                (_rounded(m.value), m.picture, int(dataset.labels[m.picture]), m.y, m.x)
                for m in units.moments(unit)
            ]
        }
        for name, column in (
            ("mean", units.mean),
            ("active", units.active),
            ("fires", units.fires),
            ("selectivity", selectivity),
        ):
            if column is not None:
                told[name] = _rounded(float(column[unit]))
        if ranked is not None:
            best = zip(ranked.indices[unit].tolist(), ranked.values[unit].tolist(), strict=True)
            told["likes"] = [(c, _rounded(v)) for c, v in best if v > -torch.inf][:_LIKES]
        if units.histogram is not None:
            told["histogram"] = _histogram_told(units.histogram[unit].tolist())
        yield told


def _histogram_told(counts: Sequence[int]) -> dict[str, Any]:
    """The silent pictures, and the counts between the first and the last filled bin."""
    silent, *active = counts
    filled = [place for place, count in enumerate(active) if count]
    first, last = (filled[0], filled[-1]) if filled else (0, -1)
    return {"silent": silent, "first": first, "counts": active[first : last + 1]}


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")


def _page(head: Header, told: dict[str, Any]) -> str:
    """The HTML, with its style, its script and what that knows."""
    units = sum(channels for channels, _, _ in head.layers.values())
    classes = f", class ({head.classes[0]}, …)" if head.statistics and head.classes else ""
    title = str(told["title"])
    parts = {
        "title": html.escape(title),
        "heading": html.escape(title),
        "lead": html.escape(
            f"What excites each of its {units} units most: the {head.k} strongest activations in "
            f"{head.pictures} pictures ({head.data}), and their projections back to pixels by a "
            "deconvnet (Zeiler & Fergus 2014)."
        ),
        "hint": html.escape(f"layer, unit number{classes}, or dead"),
        "caption": html.escape(
            f"{display_caption()} Patches are as the network is given them, grey beyond a "
            "picture's edge. A projection shows what a unit answered to, not why the network "
            "decided."
        ),
        "style": _template("gallery.css"),
        "script": _template("gallery.js"),
        # No "<" in it, so that no name can end the element that holds it.
        "data": json.dumps(told, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _template("gallery.html"))


def _template(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8").rstrip()
