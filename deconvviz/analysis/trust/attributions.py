"""Other attributions of the same unit, beside its projection on one scale."""

import math
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from matplotlib.figure import Figure
from torch import Tensor
from typing_extensions import override

from deconvviz.analysis.result import Result
from deconvviz.analysis.trust import _captum
from deconvviz.analysis.trust.checks import Likeness, likeness
from deconvviz.analysis.trust.insertion import Curves, insertion_and_deletion
from deconvviz.analysis.trust.subject import Subject, look_at
from deconvviz.analysis.trust.words import unit_of
from deconvviz.deconv import Deconvnet, Selection
from deconvviz.deconv.rules import Rule
from deconvviz.deconv.unit_activation import UnitActivation, layer_below
from deconvviz.errors import UnsupportedOperationError
from deconvviz.plots.display import display
from deconvviz.plots.figures import ACCENTS, NEUTRAL_INK, stretched

__all__ = ["Attribution", "Attributions", "compare"]

_OCCLUDERS = 8  # times the occluding square fits into the window's shorter side
_WIDE, _HIGH = 8.2, 4.5  # inches
_LETTERS = 8  # points


@dataclass(frozen=True, eq=False)
class Attribution:
    """What one method says of the unit.

    Attributes:
        method: Its name.
        pixels: (C, h, w) signed, in the unit's window, in units of its own.
        scores: (h, w) the credit of each pixel, by which it is inserted and deleted.
        curves: Insertion and deletion in the order of the scores.
        likeness: To the unit's projection.
    """

    method: str
    pixels: Tensor
    scores: Tensor
    curves: Curves
    likeness: Likeness


@dataclass(frozen=True, eq=False)
class Attributions(Result):
    """Several methods on one unit in one picture, the projection first.

    Attributes:
        unit: What was projected, in words.
        activation: The unit's activation, of which attributions tell the origin.
        rule: The rule of the projection.
        patch: (C, h, w) the picture in the unit's window, normalised.
        methods: The projection, integrated gradients, occlusion, and guided Grad-CAM.
        missing: Method -> why it is missing, for people.
        draws: What random orders were drawn from.
    """

    name: ClassVar[str] = "attributions"

    unit: str
    activation: float
    rule: Rule
    patch: Tensor
    methods: tuple[Attribution, ...]
    missing: Mapping[str, str] = field(default_factory=dict)
    draws: int = 0

    @override
    def to_dict(self) -> dict[str, Any]:
        return {
            "unit": self.unit,
            "activation": self.activation,
            "rule": self.rule,
            "random_draws_from": self.draws,
            "random_area": self.methods[0].curves.insertion.chance,
            "random_area_spread": self.methods[0].curves.insertion.spread,
            "methods": {
                one.method: {
                    "insertion": one.curves.insertion.area,
                    "deletion": one.curves.deletion.area,
                    "rank_correlation": _number(one.likeness.rank),
                    "ssim": _number(one.likeness.ssim),
                }
                for one in self.methods
            },
            "missing": dict(self.missing),
        }

    @override
    def summary(self) -> str:
        best = max(self.methods, key=lambda one: one.curves.insertion.area)
        lowest = min(self.methods, key=lambda one: one.curves.deletion.area)
        by_chance = self.methods[0].curves.insertion
        told = (
            f"The pixels of {best.method} restore the activation soonest (area of insertion "
            f"{best.curves.insertion.area:.2f}), and without those of {lowest.method} it falls "
            f"soonest (area of deletion {lowest.curves.deletion.area:.2f}); random orders have "
            f"{by_chance.chance:.2f} ± {by_chance.spread:.2f}."
        )
        return " ".join([told, *(f"No {name}: {why}." for name, why in self.missing.items())])

    @override
    def figure(self, ink: str = NEUTRAL_INK) -> Figure:
        figure = Figure(figsize=(_WIDE, _HIGH), facecolor="none")
        cells = figure.add_gridspec(
            1, 1 + len(self.methods), left=0.01, right=0.99, top=0.89, bottom=0.54, wspace=0.06
        )
        shown = [("what it sees", stretched(self.patch[None].float().numpy())[0], "")]
        notes = ["the projection", *map(_told, self.methods[1:])]
        shown += [
            (one.method, display(one.pixels), note)
            for one, note in zip(self.methods, notes, strict=True)
        ]
        for place, (title, pixels, told) in enumerate(shown):
            axes = figure.add_subplot(cells[place])
            axes.set_axis_off()
            axes.imshow(pixels, interpolation="nearest")
            axes.set_title(title, loc="left", fontsize=_LETTERS, color=ink, pad=3)
            corner = axes.transAxes
            axes.text(0, -0.05, told, color=ink, fontsize=7, va="top", transform=corner)
        self._areas(figure, ink)
        title = f"{self.unit[0].upper()}{self.unit[1:]}"
        figure.text(0.01, 0.99, title, va="top", color=ink, fontsize=9, parse_math=False)
        caption = textwrap.fill(self._caption(), 150)
        figure.text(0.01, 0.01, caption, va="bottom", color=ink, fontsize=7, parse_math=False)
        return figure

    def _areas(self, figure: Figure, ink: str) -> None:
        """Insertion and deletion of all methods on one axis, with what random orders reach."""
        axes = figure.add_axes((0.22, 0.22, 0.75, 0.19), facecolor="none")
        chance = self.methods[0].curves.insertion
        low, high = chance.chance - 2 * chance.spread, chance.chance + 2 * chance.spread
        axes.axvspan(low, high, color=ink, alpha=0.25, lw=0, label="random orders")
        rows = range(len(self.methods))
        for colour, name in zip(ACCENTS, ("insertion", "deletion"), strict=True):
            areas = [getattr(one.curves, name).area for one in self.methods]
            axes.scatter(areas, rows, s=26, color=colour, label=name, zorder=3)
        axes.set_yticks(rows, [one.method for one in self.methods])
        axes.set_ylim(len(self.methods) - 0.5, -0.5)
        for side, spine in axes.spines.items():
            spine.set_color(ink)
            spine.set_visible(side == "bottom")
        axes.tick_params(colors=ink, labelsize=7, length=0)
        axes.set_xlabel("area under the curve, relative activation", color=ink, fontsize=7)
        axes.legend(
            frameon=False, labelcolor=ink, fontsize=7, ncols=3, loc="lower right",
            bbox_to_anchor=(1, 0.97),
        )  # fmt: skip

    def _caption(self) -> str:
        missing = "".join(f" No {name}: {why}." for name, why in self.missing.items())
        return (
            "Each method has units of its own: its pixels are shown signed and symmetric about "
            "grey (zero), at full contrast at percentile 99.5 of its own non-zero magnitudes, so "
            "that all share the scale from -1 to 1. Rank and SSIM: likeness to the projection, by "
            "magnitudes. A projection shows what a unit saw; the others say where its activation "
            f"comes from. Blank pixels are the training pictures' mean colour.{missing}"
        )


