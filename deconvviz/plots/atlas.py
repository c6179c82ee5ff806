"""An atlas as pictures: patches of the data beside their projections."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from torch import Tensor

from deconvviz.atlas.accumulator import EDGES
from deconvviz.atlas.store import Atlas, TopActivation
from deconvviz.deconv import Box, Deconvnet, Selection
from deconvviz.deconv.layers import unknown_layer
from deconvviz.deconv.rules import Rule
from deconvviz.deconv.tape import weight_of
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset
from deconvviz.io.preprocess import Pixels
from deconvviz.plots.arrays import crop, mosaic
from deconvviz.plots.display import display, display_caption
from deconvviz.plots.figures import ACCENTS, NEUTRAL_INK, contact_sheet, plot

_SIDE = 160  # pixels of an enlarged tile, about
_INCHES = 2.1  # of nine tiles; twice as much for one unit alone
_COLUMNS = 2
_TICKS = 7  # more labels would overlap


@dataclass(frozen=True, eq=False)
class UnitTiles:
    """The patches and projections of one unit's strongest activations.

    Attributes:
        layer: Layer of the unit.
        unit: Number of the unit.
        top: The n strongest activations, descending; none for a dead unit.
        patches: uint8 (n, h, w, 3), the pictures in the unit's windows, grey beyond their edges.
        projections: (n, C, h, w) signed, in normalised input units, on the CPU.
        boxes: The n windows, in pixels of their pictures.
    """

    layer: str
    unit: int
    top: tuple[TopActivation, ...]
    patches: Pixels
    projections: Tensor
    boxes: tuple[Box, ...]

    def __len__(self) -> int:
        return len(self.top)

    @property
    def shown(self) -> Pixels:
        """The projections as pixels, uint8 (n, h, w, 3), each at its own scale."""
        return display(self.projections) if len(self) else self.patches


def render_units(
    atlas: Atlas,
    bundle: Bundle,
    dataset: Dataset,
    layer: str,
    units: Sequence[int] | None = None,
    *,
    net: Deconvnet | None = None,
    k: int | None = None,
    rule: Rule = "deconvnet",
    max_bytes: int = 2**29,
) -> Iterator[UnitTiles]:
    """Project the strongest activations of many units back to pixels, unit by unit.

    Zeiler & Fergus (2014), arXiv:1311.2901, figure 2. Only the pictures of these activations are
    recorded, up to the layer; many units are projected at once.

    Args:
        atlas: Atlas of the network and the data set.
        bundle: Network; it runs on the device it is on.
        dataset: Pictures of the atlas.
        layer: Layer of the atlas.
        units: Numbers of units; by default all of the layer.
        net: Deconvnet of the network, if there is one already.
        k: Number of activations for each unit; by default all that the atlas has.
        rule: Rule of the projections.
        max_bytes: Approximate limit on the memory of recordings, and again of projections.

    Yields:
        One sheet per unit, in the order given; all windows of a layer have one size.

    Raises:
        AtlasError: The atlas is of another network or of other pictures.
        UnknownLayerError: The atlas does not have this layer.
        SelectionError: The layer does not have such a unit.
    """
    atlas.check(bundle, dataset)
    chosen = range(len(atlas[layer])) if units is None else units
    top = [(unit, tuple(atlas.top(layer, unit)[:k])) for unit in chosen]
    net = net or Deconvnet(bundle.model, bundle.input_size)
    if layer not in net.layers:
        raise unknown_layer(layer, net.layers, f"`{bundle.name}`")
    drawer = _Drawer(bundle, net, dataset, layer, rule, max_bytes)
    batch = drawer.max_pictures() // (k or atlas.header.k) or 1
    batches = (top[first : first + batch] for first in range(0, len(top), batch))
    return chain.from_iterable(map(drawer.draw, batches))


def render_places(
    bundle: Bundle,
    dataset: Dataset,
    layer: str,
    unit: int,
    top: Sequence[TopActivation],
    *,
    net: Deconvnet | None = None,
    rule: Rule = "deconvnet",
    max_bytes: int = 2**29,
) -> UnitTiles:
    """Project one unit from some places in pictures; as `render_units`, in the order given.

    Raises:
        UnknownLayerError: The network has no such layer.
        SelectionError: The layer does not have such a unit or place.
    """
    net = net or Deconvnet(bundle.model, bundle.input_size)
    drawer = _Drawer(bundle, net, dataset, layer, rule, max_bytes)
    (tiles,) = drawer.draw([(unit, tuple(top))])
    return tiles


@dataclass(frozen=True)
class _Drawer:
    """Draws units of one layer, in batches."""

    bundle: Bundle
    net: Deconvnet
    dataset: Dataset
    layer: str
    rule: Rule
    max_bytes: int

    def max_pictures(self) -> int:
        """Approximate number of pictures that one recording may have."""
        _, height, width = self.bundle.input_size
        names = list(self.net.layers)
        below = [self.net.layers[name] for name in names[: names.index(self.layer) + 1]]
        floats = sum(one.channels * one.size[0] * one.size[1] for one in below)
        larger = self.dataset.images[0, 0].numel() / (height * width)
        return int(self.max_bytes / (4 * floats * larger))

    def draw(self, units: Sequence[tuple[int, tuple[TopActivation, ...]]]) -> Iterator[UnitTiles]:
        rows = [(unit, activation) for unit, top in units for activation in top]
        pixels, boxes = self._project(rows)
        patches = self._patches(rows, boxes, pixels)
        done = 0
        for unit, top in units:
            mine = slice(done, done + len(top))
            done = mine.stop
            yield UnitTiles(self.layer, unit, top, patches[mine], pixels[mine], tuple(boxes[mine]))

    def _project(self, rows: Sequence[tuple[int, TopActivation]]) -> tuple[Tensor, list[Box]]:
        if not rows:
            return torch.empty(0, self.bundle.preprocessing.channels, 1, 1), []
        pictures = torch.tensor([activation.picture for _, activation in rows])
        needed, image = torch.unique(pictures, return_inverse=True)
        weight = weight_of(self.bundle.model)
        images = self.dataset.images[needed].to(weight.device)
        images = self.bundle.preprocessing.normalised(images).to(weight.dtype)
        recording = self.net.record(images, [self.layer])
        selection = Selection(
            self.layer,
            image,
            [unit for unit, _ in rows],
            [activation.y for _, activation in rows],
            [activation.x for _, activation in rows],
        )
        projection = self.net.project(
            recording, selection, rule=self.rule, max_bytes=self.max_bytes
        )
        return projection.pixels.cpu(), list(map(tuple, projection.boxes.tolist()))

    def _patches(
        self, rows: Sequence[tuple[int, TopActivation]], boxes: Sequence[Box], like: Tensor
    ) -> Pixels:
        """The part of each picture in its window."""
        seen = np.empty((len(rows), *like.shape[2:], 3), np.uint8)
        for place, ((_, activation), box) in enumerate(zip(rows, boxes, strict=True)):
            seen[place] = crop(_colours(self.dataset.images[activation.picture]), box)
        return seen


def _colours(picture: Tensor) -> Pixels:
    """A picture (C, H, W) as uint8 (H, W, 3); any number of channels but three is its mean."""
    if len(picture) != 3:
        picture = picture.float().mean(0, keepdim=True).round().byte().expand(3, -1, -1)
    pixels: Pixels = picture.permute(1, 2, 0).cpu().numpy()
    return pixels


def grid_of(
    tiles: Sequence[Pixels] | Pixels, count: int, side: int = _SIDE, *, crisp: bool = False
) -> Pixels:
    """A unit's tiles row by row in a square for `count` of them; empty places are transparent."""
    gap, columns = max(1, side // 80), math.ceil(math.sqrt(count))
    return mosaic(tiles, columns, gap, side, places=count, crisp=crisp)


def unit_figure(
    sheets: Sequence[UnitTiles],
    atlas: Atlas,
    rule: Rule = "deconvnet",
    columns: int = _COLUMNS,
    ink: str = NEUTRAL_INK,
) -> Figure:
    """Patches beside projections, unit by unit, as in Zeiler & Fergus (2014), figure 2.

    Args:
        sheets: Sheets of one layer, from `render_units`; dead units are named in the caption.
        atlas: Atlas that they come from.
        rule: Rule of the projections.
        columns: Number of units in a row.
        ink: Colour of the text; the background is transparent.

    Returns:
        Figure without pyplot state, with the activations above each unit.
    """
    count = atlas.header.k
    alive = [sheet for sheet in sheets if len(sheet)]
    cells = [[grid_of(sheet.patches, count), grid_of(sheet.shown, count)] for sheet in alive]
    titles = [
        f"unit {sheet.unit}: " + ", ".join(f"{one.value:.3g}" for one in sheet.top)
        for sheet in alive
    ]
    inches = _INCHES * (2 if len(alive) == 1 else 1)
    caption = _caption(sheets, atlas, rule)
    return contact_sheet(cells, titles, caption, columns, ink, side=inches)


def _caption(sheets: Sequence[UnitTiles], atlas: Atlas, rule: Rule) -> str:
    head, dead = atlas.header, [str(sheet.unit) for sheet in sheets if not len(sheet)]
    layer = sheets[0].layer if sheets else "no layer"
    sentences = [f"{head.network}, {layer}: {head.pictures} pictures ({head.data})."]
    if len(dead) < len(sheets):
        sentences.append(
            "For each unit, on the left, what it sees of the pictures that excite it most, row by "
            "row from the strongest; above them its activations there. On the right, their "
            f"projections, rule {rule}. {display_caption()}"
        )
    if dead:
        several = len(dead) > 1
        sentences.append(
            f"Unit{'s' * several} {', '.join(dead)} {'are' if several else 'is'} dead: never above "
            "zero in these pictures."
        )
    return " ".join(sentences)


def histogram_figure(
    counts: Sequence[int], ink: str = NEUTRAL_INK, width: float = 4.8, height: float = 2.2
) -> Figure:
    """Histogram of a unit's peak in each picture, two bins per octave.

    Args:
        counts: A row of `Units.histogram`; the first bin, of inactive pictures, is not drawn.
        ink: Colour of lines and text.
        width: Width in inches.
        height: Height in inches.
    """
    figure, axes = plot(width, height, ink)
    active = np.asarray(counts[1:], np.int64)
    filled = np.flatnonzero(active)
    if len(filled):
        shown = slice(filled[0], filled[-1] + 1)
        # The last bin has no upper edge; it is drawn as wide as the others.
        edges = np.array([*EDGES, EDGES[-1] * 2**0.5])
        left, right = edges[:-1][shown], edges[1:][shown]
        axes.bar(left, active[shown], right - left, align="edge", color=ACCENTS[0], linewidth=0)
        axes.set_xscale("log", base=2)
        axes.set_xlim(left[0], right[-1])
        axes.xaxis.set_major_locator(LogLocator(base=2, numticks=_TICKS))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.3g}")
    axes.set_xlabel("the unit's peak in a picture")
    axes.set_ylabel("pictures")
    return figure
