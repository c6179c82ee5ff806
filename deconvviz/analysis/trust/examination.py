"""Examination of one projection: every control against its chance level."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, product
from typing import Literal, TypeVar, get_args

import torch
from torch import Tensor

from deconvviz.analysis.registry import Analysis
from deconvviz.analysis.result import Result
from deconvviz.analysis.trust import checks
from deconvviz.analysis.trust.attributions import AttributionOptions
from deconvviz.analysis.trust.checks import SMALLEST, CascadeStep, Control, Similarity
from deconvviz.analysis.trust.insertion import InsertionDeletion, insertion_and_deletion
from deconvviz.analysis.trust.target import find_target
from deconvviz.deconv import Box, Deconvnet, Selection
from deconvviz.deconv.randomization import modules_not_below, weights_below
from deconvviz.deconv.rules import Rule
from deconvviz.progress import Progress
from deconvviz.schema import Positive, validated
from deconvviz.units import Unit

MUCH = 0.4
"""A control that keeps this share of the way from chance to the same picture keeps "much"."""

SOME = 0.2
"""A control that keeps this share keeps "some"."""

SPREADS = 2.0
"""Standard deviations from a chance level at which a value counts as different from chance."""

_CONTROLS = 6  # besides the steps of the cascade

Value = TypeVar("Value")

Outcome = Literal["inconclusive", "between", "image", "layers_below", "partly_unit", "unit"]


@validated
class TrustOptions(AttributionOptions):
    """Options of an examination."""

    networks: Positive = 15
    """Number of shuffled networks for the chance level and for the cascade's first and last step,
    which decide the verdict."""
    inner: Positive = 3
    """Maximum number of shuffled networks for the cascade's steps between these."""
    steps: Positive = 10
    """Maximum number of steps of the cascade."""


