"""The examination of one projection: every control, against its chance level, and a verdict."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar

import torch
from matplotlib.figure import Figure
from torch import Tensor
from typing_extensions import override

from deconvviz.analysis.result import Result
from deconvviz.analysis.trust import checks, words
from deconvviz.analysis.trust.checks import SMALLEST, Control, Likeness, Stage
from deconvviz.analysis.trust.insertion import Curve, Curves, insertion_and_deletion
from deconvviz.analysis.trust.subject import look_at
from deconvviz.deconv import Deconvnet, Selection
from deconvviz.deconv.randomization import modules_not_below, weights_below
from deconvviz.deconv.rules import Rule
from deconvviz.errors import SettingError
from deconvviz.plots.figures import NEUTRAL_INK, Box
from deconvviz.progress import Progress

__all__ = ["MUCH", "SOME", "SPREADS", "Trust", "examine"]

MUCH = 0.4
"""From this share of the way from chance to the same picture on, "much" is said to be kept."""

SOME = 0.2
"""From this share on, "some" is."""

SPREADS = 2.0
"""What lies so many standard deviations from its chance level is taken for more than chance."""

_CONTROLS = 6  # besides the stages of the cascade

Outcome = TypeVar("Outcome")

Finding = Literal["untold", "image", "layers below", "partly the unit", "the unit"]


@dataclass(frozen=True, eq=False)
class Trust(Result):
    """How far one projection can be trusted.

    A deconvnet is a projection and no attribution: none of this says that the network decided
    because of what is seen. Layers above the units have no part in it, by construction.

    Attributes:
        unit: What was projected, in words.
        layer: The units' layer.
        rule: The rule of the projection.
        activation: The units' summed activation.
        box: Top, left, bottom, right of their window in the picture, without what leaves it.
        pixels: (C, h, w) the projection in the window, in normalised input units.
        patch: (C, h, w) the picture in the window, normalised.
        chance: How alike pictures are that share nothing but the geometry; see `checks.unrelated`.
        stages: The cascade of shuffled kernels, from the units' own down; see `checks.cascade`.
        above: The modules whose kernels have no part in the projection.
        units: Other units of the layer; see `checks.random_units`. None without any.
        seed: Random positive starts; see `checks.random_seed`.
        switches: Random switches; see `checks.random_switch`. None without max pooling below.
        edges: The image's own edges; see `checks.edge_likeness`.
        edges_chance: The same edges in another place.
        curves: Insertion and deletion by projection times image; see `insertion_and_deletion`.
        draws: What all random draws were made from.
    """

    name: ClassVar[str] = "trust"

    unit: str
    layer: str
    rule: Rule
    activation: float
    box: Box
    pixels: Tensor
    patch: Tensor
    chance: Control
    stages: tuple[Stage, ...]
    above: tuple[str, ...]
    units: Control | None
    seed: Control
    switches: Control | None
    edges: Control
    edges_chance: Likeness
    curves: Curves
    draws: int

    def kept(self, likeness: Likeness) -> float:
        """How much of the picture a control has left: 0 as by chance, 1 the same picture.

        (value - chance) / (1 - chance), the mean of it for rank correlation and for SSIM: so it
        does not reward what every picture of this window has in common.
        """
        level = self.chance.likeness
        pairs = (likeness.rank, level.rank), (likeness.ssim, level.ssim)
        shares = [(value - chance) / (1 - chance) for value, chance in pairs if chance < 1]
        shares = [share for share in shares if math.isfinite(share)]
        return sum(shares) / len(shares) if shares else math.nan

    def keeps_much(self, control: Control) -> bool:
        """Whether a control leaves `MUCH` of the picture."""
        return self.kept(control.likeness) >= MUCH

    @property
    def is_on_edges(self) -> bool:
        """Whether it lies on the image's edges, `SPREADS` standard deviations beyond chance."""
        chance = self.edges_chance
        return self.edges.likeness.rank > chance.rank + SPREADS * chance.rank_spread

    @property
    def carries(self) -> tuple[bool, bool]:
        """Whether insertion and deletion each beat random orders by `SPREADS` deviations."""
        one, other = self.curves.insertion, self.curves.deletion
        return (
            one.area > one.chance + SPREADS * one.spread,
            other.area < other.chance - SPREADS * other.spread,
        )

    @property
    def finding(self) -> Finding:
        """What the picture shows, by the cascade.

        "image" if `MUCH` is kept with all kernels shuffled; else "layers below" if `MUCH` is kept
        with the unit's own kernels shuffled, "partly the unit" if `SOME` is, and "the unit" if not.
        "untold" in windows under `SMALLEST` pixels, or where no shuffled unit was active.
        """
        if not self.stages:
            return "image"
        ends = self.stages[0], self.stages[-1]
        own, last = (self.kept(stage.control.likeness) for stage in ends)
        if self.patch[0].numel() < SMALLEST or not math.isfinite(own + last):
            return "untold"
        if last >= MUCH:
            return "image"
        if own >= MUCH:
            return "layers below"
        return "partly the unit" if own >= SOME else "the unit"

    @property
    def verdict(self) -> str:
        """The finding in one sentence, with its numbers."""
        return words.verdict(self)

    @override
    def summary(self) -> str:
        return words.sentence(self)

    @override
    def to_dict(self) -> dict[str, Any]:
        return {
            "unit": self.unit,
            "layer": self.layer,
            "rule": self.rule,
            "activation": self.activation,
            "box": list(self.box),
            "random_draws_from": self.draws,
            "outcome": self.finding,
            "thresholds": {"much": MUCH, "some": SOME, "spreads": SPREADS, "pixels": SMALLEST},
            "chance": _likeness(self.chance.likeness),
            "cascade": [
                {"shuffled": list(stage.modules), **self._control(stage.control)}
                for stage in self.stages
            ],
            "no_part_in_it": list(self.above),
            "other_units": self._control(self.units),
            "random_starts": self._control(self.seed),
            "random_switches": self._control(self.switches),
            "edges": _likeness(self.edges.likeness),
            "edges_chance": _likeness(self.edges_chance),
            "on_edges": self.is_on_edges,
            "insertion": _curve(self.curves.insertion),
            "deletion": _curve(self.curves.deletion),
        }

    def _control(self, control: Control | None) -> dict[str, Any]:
        if control is None:
            return {"pictures": 0}
        return {**_likeness(control.likeness), "kept": _number(self.kept(control.likeness))}

    @override
    def figure(self, ink: str = NEUTRAL_INK) -> Figure:
        from deconvviz.plots.trust import panel

        return panel(self, ink)


