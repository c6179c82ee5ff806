"""Measure every layer of a network and find what is wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deconvviz.analysis.diagnosis.edges import explained_by_edges
from deconvviz.analysis.diagnosis.findings import (
    DiagnosisOptions,
    Evidence,
    Finding,
    LayerStats,
    findings,
    table_row,
)
from deconvviz.analysis.inputs import title_of
from deconvviz.analysis.kernels import Kernels, kernels_of
from deconvviz.analysis.registry import Analysis
from deconvviz.analysis.result import Result
from deconvviz.atlas import Atlas, build_atlas, load_atlas
from deconvviz.deconv import Deconvnet, Selection
from deconvviz.errors import AtlasError, UnsupportedOperationError
from deconvviz.io.bundle import Bundle, check_dataset
from deconvviz.io.data import Dataset
from deconvviz.io.files import write_atomically
from deconvviz.progress import Progress
from deconvviz.views import view

_FOR_EDGES = 256  # pictures
_SHOWN = 36  # kernels or slices


@dataclass(frozen=True, eq=False)
class Diagnosis(Result):
    """Faults of a network, as far as its units and kernels show them.

    Attributes:
        data: Number of pictures and title of the data.
        k: Patches of a unit, at most.
        layers: A row of numbers for each layer, lowest first.
        findings: Findings, the largest share of a layer first.
    """

    network: str
    data: str
    k: int
    layers: tuple[Mapping[str, Any], ...]
    findings: tuple[Finding, ...]
    options: DiagnosisOptions
    name = "diagnosis"
    omitted = ("evidence", "atlas")

    def save(self, folder: Path) -> tuple[Path, ...]:
        """Write numbers, figure, and `folder/diagnosis.html`, a page of all findings."""
        page = folder / f"{self.name}.html"
        write_atomically(page, view("diagnosis.page")(self))
        return *super().save(folder), page


def diagnose(
    bundle: Bundle,
    dataset: Dataset,
    options: DiagnosisOptions | None = None,
    *,
    atlas: Atlas | None = None,
    net: Deconvnet | None = None,
    progress: Progress | None = None,
) -> Diagnosis:
    """Find what is wrong with a network, as far as its units and kernels show.

    Dead, rare, loud and class-specific units; dominant, duplicate and high-frequency kernels;
    strides that alias; deep layers that see little but edges. Zeiler & Fergus (2014),
    arXiv:1311.2901, section 4.1, looked at AlexNet in this way, and changed it.

    The network is on the CPU; the data set has at least two pictures of its size, and labels count
    if the classes are the network's own. `atlas` is one of these pictures with statistics, where
    there is one already; other arguments are as in `Inputs`.

    Raises:
        DataError: There are fewer than two pictures, or they do not fit the network.
        AtlasError: The atlas is of something else, or has no statistics.
    """
    chosen = options or DiagnosisOptions()
    check_dataset(bundle, dataset, least=2)
    net = net or Deconvnet(bundle.model, bundle.input_size)
    if atlas is None:
        k = min(9, len(dataset))
        atlas = (
            load_atlas(Path(chosen.atlas))
            if chosen.atlas
            else build_atlas(bundle, dataset, net=net, k=k, progress=progress)
        )
    atlas.check(bundle, dataset)
    if not atlas.header.statistics:
        raise AtlasError(
            "this atlas has no statistics, which a diagnosis needs; build it with them"
        )
    layers = [layer for layer in net.default_layers if layer in atlas.units]
    some = dataset.subset(range(0, len(dataset), -(-len(dataset) // _FOR_EDGES)))
    edges = explained_by_edges(net, bundle, some if len(some) > 1 else dataset, layers)
    stats = [
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
    found = [
        replace(finding, evidence=_evidence(bundle, net, dataset, one, finding))
        for one in stats
        for finding in findings(one, chosen)
    ]
    return Diagnosis(
        network=bundle.name,
        data=title_of(dataset),
        k=atlas.header.k,
        layers=tuple(table_row(one, chosen) for one in stats),
        findings=tuple(sorted(found, key=lambda finding: -finding.share)),
        options=chosen,
    )


def _kernels(net: Deconvnet, layer: str) -> Kernels | None:
    try:
        return kernels_of(net, layer)
    except UnsupportedOperationError:
        return None


def _evidence(
    bundle: Bundle, net: Deconvnet, dataset: Dataset, stats: LayerStats, finding: Finding
) -> Evidence:
    """The frequencies of dead units, kernels where they are the fault, else patches."""
    shown, kernels = finding.units[:_SHOWN], stats.kernels
    if finding.kind == "dead":
        return Evidence("activation_frequency", stats.activation_frequency, ())
    if finding.kind in ("rare", "loud", "edges", "class_specific") or kernels is None:
        return _patches(bundle, net, dataset, stats, finding.units[0])
    if kernels.weights.shape[1] == 3:
        return Evidence("kernels", kernels.weights[list(shown)], shown)
    maps, slices, _ = kernels.strongest_slices(shown[0], _SHOWN)
    return Evidence("slices", slices, tuple(maps))


def _patches(
    bundle: Bundle, net: Deconvnet, dataset: Dataset, stats: LayerStats, unit: int
) -> Evidence:
    """A unit's strongest activations: their pictures, windows and projections."""
    known = stats.units.picture[unit] >= 0
    columns = (stats.units.picture, stats.units.y, stats.units.x)
    picture, y, x = (column[unit][known] for column in columns)
    images = bundle.preprocessing.normalised(dataset.images[picture])
    recording = net.record(images, [stats.layer])
    selection = Selection(stats.layer, range(len(picture)), unit, y, x)
    projection = net.project(recording, selection)
    boxes = tuple(map(tuple, projection.boxes.tolist()))
    pictures = bundle.preprocessing.pixels(images)
    return Evidence("patches", projection.pixels.cpu(), (unit,), pictures, boxes)


ANALYSIS = Analysis(
    title="Diagnosis",
    question="What is wrong with a network? Dead, rare and class-specific units, dominant and "
    "duplicate kernels, aliasing strides, deep layers that see little but edges.",
    source="Section 4.1",
    needs=("network", "dataset"),
    function=diagnose,
    defaults={"count": 0, "split": "test"},
    is_slow=True,
)
