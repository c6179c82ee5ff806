"""Possible faults of a layer: each finding with its numbers and its units."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from deconvviz.analysis.kernels import NYQUIST_CHANCE, Kernels
from deconvviz.atlas import Units
from deconvviz.deconv import Box
from deconvviz.io.preprocess import Pixels
from deconvviz.schema import NonNegative, validated


@validated
class DiagnosisOptions:
    """Thresholds beyond which something is a finding, and a known atlas."""

    atlas: str = ""
    """Folder of an atlas of the same pictures, with statistics; by default a new one is built."""
    rare_threshold: NonNegative = 0.01
    """A unit is rare if it is active in less than this fraction of the pictures."""
    dominance_threshold: Annotated[float, Field(ge=1)] = 3.0
    """A kernel is dominant if its RMS is above this multiple of its layer's median."""
    loudness_threshold: Annotated[float, Field(ge=1)] = 6.0
    """A unit is loud if its mean activation is above this multiple of its layer's median."""
    duplicate_threshold: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Two kernels are duplicates if their cosine is above this."""
    nyquist_threshold: NonNegative = 1.25
    """A layer has high frequencies if its energy near Nyquist is above this multiple of chance."""
    aliasing_threshold: NonNegative = 0.5
    """A stride is too large if it aliases more than this fraction of the kernels' energy."""
    edges_threshold: NonNegative = 0.5
    """A layer sees little but edges if their R² for its median unit is above this."""
    selectivity_threshold: NonNegative = 0.9
    """A unit is class-specific if its selectivity is above this."""


@dataclass(frozen=True, eq=False)
class LayerStats:
    """All that was measured of a layer.

    Attributes:
        depth: Position among the measured layers, from 0 for the first to 1 for the last.
        units: The atlas's statistics of its C units.
        is_labelled: Whether `classes` are the network's own.
        kernels: Kernels of its convolution; None where no module holds them.
        edges: (C,) R squared of edges; None where units see the whole picture.
    """

    layer: str
    depth: float
    units: Units
    classes: tuple[str, ...]
    is_labelled: bool
    kernels: Kernels | None
    edges: Tensor | None

    @property
    def activation_frequency(self) -> Tensor:
        """(C,) share of the pictures in which each unit is above zero."""
        return _known(self.units.activation_frequency)

    def rare(self, options: DiagnosisOptions) -> Tensor:
        """(C,) bool: units that are active in few pictures, but not dead."""
        frequency = self.activation_frequency
        return (frequency > 0) & (frequency < options.rare_threshold)


@dataclass(frozen=True, eq=False)
class Evidence:
    """The numbers that a finding's picture shows.

    Attributes:
        kind: "patches" and projections of one unit; "kernels" of several units; "slices" of one
            unit's kernel; or the "activation_frequency" of all units.
        values: (n, channels, h, w) projections, kernels or slices; or (C,) frequencies.
        numbers: Numbers of the shown units, or of the input maps of slices.
        pictures: uint8 (n, H, W, 3), pictures of patches; None for other kinds.
        boxes: Windows of the unit in these pictures.
    """

    kind: Literal["patches", "kernels", "slices", "activation_frequency"]
    values: Tensor
    numbers: tuple[int, ...]
    pictures: Pixels | None = None
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True, eq=False)
class Finding:
    """Something to act on, or at least to know.

    Attributes:
        share: Affected share of the layer, in [0, 1]; findings are sorted by share.
        units: Units concerned, the clearest case first.
        total: Number of units of the layer.
        values: Further numbers of this kind of finding, with the chance level where there is one.
        evidence: Numbers that its picture shows; None before they are gathered.
    """

    kind: str
    layer: str
    share: float
    units: tuple[int, ...]
    total: int
    values: Mapping[str, Any]
    evidence: Evidence | None = None


def findings(stats: LayerStats, options: DiagnosisOptions | None = None) -> Iterator[Finding]:
    """Everything that is beyond its threshold in one layer."""
    every = (_dead, _rare, _dominant, _loud, _high_frequency, _aliased, _duplicate)
    for find in (*every, _edges, _class_specific):
        if found := find(stats, options or DiagnosisOptions()):
            yield found


def _finding(
    kind: str,
    stats: LayerStats,
    mask: Tensor,
    order: Tensor,
    share: float | None = None,
    **values: Any,
) -> Finding | None:
    """A finding of the units of a mask, by falling `order`; by default with their share."""
    ranked = order.argsort(descending=True, stable=True)
    units = tuple(ranked[mask[ranked]].tolist())
    if not units and share is None:
        return None
    share = len(units) / len(mask) if share is None else share
    return Finding(kind, stats.layer, share, units, len(mask), values)


def _dead(stats: LayerStats, _: DiagnosisOptions) -> Finding | None:
    return _finding("dead", stats, stats.units.dead, stats.units.dead)