def examine(
    net: Deconvnet,
    images: Tensor,
    selection: Selection,
    rule: Rule = "deconvnet",
    *,
    draws: int = 0,
    networks: int = 3,
    stages: int = 10,
    repeats: int = 8,
    steps: int = 16,
    progress: Progress | None = None,
) -> Trust:
    """Examine how far one projection can be trusted.

    Args:
        net: The deconvnet.
        images: (N, C, H, W) as they were recorded, or one of them, (C, H, W).
        selection: One unit, or several of one group, which start together.
        rule: The rule of the projection.
        draws: What all random draws are made from: the same number, the same result.
        networks: How many shuffled networks are drawn, for each stage of the cascade and for the
            chance level; of each up to eight units are projected.
        stages: Of the cascade at most; a stage of a deeper network has several convolutions.
        repeats: Random starts, random switches, random orders and twice as many other units.
        steps: Points of the curves of insertion and deletion.
        progress: Told after each control.

    Returns:
        Trust, with everything on the CPU.

    Raises:
        SelectionError: It is not one projection, or the projection is zero.
        SettingError: A number is too small.
    """
    for name, given, least in (
        ("networks", networks, 1),
        ("stages", stages, 1),
        ("repeats", repeats, 2),
        ("steps", steps, 1),
    ):
        if given < least:
            raise SettingError(f"{name} must be at least {least}, but it is {given}")
    subject = look_at(net, images, selection, rule)
    generator = torch.Generator().manual_seed(draws)
    kernels = weights_below(subject.recording.tape, selection.layer)
    depths = len({kernel.depth for kernel in kernels})
    step = _Steps(_CONTROLS + min(stages, depths), progress)
    chance = step(checks.unrelated(subject, networks, generator))
    cascade = [step(stage) for stage in checks.cascade(subject, networks, stages, generator)]
    units = step(checks.random_units(subject, 2 * repeats, generator))
    seed = step(checks.random_seed(subject, repeats, generator))
    switches = step(checks.random_switch(subject, repeats, generator))
    edges, edges_chance = step(checks.edge_likeness(subject, 2 * repeats, generator))
    scores = [(subject.pixels * subject.patch).sum(0)]
    (curves,) = step(insertion_and_deletion(subject, scores, steps, repeats, generator))
    return Trust(
        unit=words.unit_of(selection, net.layers[selection.layer]),
        layer=selection.layer,
        rule=rule,
        activation=subject.activation,
        box=subject.box,
        pixels=subject.pixels.cpu(),
        patch=subject.patch.cpu(),
        chance=chance,
        stages=tuple(cascade),
        above=modules_not_below(subject.recording.tape, selection.layer),
        units=units,
        seed=seed,
        switches=switches,
        edges=edges,
        edges_chance=edges_chance,
        curves=curves,
        draws=draws,
    )


class _Steps:
    """Counts controls, and tells of each that it is done."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._done, self._total, self._progress = 0, total, progress

    def __call__(self, result: Outcome) -> Outcome:
        self._done += 1
        if self._progress:
            self._progress("controls", self._done, self._total)
        return result


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return round(value, 4) if math.isfinite(value) else None


def _likeness(likeness: Likeness) -> dict[str, Any]:
    return {
        "rank_correlation": _number(likeness.rank),
        "rank_correlation_spread": _number(likeness.rank_spread),
        "ssim": _number(likeness.ssim),
        "ssim_spread": _number(likeness.ssim_spread),
        "pictures": likeness.draws,
    }


def _curve(curve: Curve) -> dict[str, Any]:
    return {
        "area": _number(curve.area),
        "random_area": _number(curve.chance),
        "random_area_spread": _number(curve.spread),
        "share": [_number(value) for value in curve.share.tolist()],
        "activation": [_number(value) for value in curve.value.tolist()],
    }
