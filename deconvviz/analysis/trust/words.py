"""What an examination found, in words for people."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from deconvviz.analysis.trust.checks import SMALLEST, Likeness
from deconvviz.deconv import Layer, Selection

if TYPE_CHECKING:
    from deconvviz.analysis.trust.examination import Trust

__all__ = ["alike", "numbers", "sentence", "unit_of", "verdict"]


def unit_of(selection: Selection, layer: Layer) -> str:
    """What a selection of one projection starts from, for example "unit 3 of conv1, row 2, ..."."""
    if len(selection) > 1:
        return f"{len(selection)} units of {selection.layer} together"
    if layer.size == (1, 1):
        return f"unit {int(selection.channel[0])} of {selection.layer}"
    channel, y, x = (int(column[0]) for column in (selection.channel, selection.y, selection.x))
    return f"unit {channel} of {selection.layer}, row {y}, column {x}"


def verdict(trust: "Trust") -> str:
    """The finding in one sentence, with the numbers that it was made of."""
    if not trust.stages:
        return "This picture is the image's alone: there are no kernels below."
    own, last = trust.stages[0], trust.stages[-1]
    more = f" and {len(own.modules) - 1} more" if len(own.modules) > 1 else ""
    kernels = f"shuffling the unit's own kernels ({own.modules[0]}{more})"
    told, told_last = (
        f"({numbers(stage.control.likeness)}; {_by_chance(trust.chance.likeness)})"
        for stage in (own, last)
    )
    match trust.finding:
        case "untold":
            high, wide = trust.patch.shape[1:]
            why = f"a window of {high} x {wide} pixels is too small"
            if high * wide >= SMALLEST:
                why = "no unit was active in shuffled networks"
            return f"Likeness tells nothing here: {why}."
        case "image":
            what = "mostly the image's own"
            if trust.is_on_edges:
                what += f" edges (rank correlation with them {trust.edges.likeness.rank:.2f})"
            return (
                f"This picture is {what}: shuffling all kernels below changes it little "
                f"{told_last}."
            )
        case "layers below":
            return (
                "This picture is what the layers below let through, hardly this unit's own: "
                f"{kernels} changes it little {told}."
            )
        case "partly the unit":
            return f"This picture is in part this unit's own: {kernels} changes it {told}."
        case "the unit":
            return f"This picture is this unit's own: {kernels} leaves little of it {told}."


def sentence(trust: "Trust") -> str:
    """The verdict, and what the other controls add to it."""
    return " ".join([verdict(trust), *_others(trust), _carried(trust), *_above(trust)])


def numbers(likeness: Likeness) -> str:
    """Rank correlation and SSIM, as far as there are any."""
    if not math.isfinite(likeness.rank):
        return "none"
    ssim = f", SSIM {likeness.ssim:.2f}" if math.isfinite(likeness.ssim) else ""
    return f"rank correlation {likeness.rank:.2f}{ssim}"


def alike(trust: "Trust") -> list[str]:
    """The controls besides the cascade that give much the same picture."""
    controls = {
        "other units": trust.units,
        "random starts": trust.seed,
        "random switches": trust.switches,
    }
    return [name for name, control in controls.items() if control and trust.keeps_much(control)]


def _by_chance(level: Likeness) -> str:
    ssim = f", {level.ssim:.2f}" if math.isfinite(level.ssim) else ""
    return f"by chance {level.rank:.2f}{ssim}"


def _others(trust: "Trust") -> Iterator[str]:
    named = " and ".join(alike(trust))
    if named and trust.finding != "untold":
        yield f"{named.capitalize()} give much the same picture."


def _carried(trust: "Trust") -> str:
    one, other = trust.curves.insertion, trust.curves.deletion
    match trust.carries:
        case True, True:
            what = "The pixels that it marks carry the unit's activation"
        case True, False:
            what = "The pixels that it marks suffice for the activation, but so do others"
        case False, True:
            what = "The activation needs the pixels that it marks, and others"
        case _:
            what = "The pixels that it marks carry no more of the activation than any others"
    return (
        f"{what} (area of insertion {one.area:.2f}, of deletion {other.area:.2f}; of random orders "
        f"{one.chance:.2f} ± {one.spread:.2f})."
    )


def _above(trust: "Trust") -> Iterator[str]:
    if trust.above:
        ends = dict.fromkeys((trust.above[0], trust.above[-1]))
        yield f"The layers above ({' to '.join(ends)}) have no part in it, by construction."
