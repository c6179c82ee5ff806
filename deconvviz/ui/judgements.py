"""How far a reconstruction can be trusted, examined once for all sessions."""

from dataclasses import dataclass

import streamlit as st

from deconvviz.analysis.trust import compare, examine
from deconvviz.deconv.rules import Rule
from deconvviz.plots.figures import figure_png
from deconvviz.ui.networks import InputView, Network
from deconvviz.ui.progress import ResultCache, bar
from deconvviz.units import Unit

__all__ = ["Judgement", "judge", "judged"]


@dataclass(frozen=True)
class Judgement:
    """What an examination found.

    Attributes:
        sentence: The verdict, and what the controls add to it.
        panel: The figure of all controls, a PNG file.
        others: What other attributions of the same unit say, in words.
        others_panel: These side by side, a PNG file.
    """

    sentence: str
    panel: bytes
    others: str
    others_panel: bytes


@st.cache_resource(show_spinner=False)
def _judgements() -> ResultCache[Judgement]:
    return ResultCache(64)


def judged(network: Network, view: InputView, unit: Unit, rule: Rule) -> Judgement | None:
    """The judgement on a reconstruction, if somebody has asked for it."""
    return _judgements().get(_key(network, view, unit, rule))


def judge(network: Network, view: InputView, unit: Unit, rule: Rule) -> Judgement:
    """Examine a reconstruction, a bar showing how far it is.

    Raises:
        SelectionError: The projection is zero, so that there is nothing to examine.
    """
    with bar("Examining …") as progress:
        trust = examine(network.net, view.pixels, unit.selection, rule, progress=progress)
        progress("other attributions", 0, 1)
        others = compare(network.net, view.pixels, unit.selection, rule)
    judgement = Judgement(
        trust.summary(),
        figure_png(trust.figure()),
        others.summary(),
        figure_png(others.figure()),
    )
    return _judgements().put(_key(network, view, unit, rule), judgement)


def _key(network: Network, view: InputView, unit: Unit, rule: Rule) -> tuple[str, ...]:
    return network.key, view.key, str(unit), rule