@dataclass(frozen=True, eq=False)
class Trust(Result):
    """The examination of one projection.

    A deconvnet is a projection, not an attribution: nothing here says that the network decided
    because of what is seen. Layers above the units have no part in it, by construction.

    Attributes:
        units: Projected units; several start together.
        map_size: Height and width of their layer's feature maps.
        activation: Summed activation of the units.
        box: Window of the units in the picture, clipped to it.
        pixels: (C, h, w) projection in the window, in normalised input units.
        patch: (C, h, w) picture in the window, normalised.
        chance: Pictures that share nothing but the geometry; see `checks.chance_level`.
        cascade: Shuffled kernels, from the units' own down; see `checks.cascade`.
        above: Modules whose kernels have no part in the projection.
        other_units: See `checks.other_units`. None where no other unit is active.
        random_starts: See `checks.random_starts`.
        random_switches: See `checks.random_switches`. None without max pooling below.
        edges: The image's own edges; see `checks.edge_similarity`.
        edges_chance: The same edges at random shifts.
        curves: Insertion and deletion by projection times image.
    """

    name = "trust"
    omitted = ("pixels", "patch", "example", "random", "networks")
    thresholds = {"much": MUCH, "some": SOME, "spreads": SPREADS, "pixels": SMALLEST}  # noqa: RUF012
    derived = (
        "outcome",
        "possible",
        "unmeasured",
        "thresholds",
        "kept_by",
        "kept_error",
        "is_on_edges",
        "beats_random_orders",
    )

    units: tuple[Unit, ...]
    map_size: tuple[int, int]
    rule: Rule
    activation: float
    box: Box
    pixels: Tensor
    patch: Tensor
    chance: Control
    cascade: tuple[CascadeStep, ...]
    above: tuple[str, ...]
    other_units: Control | None
    random_starts: Control
    random_switches: Control | None
    edges: Control
    edges_chance: Similarity
    curves: InsertionDeletion
    seed: int

    def kept(self, similarity: Similarity) -> float:
        """Share of the picture that a control keeps; see `kept_share`."""
        return kept_share(similarity, self.chance.similarity)

    @property
    def kept_by(self) -> dict[str, float | list[float]]:
        """Control -> how much of the picture it keeps; NaN where it has no pictures."""
        controls = ("other_units", "random_starts", "random_switches")
        found = ((name, getattr(self, name)) for name in controls)
        return {
            "cascade": [self.kept(step.control.similarity) for step in self.cascade],
            **{name: self.kept(one.similarity) if one else math.nan for name, one in found},
        }

    def keeps_much(self, control: Control) -> bool:
        """Whether a control keeps `MUCH` of the picture."""
        return self.kept(control.similarity) >= MUCH

    @property
    def is_on_edges(self) -> bool:
        """Whether it lies on the image's edges, `SPREADS` standard deviations beyond chance."""
        chance = self.edges_chance
        return self.edges.similarity.rank > chance.rank + SPREADS * chance.rank_spread

    @property
    def beats_random_orders(self) -> tuple[bool, bool]:
        """Whether insertion and deletion each beat random orders by `SPREADS` deviations."""
        one, other = self.curves.insertion, self.curves.deletion
        return (
            one.area > one.chance + SPREADS * one.spread,
            other.area < other.chance - SPREADS * other.spread,
        )

    @property
    def ends(self) -> tuple[CascadeStep, CascadeStep]:
        """The cascade's first and last step."""
        return self.cascade[0], self.cascade[-1]

    @property
    def kept_error(self) -> tuple[float, float]:
        """Standard error, over shuffled networks, of what each end of the cascade keeps."""
        if not self.cascade:
            return 0.0, 0.0
        one, other = (kept_error(step.control.networks, self.chance.networks) for step in self.ends)
        return one, other

    @property
    def unmeasured(self) -> str:
        """Why the controls show nothing here; empty if they do."""
        if reason := checks.unmeasurable(self.pixels, self.patch):
            return reason
        known = not self.cascade or all(
            math.isfinite(self.kept(step.control.similarity)) for step in self.ends
        )
        return "" if known else "no unit was active in shuffled networks"

    @property
    def possible(self) -> tuple[Outcome, ...]:
        """Every outcome within `SPREADS` standard errors; see `verdicts_within`."""
        if not self.cascade:
            return ("image",)
        own, last = (self.kept(step.control.similarity) for step in self.ends)
        return verdicts_within(own, last, self.kept_error)

    @property
    def outcome(self) -> Outcome:
        """The content of the projection, by the ends of the cascade; see `verdict`.

        "inconclusive" where nothing can be measured, "between" where shuffling other networks may
        give another outcome.
        """
        if self.unmeasured:
            return "inconclusive"
        return self.possible[0] if len(self.possible) == 1 else "between"


def kept_share(similarity: Similarity, chance: Similarity) -> float:
    """Share of the picture that a control keeps: 0 as by chance, 1 the same picture.

    (value - chance) / (1 - chance), averaged over rank correlation and SSIM.
    """
    pairs = (similarity.rank, chance.rank), (similarity.ssim, chance.ssim)
    shares = [(value - level) / (1 - level) for value, level in pairs if level < 1]
    shares = [share for share in shares if math.isfinite(share)]
    return sum(shares) / len(shares) if shares else math.nan


def kept_error(networks: Sequence[Similarity], chance: Sequence[Similarity]) -> float:
    """Standard error of the share that is kept.

    It comes from the shuffled networks of the control, and from those of the chance level.

    Args:
        networks: Similarity in each shuffled network.
        chance: The same for the chance level.
    """
    level, value = together(chance), together(networks)
    return math.hypot(
        _standard_error([kept_share(one, level) for one in networks]),
        _standard_error([kept_share(value, one) for one in chance]),
    )


def together(several: Sequence[Similarity]) -> Similarity:
    """The mean of similarities, weighted by their numbers of pictures; without spreads."""
    counts = [one.count for one in several]
    means = []
    for name in ("rank", "ssim"):
        pairs = zip((getattr(one, name) for one in several), counts, strict=True)
        known = [(value, n) for value, n in pairs if n and math.isfinite(value)]
        total = sum(n for _, n in known)
        means.append(sum(value * n for value, n in known) / total if total else math.nan)
    return Similarity(means[0], 0.0, means[1], 0.0, sum(counts))


