"""What may be wrong with a layer, each with its number, its units and what people do about it."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from deconvviz.analysis.filters import NYQUIST_BAND, NYQUIST_CHANCE
from deconvviz.analysis.kernels import Kernels
from deconvviz.atlas import Units

__all__ = ["LIMITS", "Finding", "LayerStats", "findings", "table_row"]


@dataclass(frozen=True)
class Limits:
    """From where on something is a finding.

    Attributes:
        rare: A unit that fires in a smaller share of the pictures hardly ever does.
        outsized: A kernel dominates whose RMS is above so many times its layer's median; a unit,
            whose mean activation is.
        alike: Two kernels are one whose cosine is above this.
        nyquist: A layer is noisy whose kernels have so many times the energy near Nyquist that
            random ones have.
        folded: A stride is too large if so much of the kernels' energy lies above what it carries.
        edges: Edges say so much (R squared) of at least half of a layer's units: it sees little
            but edges.
        selective: A unit answers to one class alone above this selectivity.
    """

    rare: float = 0.01
    outsized: float = 3.0
    alike: float = 0.95
    nyquist: float = 1.25
    folded: float = 0.5
    edges: float = 0.5
    selective: float = 0.9


LIMITS = Limits()


@dataclass(frozen=True, eq=False)
class LayerStats:
    """All that was measured of a layer.

    Attributes:
        layer: Its name.
        depth: Where it stands among the layers looked at, from 0 for the first to 1 for the last.
        units: What the atlas knows of its C units, with statistics.
        classes: The classes of the pictures.
        is_labelled: Whether these are the network's own classes, not, say, names of photographs.
        kernels: Of its convolution; None where no module holds them.
        edges: (C,) R squared of edges; None where units see the whole picture.
    """

    layer: str
    depth: float
    units: Units
    classes: tuple[str, ...]
    is_labelled: bool
    kernels: Kernels | None
    edges: Tensor | None


@dataclass(frozen=True)
class Finding:
    """Something to act on, or at least to know.

    Attributes:
        kind: What it is, in a few words.
        layer: Where.
        share: How much of the layer it concerns, in [0, 1]; findings are sorted by it.
        told: The number in words, beside what chance or a healthy layer gives.
        advice: What people do about it.
        units: The units concerned, the clearest case first.
        shows: What its picture should be: the units' "patches" or "kernels", or the layer's bars
            of a quantity of `LayerStats.units`, "fires".
    """

    kind: str
    layer: str
    share: float
    told: str
    advice: str
    units: tuple[int, ...]
    shows: str


def findings(looked: LayerStats) -> Iterator[Finding]:
    """Everything that is beyond its limit in one layer."""
    for find in (_dead, _rare, _dominant, _loud, _noisy, _folded, _twins, _edges, _selective):
        yield from find(looked)


def _chosen(mask: Tensor, order: Tensor) -> tuple[int, ...]:
    """The units of a mask, by falling `order`."""
    ranked = order.argsort(descending=True, stable=True)
    return tuple(ranked[mask[ranked]].tolist())


def _of(units: tuple[int, ...], total: int, one: str, several: str) -> str:
    """So many of so many units, with the verb that goes with their number."""
    return f"{len(units)} of {total} units {one if len(units) == 1 else several}"


def _dead(looked: LayerStats) -> Iterator[Finding]:
    dead = looked.units.dead
    units = _chosen(dead, dead)
    if units:
        yield Finding(
            "Dead units",
            looked.layer,
            len(units) / len(dead),
            f"{_of(units, len(dead), 'was', 'were')} not once above zero.",
            "They cost work and give nothing, so they can be cut out without any change on these "
            "pictures. To avoid them: a lower peak rate or a longer warm-up, BatchNorm before the "
            "rectifier, He's initial weights, or a rectifier that leaks. Look first whether other "
            "pictures wake them.",
            units,
            "fires",
        )


def _rare(looked: LayerStats) -> Iterator[Finding]:
    fires = _known(looked.units.activation_frequency)
    mask = (fires > 0) & (fires < LIMITS.rare)
    units = _chosen(mask, -fires)
    if units:
        yield Finding(
            "Units that hardly ever fire",
            looked.layer,
            len(units) / len(fires),
            f"{_of(units, len(fires), 'is', 'are')} "
            f"above zero in fewer than {LIMITS.rare:.0%} of the "
            "pictures.",
            "Look at their patches: a rare but real thing is fine; a single odd picture, a "
            "watermark or a border is learnt by heart. More varied data or stronger augmentation "
            "helps against that.",
            units,
            "patches",
        )


def _dominant(looked: LayerStats) -> Iterator[Finding]:
    if looked.kernels is None:
        return
    rms = looked.kernels.rms
    units = _chosen(rms > LIMITS.outsized * rms.median(), rms)
    if units:
        share = float(looked.kernels.share[list(units)].sum())
        yield Finding(
            "Dominant kernels",
            looked.layer,
            share,
            f"{_of(units, len(rms), 'has', 'have')} "
            f"kernels more than {LIMITS.outsized:g} times as large as "
            f"the median; they hold {share:.0%} of the layer's squared weights, where an equal "
            f"share would be {len(units) / len(rms):.0%}.",
            "Zeiler and Fergus kept every kernel's root mean square at 0.1 or below while training "
            "(--max-kernel-rms 0.1); weight decay and normalised inputs work in the same direction.",
            units,
            "kernels",
        )


def _loud(looked: LayerStats) -> Iterator[Finding]:
    mean = _known(looked.units.mean)
    alive = mean[mean > 0]
    if not len(alive):
        return
    units = _chosen(mean > 2 * LIMITS.outsized * alive.median(), mean)
    if units:
        share = float(mean[list(units)].sum() / alive.sum())
        yield Finding(
            "Loud units",
            looked.layer,
            share,
            f"{_of(units, len(mean), 'is', 'are')} "
            f"on average more than {2 * LIMITS.outsized:g} times as "
            f"active as the median unit; they make {share:.0%} of the layer's activity.",
            "If their patches have nothing in common they act as a bias: the layers above see "
            "little else. BatchNorm, weight decay or a limit on kernels' size evens them out.",
            units,
            "patches",
        )


def _noisy(looked: LayerStats) -> Iterator[Finding]:
    kernels = looked.kernels
    if kernels is None or max(kernels.stride) > 1 or max(kernels.weights.shape[2:]) < 3:
        return
    nyquist = kernels.energy_above(NYQUIST_BAND, NYQUIST_BAND)
    share = float(nyquist.mean())
    if share > LIMITS.nyquist * NYQUIST_CHANCE:
        yield Finding(
            "Kernels of high frequencies",
            looked.layer,
            share,
            f"{share:.0%} of the kernels' energy lies near Nyquist; random kernels have "
            f"{NYQUIST_CHANCE:.0%}.",
            "Checkerboards and noise come from too little training or regularisation, or from "
            "subsampling below. Train longer, decay weights more, or blur before subsampling.",
            _chosen(nyquist > NYQUIST_CHANCE, nyquist),
            "kernels",
        )


def _folded(looked: LayerStats) -> Iterator[Finding]:
    kernels = looked.kernels
    if kernels is None or max(kernels.stride) == 1:
        return
    folded = kernels.folded
    share, down, across = float(folded.mean()), *kernels.stride
    if share > LIMITS.folded:
        yield Finding(
            "A stride that aliases",
            looked.layer,
            share,
            f"{share:.0%} of the kernels' energy lies at frequencies that a stride of {down} x "
            f"{across} folds to lower ones; random kernels have {1 - 1 / (down * across):.0%}.",
            "Zeiler and Fergus cured it by a stride of 2 instead of 4 and kernels of 7 instead of "
            "11 pixels, and gained accuracy. Others blur before they subsample (Zhang 2019, "
            "arXiv:1904.11486).",
            _chosen(folded > LIMITS.folded, folded),
            "kernels",
        )


def _twins(looked: LayerStats) -> Iterator[Finding]:
    if looked.kernels is None or len(looked.kernels) < 2:
        return
    twin, cosine = looked.kernels.twins
    # A kernel and its negative are no duplicates: behind a rectifier they answer to opposites.
    units = _chosen(cosine > LIMITS.alike, cosine)
    if units:
        first, value = units[0], float(cosine[units[0]])
        yield Finding(
            "Duplicate kernels",
            looked.layer,
            len(units) / len(cosine),
            f"{_of(units, len(cosine), 'has', 'have')} "
            f"a twin: a kernel that is theirs but for length "
            f"(cosine above {LIMITS.alike:g}), as {first} and {int(twin[first])} ({value:.3f}).",
            "The layer has more units than it uses. Make it narrower, start it from decorrelated "
            "kernels, or drop whole maps while training.",
            (first, int(twin[first]), *(unit for unit in units[1:] if unit != int(twin[first]))),
            "kernels",
        )


def _edges(looked: LayerStats) -> Iterator[Finding]:
    if looked.edges is None or looked.depth < 0.5:
        return  # what a first layer should see is edges
    share = float(looked.edges.median())
    if share > LIMITS.edges:
        yield Finding(
            "A deep layer that sees little but edges",
            looked.layer,
            share,
            f"The edges in its window, without how they lie to each other, account for {share:.0%} "
            "of the variance of its median unit.",
            "It adds little to the layers below. Check that it is trained at all (learning rate, "
            "gradients, a frozen stage); then try a larger window by pooling, or fewer layers.",
            _chosen(looked.edges > LIMITS.edges, looked.edges),
            "patches",
        )


def _selective(looked: LayerStats) -> Iterator[Finding]:
    selectivity, preferred = looked.units.selectivity, looked.units.preferred
    if not looked.is_labelled or selectivity is None or preferred is None:
        return
    units = _chosen((selectivity > LIMITS.selective) & ~looked.units.dead, selectivity)
    if units and looked.depth < 1:
        name = looked.classes[int(preferred[units[0]])]
        yield Finding(
            "Units for one class only",
            looked.layer,
            len(units) / len(selectivity),
            f"{_of(units, len(selectivity), 'answers', 'answer')} "
            f"to one class alone (selectivity above "
            f"{LIMITS.selective:g}), the clearest, {units[0]}, to {name}.",
            "Below the last layers that is suspect: look whether its patches show the thing "
            "itself, or a background, a border or a mark that gives the class away. Remove that "
            "from the data, or vary it.",
            units,
            "patches",
        )


def table_row(looked: LayerStats) -> dict[str, float | int | str | None]:
    """The layer's numbers, whether or not they are findings."""
    units, kernels = looked.units, looked.kernels
    fires, selectivity = _known(units.activation_frequency), units.selectivity
    rms = None if kernels is None else kernels.rms
    return {
        "layer": looked.layer,
        "units": len(units),
        "dead": int(units.dead.sum()),
        "rare": int(((fires > 0) & (fires < LIMITS.rare)).sum()),
        "fires in, median": float(fires.median()),
        "dominant": None if rms is None else int((rms > LIMITS.outsized * rms.median()).sum()),
        "near Nyquist": None
        if kernels is None
        else float(kernels.energy_above(NYQUIST_BAND, NYQUIST_BAND).mean()),
        "folded by stride": None
        if kernels is None or max(kernels.stride) == 1
        else float(kernels.folded.mean()),
        "with a twin": None
        if kernels is None or len(kernels) < 2
        else int((kernels.twins[1] > LIMITS.alike).sum()),
        "told by edges, median": None if looked.edges is None else float(looked.edges.median()),
        "for one class": None
        if selectivity is None or not looked.is_labelled
        else int((selectivity > LIMITS.selective).sum()),
    }


def _known(values: Tensor | None) -> Tensor:
    if values is None:
        raise ValueError("the atlas has no statistics")
    return torch.as_tensor(values)
