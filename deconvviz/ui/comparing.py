"""Two networks side by side on a page: what can be compared, and which units are alike."""

from collections.abc import Callable, Mapping
from functools import partial

import streamlit as st

from deconvviz.analysis.compare import Compare, Matches, Side, match_units, side_by_side
from deconvviz.deconv import Deconvnet
from deconvviz.deconv.rules import Rule
from deconvviz.io.data import Dataset
from deconvviz.io.zoo import DEMOS, load
from deconvviz.ui.choices import offered
from deconvviz.ui.memory import NETWORKS, kept
from deconvviz.ui.networks import BY_KEY, InputView, Network, opened, random_twin
from deconvviz.ui.work import long_result

RANDOM = "random weights"


def others(network: Network) -> Mapping[str, Callable[[], Network]]:
    """What a network can be compared with, by name, opened when called.

    The same one with random weights and at earlier epochs, and the demos of its input size.
    """
    found: dict[str, Callable[[], Network]] = {RANDOM: partial(random_twin, network)}
    for epoch in network.bundle.snapshots:
        found[f"after epoch {epoch}"] = partial(at_epoch, network, epoch)
    for label in DEMOS:
        other = partial(opened, offered()[label])
        if label != network.bundle.name and input_size(label) == network.bundle.input_size:
            found[label] = other
    return found


@st.cache_data
def input_size(name: str) -> tuple[int, int, int]:
    """Channels, height and width that a network takes."""
    return load(name).input_size


@st.cache_resource(max_entries=NETWORKS, show_spinner="Opening the network …", hash_funcs=BY_KEY)
def at_epoch(network: Network, epoch: int) -> Network:
    """A network as it was after some epochs of its training."""
    bundle = network.bundle.at_epoch(epoch)
    return Network(bundle, Deconvnet(bundle.model, bundle.input_size))


def matches(first: Side, second: Side, keys: tuple[str, str], dataset: Dataset) -> Matches:
    """Which units are alike, with a progress bar where that is not known yet.

    `keys` tell the networks apart.
    """
    key = ("matches", *keys, first.layer, second.layer, dataset.fingerprint)
    return long_result(
        key,
        "Comparing the units …",
        lambda progress: match_units(first, second, dataset, progress=progress),
    )


@kept("Projecting …")
def compared(
    first: Network,
    second: Network,
    layers: tuple[str, str],
    view: InputView,
    rule: Rule,
    units: int,
    _matches: Matches,
    data: str,  # noqa: ARG001  tells matches over other pictures apart
) -> Compare:
    """The strongest units of a picture in one network and their matches in the other."""
    sides = [
        Side(one.bundle, one.net, layer) for one, layer in zip((first, second), layers, strict=True)
    ]
    return side_by_side(sides[0], sides[1], _matches, view.pixels[0], units, rule)
