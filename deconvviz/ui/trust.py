"""Trust in a reconstruction, examined once for all sessions."""

from dataclasses import dataclass
from typing import Literal

from deconvviz.analysis.trust import (
    AttributionOptions,
    Trust,
    TrustOptions,
    compare_attributions,
    examine,
)
from deconvviz.analysis.trust.attributions import Attributions
from deconvviz.deconv.rules import Rule
from deconvviz.plots.files import figure_png
from deconvviz.ui.memory import RESULTS, kept
from deconvviz.ui.networks import InputView, Network
from deconvviz.ui.work import bar
from deconvviz.units import Unit


@dataclass(frozen=True, eq=False)
class TrustReport:
    """An examination, and other attributions of the same unit; `key` is for caches."""

    key: str
    trust: Trust
    others: Attributions


def known_trust_report(
    network: Network, view: InputView, unit: Unit, rule: Rule
) -> TrustReport | None:
    """The report on a unit's reconstruction; None if none was requested yet."""
    known: TrustReport | None = RESULTS.get(_key(network, view, unit, rule))
    return known


def _key(network: Network, view: InputView, unit: Unit, rule: Rule) -> str:
    return f"trust {network.key} {view.key} {unit!r} {rule}"


def trust_report(network: Network, view: InputView, unit: Unit, rule: Rule) -> TrustReport:
    """Examine a unit's reconstruction, with a progress bar; errors as for `examine`."""
    net, pixels, selection = network.net, view.pixels, unit.selection
    with bar("Examining …") as progress:
        trust = examine(net, pixels, selection, TrustOptions(rule=rule), progress=progress)
        progress("other attributions", 0, 1)
        others = compare_attributions(net, pixels, selection, AttributionOptions(rule=rule))
    key = _key(network, view, unit, rule)
    return RESULTS.put(key, TrustReport(key, trust, others))


@kept("Drawing …")
def drawn(report: TrustReport, part: Literal["story", "figure", "others"], ink: str) -> bytes:
    """A part of a report as a PNG file."""
    if part == "others":
        return figure_png(report.others.figure(ink))
    return figure_png(report.trust.story(ink) if part == "story" else report.trust.figure(ink))