def _told(one: Attribution) -> str:
    found = one.likeness
    return f"rank {found.rank:.2f}\nSSIM {found.ssim:.2f}".replace("nan", "none")


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def compare(
    net: Deconvnet,
    images: Tensor,
    selection: Selection,
    rule: Rule = "deconvnet",
    *,
    draws: int = 0,
    repeats: int = 8,
    steps: int = 16,
) -> Attributions:
    """Attribute one unit's activation by other methods, beside its projection.

    Integrated gradients, occlusion and Grad-CAM are captum's, of a function that runs the network's
    operations one by one; so they are right however a network writes its ReLUs. The guided part of
    guided Grad-CAM is ours, because captum's would be the plain gradient wherever a rectifier is no
    `nn.ReLU` module.

    Args:
        net: The deconvnet.
        images: (N, C, H, W) as they were recorded, or one of them, (C, H, W).
        selection: One unit, or several of one group.
        rule: The rule of the projection.
        draws: What random orders are drawn from.
        repeats: How many random orders.
        steps: Points of the curves of insertion and deletion.

    Raises:
        SelectionError: It is not one projection, or the projection is zero.
    """
    subject = look_at(net, images, selection, rule)
    missing: dict[str, str] = {}
    found = dict(_attributed(subject, missing))
    generator = torch.Generator().manual_seed(draws)
    scores = [score for _, score in found.values()]
    curves = insertion_and_deletion(subject, scores, steps, repeats, generator)
    methods = [
        Attribution(name, pixels.cpu(), score.cpu(), made, likeness(pixels[None], subject.pixels))
        for (name, (pixels, score)), made in zip(found.items(), curves, strict=True)
    ]
    return Attributions(
        unit=unit_of(selection, net.layers[selection.layer]),
        activation=subject.activation,
        rule=rule,
        patch=subject.patch.cpu(),
        methods=tuple(methods),
        missing=missing,
        draws=draws,
    )


def _attributed(
    subject: Subject, missing: dict[str, str]
) -> Iterator[tuple[str, tuple[Tensor, Tensor]]]:
    """Name -> (C, h, w) pixels and (h, w) scores of each method; and why others are `missing`."""
    yield subject.rule, (subject.pixels, (subject.pixels * subject.patch).sum(0))
    tape, model = subject.recording.tape, subject.net.model
    unit = UnitActivation(model, tape, subject.selection)
    sign = math.copysign(1, subject.activation)  # what makes a negative activation has credit
    gradients = subject.cut(_captum.integrated_gradients(unit, subject.image))
    yield "integrated gradients", (gradients, sign * gradients.sum(0))
    side = max(1, min(subject.patch.shape[1:]) // _OCCLUDERS)
    covered = subject.cut(_captum.occlusion(unit, subject.image, side, max(1, side // 2)))
    yield "occlusion", (covered, sign * covered.sum(0))
    through = layer_below(tape, subject.layer, subject.net.default_layers)
    if through is None:
        missing["guided Grad-CAM"] = f"there are no feature maps below {subject.layer}"
        return
    try:
        guided = subject.net.project(subject.recording, subject.selection, "guided", start="one")
    except UnsupportedOperationError as error:
        missing["guided Grad-CAM"] = str(error)
        return
    unit = UnitActivation(model, tape, subject.selection, through)
    where = _captum.grad_cam(unit, unit.maps, subject.image)
    both = subject.cut(guided.full()[0] * where)
    if not bool(both.any()):
        missing["guided Grad-CAM"] = f"the maps of {through} have no positive share in the unit"
        return
    yield "guided Grad-CAM", (both, both.abs().sum(0))