def _rare(stats: LayerStats, options: DiagnosisOptions) -> Finding | None:
    return _finding("rare", stats, stats.rare(options), -stats.activation_frequency)


def _dominant(stats: LayerStats, options: DiagnosisOptions) -> Finding | None:
    if stats.kernels is None:
        return None
    mask = stats.kernels.dominant(options.dominance_threshold)
    share = float(stats.kernels.share[mask].sum())
    return _finding("dominant", stats, mask, stats.kernels.rms, share) if mask.any() else None


def _loud(stats: LayerStats, options: DiagnosisOptions) -> Finding | None:
    mean = _known(stats.units.mean)
    active = mean[mean > 0]
    if not len(active):
        return None
    mask = mean > options.loudness_threshold * active.median()
    share = float(mean[mask].sum() / active.sum())
    return _finding("loud", stats, mask, mean, share) if mask.any() else None


def _high_frequency(stats: LayerStats, options: DiagnosisOptions) -> Finding | None:
    kernels = stats.kernels
    if kernels is None or max(kernels.stride) > 1 or max(kernels.weights.shape[2:]) < 3:
        return None
    energy, chance = kernels.near_nyquist, NYQUIST_CHANCE
    share = float(energy.mean())
    if share <= options.nyquist_threshold * chance:
        return None
    return _finding("high_frequency", stats, energy > chance, energy, share, chance=chance)


def _aliased(stats: LayerStats, options: DiagnosisOptions) -> Finding | None:
    kernels = stats.kernels
    if kernels is None or max(kernels.stride) == 1:
        return None
    aliased, threshold = kernels.aliased, options.aliasing_threshold
    share = float(aliased.mean())
    if share <= threshold:
        return None
    values = {"chance": kernels.aliased_by_chance, "stride": kernels.stride}
    return _finding("aliased", stats, aliased > threshold, aliased, share, **values)


def _duplicate(stats: LayerStats, options: DiagnosisOptions) -> Finding | None:
    if stats.kernels is None or len(stats.kernels) < 2:
        return None
    nearest, cosine = stats.kernels.nearest
    # A kernel and its negative are no duplicates: behind a rectifier they answer to opposites.
    found = _finding("duplicate", stats, cosine > options.duplicate_threshold, cosine)
    if found is None:
        return None
    first, second = found.units[0], int(nearest[found.units[0]])
    units = (first, second, *(unit for unit in found.units[1:] if unit != second))
    values = {"cosine": float(cosine[first]), "count": len(found.units)}
    return replace(found, units=units, values=values)


def _edges(stats: LayerStats, options: DiagnosisOptions) -> Finding | None:
    if stats.edges is None or stats.depth < 0.5:
        return None  # first layers should see edges
    share, threshold = float(stats.edges.median()), options.edges_threshold
    if share <= threshold:
        return None
    return _finding("edges", stats, stats.edges > threshold, stats.edges, share)


def _class_specific(stats: LayerStats, options: DiagnosisOptions) -> Finding | None:
    selectivity, preferred = stats.units.selectivity, stats.units.preferred
    if not stats.is_labelled or selectivity is None or preferred is None or stats.depth >= 1:
        return None
    mask = (selectivity > options.selectivity_threshold) & ~stats.units.dead
    found = _finding("class_specific", stats, mask, selectivity)
    if found is None:
        return None
    return replace(found, values={"class": stats.classes[int(preferred[found.units[0]])]})


def table_row(
    stats: LayerStats, options: DiagnosisOptions | None = None
) -> dict[str, float | int | str | None]:
    """The layer's numbers, findings or not."""
    chosen = options or DiagnosisOptions()
    units, kernels, selectivity = stats.units, stats.kernels, stats.units.selectivity
    return {
        "layer": stats.layer,
        "units": len(units),
        "dead": int(units.dead.sum()),
        "rare": int(stats.rare(chosen).sum()),
        "median_activation_frequency": float(stats.activation_frequency.median()),
        "dominant": None
        if kernels is None
        else int(kernels.dominant(chosen.dominance_threshold).sum()),
        "near_nyquist": None if kernels is None else float(kernels.near_nyquist.mean()),
        "aliased": float(kernels.aliased.mean()) if kernels and max(kernels.stride) > 1 else None,
        "duplicates": int((kernels.nearest[1] > chosen.duplicate_threshold).sum())
        if kernels and len(kernels) > 1
        else None,
        "median_explained_by_edges": None if stats.edges is None else float(stats.edges.median()),
        "class_specific": int((selectivity > chosen.selectivity_threshold).sum())
        if stats.is_labelled and selectivity is not None
        else None,
    }


def _known(values: Tensor | None) -> Tensor:
    if values is None:
        raise ValueError("the atlas has no statistics")
    return torch.as_tensor(values)
