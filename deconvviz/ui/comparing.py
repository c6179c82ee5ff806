"""Two networks side by side on a page: what can be compared, and which units are alike."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

import streamlit as st

from deconvviz.analysis.compare import RANDOM as RANDOM_WEIGHTS
from deconvviz.analysis.compare import Compare, Matches, Side, match_units, side_by_side
from deconvviz.deconv import Deconvnet
from deconvviz.deconv.rules import Rule
from deconvviz.errors import DeconvvizError
from deconvviz.io.data import Dataset
from deconvviz.ui import commands
from deconvviz.ui.choices import Choice, offered
from deconvviz.ui.memory import NETWORKS, kept
from deconvviz.ui.networks import (
    BY_KEY,
    UPLOADED,
    InputView,
    Network,
    identity,
    opened,
    random_twin,
)
from deconvviz.ui.work import long_result

RANDOM = "random weights"
_AFTER = "after epoch "


def others(network: Network) -> Mapping[str, Callable[[], Network]]:
    """What a network can be compared with, by name, opened when called.

    The same one with random weights and at earlier epochs, and all others that the session may
    choose, of its input size.
    """
    found: dict[str, Callable[[], Network]] = {RANDOM: partial(random_twin, network)}
    for epoch in network.bundle.snapshots:
        found[f"{_AFTER}{epoch}"] = partial(at_epoch, network, epoch)
    for label, choice in offered().items():
        if choice.needs_download:
            continue
        with suppress(DeconvvizError):
            size, digest = identity(choice)
            if size == network.bundle.input_size and digest != network.key:
                found[label] = partial(opened, choice)
    return found


def command(
    labels: tuple[str, str],
    picture: str,
    layers: tuple[str, str],
    data: str,
    rule: Rule,
    options: Mapping[str, int],
) -> str:
    """The command that gives the same numbers; empty if it cannot say the other network's weights.

    Args:
        labels: Of the network, as `offered`, and of the other one, as `others`.
        picture: Its name.
        layers: Of the two networks.
        data: Name of the data set, as `datasets` has it.
        rule: The rule.
        options: More options of the command.
    """
    first, second = (offered().get(label, Choice(label)) for label in labels)
    epoch = labels[1].partition(_AFTER)[2]
    if second.weights != "default" or second.checkpoint or second.input_size:
        return ""
    other = RANDOM_WEIGHTS if epoch or labels[1] == RANDOM else second.name
    given = {
        "epoch": epoch,
        "layer": layers[0],
        "other-layer": "" if layers[0] == layers[1] else layers[1],
        **commands.data_options(data),
        "rule": rule,
        **options,
    }
    return commands.command("compare", picture, given, "compare", choice=first, other=other)


def name_of(network: Network, label: str) -> str:
    """The name of a network that was chosen by a label; an uploaded one has no other."""
    return label if network.bundle.name == UPLOADED else network.bundle.name


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
