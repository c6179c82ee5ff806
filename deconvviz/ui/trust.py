"""Trust in a reconstruction, examined once for all sessions."""

from dataclasses import dataclass

from deconvviz.analysis.trust import (
    AttributionOptions,
    TrustOptions,
    compare_attributions,
    examine,
)
from deconvviz.deconv.rules import Rule
from deconvviz.plots.figures import figure_png
from deconvviz.ui.memory import RESULTS
from deconvviz.ui.networks import InputView, Network
from deconvviz.ui.work import bar
from deconvviz.units import Unit


@dataclass(frozen=True)
class TrustReport:
    """An examination and other attributions of the same unit; the figures are PNG files."""

    summary: str
    figure: bytes
    others_summary: str
    others_figure: bytes


def known_trust_report(
    network: Network, view: InputView, unit: Unit, rule: Rule
) -> TrustReport | None:
    """The report on a unit's reconstruction; None if none was requested yet."""
    known: TrustReport | None = RESULTS.get(_key(network, view, unit, rule))
    return known


def _key(network: Network, view: InputView, unit: Unit, rule: Rule) -> tuple[str, ...]:
    return "trust", network.key, view.key, repr(unit), rule


def trust_report(network: Network, view: InputView, unit: Unit, rule: Rule) -> TrustReport:
    """Examine a unit's reconstruction, with a progress bar; errors as for `examine`."""
    net, pixels, selection = network.net, view.pixels, unit.selection
    with bar("Examining …") as progress:
        trust = examine(net, pixels, selection, TrustOptions(rule=rule), progress=progress)
        progress("other attributions", 0, 1)
        others = compare_attributions(net, pixels, selection, AttributionOptions(rule=rule))
    report = TrustReport(
        trust.summary(),
        figure_png(trust.figure()),
        others.summary(),
        figure_png(others.figure()),
    )
    return RESULTS.put(_key(network, view, unit, rule), report)
