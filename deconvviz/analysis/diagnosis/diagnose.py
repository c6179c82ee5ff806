"""Look at every layer of a network and say what is wrong with it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from deconvviz.analysis.diagnosis.edges import edge_share
from deconvviz.analysis.diagnosis.findings import LIMITS, Finding, LayerStats, findings, table_row
from deconvviz.analysis.kernels import Kernels, kernels_of
from deconvviz.analysis.result import Result
from deconvviz.atlas import Atlas, build_atlas
from deconvviz.deconv import Deconvnet
from deconvviz.errors import AtlasError, DataError, UnsupportedOperationError
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset
from deconvviz.io.files import write_atomically
from deconvviz.io.images import to_png
from deconvviz.plots.atlas import draw_units, grid_of
from deconvviz.plots.display import display
from deconvviz.plots.figures import ACCENTS, NEUTRAL_INK, Pixels, figure_png, mosaic, plot
from deconvviz.progress import Progress

__all__ = ["Diagnosis", "Illustrated", "diagnose"]

_FOR_EDGES = 256  # pictures
_KERNELS = 36  # shown at most
_SIDE = 64  # pixels of a kernel or a patch
_CURVES = {
    "dead": ("share of dead units", "-"),
    "near Nyquist": ("kernels' energy near Nyquist", ":"),
    "told by edges, median": ("variance told by edges, median unit", "--"),
}


@dataclass(frozen=True)
class Illustrated:
    """A finding with its picture.

    Attributes:
        finding: What it is.
        picture: A PNG file.
        alt: What the picture shows, in words.
    """

    finding: Finding
    picture: bytes
    alt: str


@dataclass(frozen=True)
class Diagnosis(Result):
    """What looking at a network showed.

    Attributes:
        network: Its name.
        data: What the pictures are, and how many.
        layers: A row of numbers for each layer, the lowest first.
        found: What is beyond its limit, the largest share of a layer first.
    """

    network: str
    data: str
    layers: tuple[Mapping[str, Any], ...]
    found: tuple[Illustrated, ...]
    name = "diagnosis"

    def to_dict(self) -> dict[str, Any]:
        """The numbers of every layer, every finding in words, and the limits."""
        return {
            "network": self.network,
            "data": self.data,
            "limits": asdict(LIMITS),
            "layers": [dict(row) for row in self.layers],
            "findings": [asdict(one.finding) for one in self.found],
        }

    def summary(self) -> str:
        """How much was found, and where."""
        told = f"{self.network}, {len(self.layers)} layers, on {self.data}: "
        if not self.found:
            return told + "nothing is beyond its limit."
        count = len(self.found)
        first = "; ".join(
            f"{one.finding.kind.lower()} in {one.finding.layer}" for one in self.found[:5]
        )
        more = f" and {count - 5} more" if count > 5 else ""
        return f"{told}{count} finding{'s' * (count > 1)}: {first}{more}."

    def figure(self, ink: str = NEUTRAL_INK) -> Figure:
        """What changes with depth, layer by layer."""
        figure, axes = plot(6.4, 3.4, ink)
        names = [str(row["layer"]) for row in self.layers]
        colours = (ACCENTS[0], ACCENTS[1], ink)
        for (key, (label, style)), colour in zip(_CURVES.items(), colours, strict=True):
            values = [_share(row, key) for row in self.layers]
            axes.plot(names, values, style, color=colour, marker="o", markersize=3, label=label)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_ylim(0, 1)
        axes.tick_params(axis="x", rotation=60)
        axes.legend(frameon=False, labelcolor=ink, fontsize=8, loc="upper right")
        return figure

    def save(self, folder: Path) -> tuple[Path, Path]:
        """Write numbers, figure, and `folder/diagnosis.html`, the page for people."""
        from deconvviz.analysis.diagnosis.page import page

        write_atomically(folder / "diagnosis.html", page(self))
        return super().save(folder)


def diagnose(
    bundle: Bundle,
    dataset: Dataset,
    *,
    atlas: Atlas | None = None,
    net: Deconvnet | None = None,
    progress: Progress | None = None,
) -> Diagnosis:
    """Say what is wrong with a network, as far as looking at it shows.

    Which units are dead, rare, loud or for one class; which kernels dominate, are double or have
    high frequencies, and which stride folds these; which layers see little but edges. Zeiler &
    Fergus (2014), arXiv:1311.2901, section 4.1, looked at AlexNet so, and changed it.
    `LIMITS` says from where on something is a finding.

    Args:
        bundle: The network, on the CPU.
        dataset: At least two pictures of its size; labels count where the classes are its own.
        atlas: Of these pictures, with statistics, where there is one already.
        net: The network's deconvnet, where there is one already.
        progress: Told how many pictures of the sweep are done.

    Raises:
        DataError: There are fewer than two pictures, or they do not fit the network.
        AtlasError: The atlas is of something else, or has no statistics.
    """
    if len(dataset) < 2:
        raise DataError(f"{len(dataset)} pictures show too little; give at least two")
    net = net or Deconvnet(bundle.model, bundle.input_size)
    if atlas is None:
        k = min(9, len(dataset))
        atlas = build_atlas(bundle, dataset, net=net, k=k, progress=progress)
    atlas.check(bundle, dataset)
    if not atlas.header.statistics:
        raise AtlasError("this atlas has no statistics, which a diagnosis needs; build it with")
    layers = [layer for layer in net.default_layers if layer in atlas.units]
    some = dataset.subset(range(0, len(dataset), -(-len(dataset) // _FOR_EDGES)))
    edges = edge_share(net, bundle, some if len(some) > 1 else dataset, layers)
    everything = [
        LayerStats(
            layer,
            place / max(len(layers) - 1, 1),
            atlas[layer],
            dataset.classes,
            dataset.classes == bundle.classes,
            _kernels(net, layer),
            edges.get(layer),
        )
        for place, layer in enumerate(layers)
    ]
    draw = _Illustrator(bundle, net, dataset, atlas)
    found = [(look, finding) for look in everything for finding in findings(look)]
    found.sort(key=lambda pair: -pair[1].share)
    return Diagnosis(
        bundle.name,
        f"{len(dataset)} pictures ({dataset.title})",
        tuple(table_row(look) for look in everything),
        tuple(draw.illustrated(look, finding) for look, finding in found),
    )


def _kernels(net: Deconvnet, layer: str) -> Kernels | None:
    try:
        return kernels_of(net, layer)
    except UnsupportedOperationError:
        return None


def _share(row: Mapping[str, Any], key: str) -> float:
    value = row[key]
    if value is None:
        return float("nan")
    return value / row["units"] if key == "dead" else float(value)


@dataclass(frozen=True)
class _Illustrator:
    """Draws what each finding speaks of."""

    bundle: Bundle
    net: Deconvnet
    dataset: Dataset
    atlas: Atlas

    def illustrated(self, looked: LayerStats, finding: Finding) -> Illustrated:
        if finding.shows == "patches":
            return self._patches(finding)
        if finding.shows == "kernels" and looked.kernels is not None:
            return _kernel_sheet(finding, looked.kernels)
        return _bars(finding, looked)

    def _patches(self, finding: Finding) -> Illustrated:
        """The first unit's strongest patches beside their projections."""
        first = finding.units[:1]
        (sheet,) = draw_units(
            self.atlas, self.bundle, self.dataset, finding.layer, first, net=self.net
        )
        count = self.atlas.header.k
        pair = [grid_of(tiles, count, _SIDE) for tiles in (sheet.patches, sheet.shown)]
        gap = np.zeros((pair[0].shape[0], 12, 4), np.uint8)
        alt = f"What excites unit {first[0]} of {finding.layer} most, and its projections"
        return Illustrated(finding, to_png(np.concatenate([pair[0], gap, pair[1]], axis=1)), alt)


