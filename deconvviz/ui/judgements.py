"""How far a reconstruction can be trusted, examined once for all sessions."""

from dataclasses import dataclass
from threading import Lock

import streamlit as st

from deconvviz.deconv import Selection
from deconvviz.deconv.rules import Rule
from deconvviz.figures import figure_png
from deconvviz.trust import compare, examine
from deconvviz.ui.explore import Network, Reconstruction, Sight

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


class _Judgements:
    """The last few, by what they are of."""

    most = 64

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], Judgement] = {}
        self._lock = Lock()

    def get(self, key: tuple[str, ...]) -> Judgement | None:
        return self._known.get(key)

    def put(self, key: tuple[str, ...], judgement: Judgement) -> None:
        with self._lock:
            self._known[key] = judgement
            while len(self._known) > self.most:
                del self._known[next(iter(self._known))]


@st.cache_resource(show_spinner=False)
def _judgements() -> _Judgements:
    return _Judgements()


def judged(network: Network, sight: Sight, unit: Reconstruction, rule: Rule) -> Judgement | None:
    """The judgement on a reconstruction, if somebody has asked for it."""
    return _judgements().get(_key(network, sight, unit, rule))


def judge(network: Network, sight: Sight, unit: Reconstruction, rule: Rule) -> Judgement:
    """Examine a reconstruction, a bar showing how far it is.

    Raises:
        SelectionError: The projection is zero, so that there is nothing to examine.
    """
    bar = st.progress(0.0, text="Examining …")

    def progress(title: str, done: int, total: int, /) -> None:
        bar.progress(done / (total + 1), text=f"{title}: {done} of {total} …")

    selection = Selection(unit.layer, 0, unit.channel, unit.y, unit.x)
    try:
        trust = examine(network.net, sight.pixels, selection, rule, progress=progress)
        bar.progress(0.95, text="Other attributions …")
        others = compare(network.net, sight.pixels, selection, rule)
    finally:
        bar.empty()
    judgement = Judgement(
        trust.sentence(),
        figure_png(trust.figure()),
        others.sentence(),
        figure_png(others.figure()),
    )
    _judgements().put(_key(network, sight, unit, rule), judgement)
    return judgement


def _key(network: Network, sight: Sight, unit: Reconstruction, rule: Rule) -> tuple[str, ...]:
    place = f"{unit.layer}/{unit.channel}/{unit.y}/{unit.x}"
    return network.key, sight.key, place, rule