def _standard_error(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return statistics.stdev(known) / len(known) ** 0.5 if len(known) > 1 else 0.0


def verdict(own: float, last: float) -> Outcome:
    """What a projection shows, by what the ends of the cascade keep of it.

    "image" if `MUCH` is kept with all kernels shuffled; else "layers_below" if `MUCH` is kept with
    the unit's own kernels shuffled, "partly_unit" if `SOME` is, and "unit" if not. "inconclusive"
    where no shuffled unit was active.
    """
    if not math.isfinite(own + last):
        return "inconclusive"
    if last >= MUCH:
        return "image"
    if own >= MUCH:
        return "layers_below"
    return "partly_unit" if own >= SOME else "unit"


def verdicts_within(own: float, last: float, errors: tuple[float, float]) -> tuple[Outcome, ...]:
    """Every verdict of values within `SPREADS` standard errors, in the order of `Outcome`."""
    ends = (
        (value - SPREADS * e, value, value + SPREADS * e)
        for value, e in zip((own, last), errors, strict=True)
    )
    found = {verdict(one, other) for one, other in product(*ends)}
    return tuple(one for one in get_args(Outcome) if one in found)


def examine(
    net: Deconvnet,
    image: Tensor,
    selection: Selection,
    options: TrustOptions | None = None,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Trust:
    """Examine how far one projection can be trusted.

    The image is (C, H, W), or (N, C, H, W) as recorded; the selection is one unit, or several of
    one group, which start together. `progress` is called after each control.

    Returns:
        Trust, with everything on the CPU.

    Raises:
        SelectionError: The selection makes several projections, or the projection is zero.
    """
    chosen = options or TrustOptions()
    networks, inner, repeats = chosen.networks, chosen.inner, chosen.repeats
    target = find_target(net, image, selection, chosen.rule)
    generator = torch.Generator().manual_seed(seed)
    tape = target.recording.tape
    depths = len({kernel.depth for kernel in weights_below(tape, selection.layer)})
    total, done = _CONTROLS + min(chosen.steps, depths), count(1)

    def step(result: Value) -> Value:
        if progress:
            progress("controls", next(done), total)
        return result

    # The order of the controls is the order of the random draws: another one gives other numbers.
    chance = step(checks.chance_level(target, networks, generator))
    cascade = [
        step(one) for one in checks.cascade(target, networks, inner, chosen.steps, generator)
    ]
    other_units = step(checks.other_units(target, 2 * repeats, generator))
    random_starts = step(checks.random_starts(target, repeats, generator))
    random_switches = step(checks.random_switches(target, repeats, generator))
    edges, edges_chance = step(checks.edge_similarity(target, 2 * repeats, generator))
    scores = [(target.pixels * target.patch).sum(0)]
    (curves,) = step(insertion_and_deletion(target, scores, chosen.points, repeats, generator))
    return Trust(
        units=Unit.rows(selection),
        map_size=net.layers[selection.layer].size,
        rule=chosen.rule,
        activation=target.activation,
        box=target.box,
        pixels=target.pixels.cpu(),
        patch=target.patch.cpu(),
        chance=chance,
        cascade=tuple(cascade),
        above=modules_not_below(tape, selection.layer),
        other_units=other_units,
        random_starts=random_starts,
        random_switches=random_switches,
        edges=edges,
        edges_chance=edges_chance,
        curves=curves,
        seed=seed,
    )


ANALYSIS = Analysis(
    title="Trust",
    question="Does a unit's projection show the unit, or would any unit give this picture? One "
    "thing at a time is replaced by chance, its kernels first, and the pictures are compared.",
    source="Adebayo et al. 2018, arXiv:1810.03292",
    needs=("network", "picture", "unit"),
    function=examine,
)