def _kernel_sheet(finding: Finding, kernels: Kernels) -> Illustrated:
    """The units' kernels in colour, or the first unit's on its strongest maps in grey."""
    if kernels.weights.shape[1] == 3:
        tiles: Sequence[Pixels] = list(display(kernels.weights[list(finding.units[:_KERNELS])]))
        alt = f"Kernels of units {', '.join(map(str, finding.units[:_KERNELS]))}"
    else:
        unit = finding.units[0]
        maps, slices, _ = kernels.strongest_slices(unit, _KERNELS)
        tiles = list(display(slices, scale="shared"))
        alt = f"The largest kernels of unit {unit}, on maps {', '.join(map(str, maps))}"
    return Illustrated(finding, to_png(mosaic(tiles, 9, gap=4, side=_SIDE)), alt)


def _bars(finding: Finding, looked: LayerStats) -> Illustrated:
    """How often each unit fires, by falling frequency."""
    fires = looked.units.activation_frequency
    values = [] if fires is None else fires.sort(descending=True).values.tolist()
    figure, axes = plot(4.8, 2.2)
    axes.bar(range(len(values)), values, width=1, color=ACCENTS[1])
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_ylabel("pictures it fires in")
    axes.set_xlabel("units, by falling frequency")
    return Illustrated(
        finding, figure_png(figure, dpi=150), f"How often each unit of {looked.layer} fires"
    )
