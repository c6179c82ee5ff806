"""Trust over many units: how often a projection is its unit's own, in this network and others.

The controls are those of `examine`. Many units share each shuffled network, so that hundreds can be
examined; the cascade has its two ends alone.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from deconvviz.analysis.inputs import chosen_layers, compared, peaks, projected_layers, title_of
from deconvviz.analysis.registry import Analysis
from deconvviz.analysis.result import Result
from deconvviz.analysis.trust.checks import Similarity, scrambled, similarity, unmeasurable
from deconvviz.analysis.trust.examination import (
    Outcome,
    kept_error,
    kept_share,
    together,
    verdicts_within,
)
from deconvviz.analysis.trust.insertion import insertion_and_deletion
from deconvviz.analysis.trust.target import Target, find_target
from deconvviz.atlas.accumulator import Accumulator
from deconvviz.deconv import Deconvnet, Selection
from deconvviz.deconv.randomization import shuffle_weights, weights_below
from deconvviz.deconv.rules import Rule
from deconvviz.errors import SelectionError
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset
from deconvviz.progress import Progress
from deconvviz.schema import Count, Positive, validated

_OTHERS = 4  # units that are projected for each unit in each shuffled network


@validated
class VerdictsOptions:
    """Options of trust over many units."""

    layers: tuple[str, ...] = ()
    """Layers to examine; by default the last two rectified maps."""
    units: Positive = 100
    """Maximum number of units per layer, evenly spaced."""
    networks: Positive = 15
    """Number of shuffled networks for each control."""
    rule: Rule = "deconvnet"
    """Rule of the projections."""
    points: Positive = 16
    """Number of points of the insertion and deletion curves."""
    orders: Count = 4
    """Number of random pixel orders that these are compared with; 0 leaves both out."""
    others: tuple[str, ...] = ()
    """Other networks of the same input size to examine as well: names or checkpoints."""
    random_weights: bool = True
    """Examine the same network with random weights as well."""


@dataclass(frozen=True, eq=False)
class LayerVerdicts:
    """The outcome for U units of a layer, each at its strongest activation over the data.

    Attributes:
        channels: (U,) int64.
        own: (U,) share of the picture kept with the unit's own kernels shuffled: 0 as by chance, 1
            the same picture.
        all: (U,) share kept with all kernels up to the unit shuffled.
        insertion: (U,) area under the insertion curve less that of random orders.
        deletion: (U,) area of random orders less that under the deletion curve.
        outcomes: (U,) what each picture shows, by the thresholds of `examine`.
        silent: Number of units that are never active, or whose projection is zero; left out.
    """

    layer: str
    channels: Tensor
    own: Tensor
    all: Tensor
    insertion: Tensor
    deletion: Tensor
    outcomes: tuple[Outcome, ...]
    silent: int
    derived = ("mean", "standard_error", "rates")

    def _each(self) -> dict[str, Tensor]:
        names = ("own", "all", "insertion", "deletion")
        return {name: getattr(self, name)[getattr(self, name).isfinite()] for name in names}

    @property
    def mean(self) -> dict[str, float]:
        """Mean over the units of each measure."""
        return {name: float(values.mean()) for name, values in self._each().items()}

    @property
    def standard_error(self) -> dict[str, float]:
        """Standard error of each mean, over the units."""
        return {n: float(v.std() / max(1, len(v)) ** 0.5) for n, v in self._each().items()}

    @property
    def rates(self) -> dict[Outcome, float]:
        """Share of the units with each outcome."""
        return {name: n / len(self.outcomes) for name, n in Counter(self.outcomes).items()}


@dataclass(frozen=True)
class NetworkVerdicts:
    """The outcome for one network, layer by layer."""

    network: str
    layers: tuple[LayerVerdicts, ...]


@dataclass(frozen=True)
class Verdicts(Result):
    """Trust over many units of one or several networks.

    Attributes:
        networks: The network itself, then others, then the one with random weights.
        shuffled: Number of shuffled networks for each control.
        data: Number of pictures and title of the data.
    """

    networks: tuple[NetworkVerdicts, ...]
    rule: Rule
    shuffled: int
    data: str
    seed: int
    name = "verdicts"


def verdicts(
    bundle: Bundle,
    dataset: Dataset,
    options: VerdictsOptions | None = None,
    *,
    net: Deconvnet | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Verdicts:
    """Examine many units: is what their projections show theirs, or the picture's?

    With random weights nothing is learned, so what is found there is the rate of false alarms.

    Arguments are as in `Inputs`.

    Raises:
        DataError: There are no pictures, or they have other channels.
        SettingError: Another network takes pictures of another size.
        UnknownLayerError: A network has no such layer.
    """
    chosen = options or VerdictsOptions()
    networks = compared(bundle, net, chosen.others, random_weights=chosen.random_weights, seed=seed)
    found = []
    for one, its_net in networks:
        default = projected_layers(its_net)[-2:]
        layers = chosen_layers(its_net, chosen.layers, default, f"`{one.name}`")
        strongest = peaks(its_net, one, dataset, layers, title=one.name, progress=progress)
        measured = (
            _Layer(one, its_net, dataset, layer, top, chosen, seed, progress).measure()
            for layer, top in strongest.items()
        )
        found.append(NetworkVerdicts(one.name, tuple(measured)))
    return Verdicts(tuple(found), chosen.rule, chosen.networks, title_of(dataset), seed)


@dataclass(frozen=True, eq=False)
class OwnShares:
    """What U units' pictures keep with their own kernels shuffled, network by network.

    Attributes:
        channels: (U,) int64.
        own: For each unit, its picture beside those of each network with these kernels shuffled.
        chance: Likewise with all kernels shuffled, and the pixels of its window.
    """

    channels: Tensor
    own: list[list[Similarity]]
    chance: list[list[Similarity]]

    def after(self, networks: int | None = None) -> Tensor:
        """(U,) share kept by the first networks, by default all: 0 as by chance, 1 all of it."""
        return _kept(*([row[:networks] for row in rows] for rows in (self.own, self.chance)))


def own_shares(
    bundle: Bundle,
    dataset: Dataset,
    layer: str,
    networks: int,
    *,
    net: Deconvnet,
    seed: int = 0,
    progress: Progress | None = None,
) -> OwnShares:
    """The first control of `verdicts` alone, for all units of a layer that project to something.

    Raises:
        DataError: There are no pictures, or they have other channels.
        UnknownLayerError: The network has no such layer.
    """
    top = peaks(net, bundle, dataset, [layer], title=bundle.name, progress=progress)[layer]
    options = VerdictsOptions(units=net.layers[layer].channels, networks=networks)
    return _Layer(bundle, net, dataset, layer, top, options, seed, progress).own_shares()


class _Layer:
    """Units of one layer, each in its own picture."""

    def __init__(
        self,
        bundle: Bundle,
        net: Deconvnet,
        dataset: Dataset,
        layer: str,
        top: Accumulator,
        options: VerdictsOptions,
        seed: int,
        progress: Progress | None,
    ) -> None:
        self.net, self.layer, self.options, self.progress = net, layer, options, progress
        self.generator = torch.Generator().manual_seed(seed)
        self.title, self.done, self.steps = f"{bundle.name}, {layer}", 0, 2 * options.networks
        channels = net.layers[layer].channels
        units = torch.linspace(0, channels - 1, min(options.units, channels)).round().long()
        self.asked = len(units)
        active = units[top.picture[units, 0].cpu() >= 0]
        picture, y, x = (column[active, 0].cpu() for column in (top.picture, top.y, top.x))
        images = bundle.preprocessing.normalised(dataset.images[picture])
        selection = Selection(layer, torch.arange(len(active)), active, y, x)
        self.targets: list[Target] = []
        rows = []
        for row in range(len(selection)):
            try:
                alone = selection[row : row + 1]
                self.targets.append(find_target(net, images, alone, options.rule))
                rows.append(row)
            except SelectionError:  # its projection is zero
                continue
        self.images, self.selection = images[rows], selection[rows]
        below = weights_below(self.targets[0].recording.tape, layer) if rows else ()
        self.names = [name for one in below for name in one.names]
        self.own_names = [name for one in below if one.depth == 0 for name in one.names]

    def measure(self) -> LayerVerdicts:
        """All controls of all units."""
        self.steps = 3 * self.options.networks + len(self.targets)
        shares = self.own_shares()
        whole = self._similarities(self.names, self.images)
        curves = torch.tensor([self._curves(target) for target in self.targets]).reshape(-1, 2)
        outcomes = (
            self._outcome(target, ends, level)
            for target, *ends, level in zip(
                self.targets, shares.own, whole, shares.chance, strict=True
            )
        )
        return LayerVerdicts(
            layer=self.layer,
            channels=self.selection.channel,
            own=shares.after(),
            all=_kept(whole, shares.chance),
            insertion=curves[:, 0],
            deletion=curves[:, 1],
            outcomes=tuple(outcomes),
            silent=self.asked - len(self.targets),
        )

    def own_shares(self) -> OwnShares:
        """The units' own kernels alone, and chance."""
        chance = self._similarities(self.names, self._scrambled())
        own = self._similarities(self.own_names, self.images)
        return OwnShares(self.selection.channel, own, chance)

    def _scrambled(self) -> Tensor:
        """The pictures with the pixels of each unit's window in a random order."""
        mixed = self.images.clone()
        for image, target in zip(mixed, self.targets, strict=True):
            top, left, bottom, right = target.box
            inside = slice(top, bottom), slice(left, right)
            image[:, *inside] = scrambled(image[:, *inside], self.generator)
        return mixed

    def _step(self) -> None:
        self.done += 1
        if self.progress:
            self.progress(self.title, self.done, self.steps)

    @staticmethod
    def _outcome(
        target: Target, ends: Sequence[Sequence[Similarity]], chance: Sequence[Similarity]
    ) -> Outcome:
        """The outcome of one unit, as `Trust.outcome`."""
        if unmeasurable(target.pixels, target.patch):
            return "inconclusive"
        own, last = (kept_share(together(one), together(chance)) for one in ends)
        errors = (kept_error(ends[0], chance), kept_error(ends[1], chance))
        possible = verdicts_within(own, last, errors)
        return possible[0] if len(possible) == 1 else "between"

    def _similarities(self, names: Sequence[str], images: Tensor) -> list[list[Similarity]]:
        """For each unit, its picture beside those of each network with these weights shuffled."""
        found: list[list[Similarity]] = [[] for _ in self.targets]
        for _ in range(self.options.networks if self.targets else 0):
            net = self.net.with_model(shuffle_weights(self.net.model, names, self.generator))
            recording = net.record(images, [self.layer])
            starts = self._active(recording[self.layer])
            full = net.project(recording, starts, self.options.rule).full()
            for row, target in enumerate(self.targets):
                top, left, bottom, right = target.box
                pictures = full[starts.image == row, :, top:bottom, left:right]
                found[row].append(similarity(pictures, target.pixels))
            self._step()
        return found

    def _active(self, maps: Tensor) -> Selection:
        """Some units of (U, C, H, W) maps that are above zero at each unit's place."""
        s = self.selection
        values = maps[torch.arange(len(s)), :, s.y, s.x].cpu()
        order = torch.rand(values.shape, generator=self.generator).masked_fill(values <= 0, -1)
        drawn, channel = order.topk(min(_OTHERS, values.shape[1]), dim=1)
        image, place = (drawn >= 0).nonzero(as_tuple=True)
        return Selection(self.layer, image, channel[image, place], s.y[image], s.x[image])

    def _curves(self, target: Target) -> tuple[float, float]:
        """How far insertion and deletion by the projection are better than random orders."""
        self._step()
        points, orders = self.options.points, self.options.orders
        if not orders:
            return math.nan, math.nan
        scores = [(target.pixels * target.patch).sum(0)]
        (found,) = insertion_and_deletion(target, scores, points, orders, self.generator)
        one, other = found.insertion, found.deletion
        return one.area - one.chance, other.chance - other.area


def _kept(found: Sequence[Sequence[Similarity]], chance: Sequence[Sequence[Similarity]]) -> Tensor:
    """(U,) share that each unit's picture keeps beside its level by chance."""
    pairs = zip(map(together, found), map(together, chance), strict=True)
    return torch.tensor([kept_share(*pair) for pair in pairs])


ANALYSIS = Analysis(
    title="Trust, over many units",
    question="How often is a projection its unit's own? Kernels are shuffled for many units at "
    "once, in this network, in others, and in one with random weights, where nothing is learned.",
    source="Adebayo et al. 2018, arXiv:1810.03292",
    needs=("network", "dataset"),
    function=verdicts,
    defaults={"count": 250},
    is_slow=True,
    quick={"units": 12, "networks": 3},
)
