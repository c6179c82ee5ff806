"""A person's own labels of units; they are in the session alone, and in the projects it saves."""

from collections.abc import Mapping

import streamlit as st

from deconvviz.io.project import MAX_LABELS
from deconvviz.ui.networks import Network

LONGEST = 60
"""Characters of a label."""
MOST = MAX_LABELS
"""Labels in a session; a further one is not taken."""

_DIGITS = 6  # of a unit in a project

Labels = dict[tuple[str, str, int], str]


def _all() -> Labels:
    labels: Labels = st.session_state.setdefault("labels", {})
    return labels


def label_of(network: Network, layer: str, unit: int) -> str:
    """The label of a unit; empty without one."""
    return _all().get((network.key, layer, unit), "")


def labels_of(network: Network) -> Mapping[str, str]:
    """LAYER/UNIT -> label, of one network."""
    return {
        f"{layer}/{unit}": text for (key, layer, unit), text in _all().items() if key == network.key
    }


def set_label(network: Network, layer: str, unit: int, text: str) -> None:
    """Label a unit, as one line; an empty text takes its label away."""
    labels, key = _all(), (network.key, layer, unit)
    line = "".join(filter(str.isprintable, " ".join(text.split())))[:LONGEST].strip()
    if not line:
        labels.pop(key, None)
    elif key in labels or len(labels) < MOST:
        labels[key] = line


def restore_labels(network: Network, stored: Mapping[str, str]) -> None:
    """Take labels as `labels_of` gives them; those of units that the network lacks are left out."""
    for name, text in stored.items():
        layer, _, number = name.rpartition("/")
        known = network.net.layers.get(layer)
        plain = number.isascii() and number.isdecimal() and len(number) <= _DIGITS
        if known and plain and int(number) < known.channels:
            set_label(network, layer, int(number), text)


def name_unit(network: Network, layer: str, unit: int) -> None:
    """A line in which a person writes the label of a unit."""
    key = f"label-{network.key[:12]}-{layer}-{unit}"

    def take() -> None:
        set_label(network, layer, unit, st.session_state[key])

    st.text_input(
        f"Your label of unit {unit}",
        label_of(network, layer, unit),
        max_chars=LONGEST,
        key=key,
        on_change=take,
        placeholder="what you think it detects",
        width=320,
    )
