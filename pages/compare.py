"""Compare: a picture in two networks, unit beside the most similar unit."""

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from deconvviz.analysis.compare import Compare, Seen, Side
from deconvviz.io.card import inert
from deconvviz.plots.arrays import enlarge
from deconvviz.plots.display import display, display_caption, number, percent
from deconvviz.plots.files import figure_png
from deconvviz.ui import pickers, show
from deconvviz.ui.answers import spoken
from deconvviz.ui.atlas import datasets
from deconvviz.ui.commands import show_command
from deconvviz.ui.comparing import command, compared, matches, name_of, others
from deconvviz.ui.experiments import some_pictures
from deconvviz.ui.navigation import link
from deconvviz.ui.networks import Network, chosen_network, input_view, pick_layer
from deconvviz.ui.pickers import Picker
from deconvviz.ui.pictures import pick_pictures

UNITS = 5
PICTURES = 300  # of the data, at most
SIDE = 220  # pixels that a projection is enlarged to


other_layer = Picker[str]("other-layer", "Layer of the other network", widget="list", width=280)


def pick_other_layer(network: Network, layer: str, second: Network) -> str:
    """The layer of the second network: that of the same name, else the last, or one to choose."""
    same = layer in second.layers
    default = layer if same else second.layers[-1]
    if network.layers == second.layers:
        return default
    first = "the same name" if same else f"the last, {default}"
    return other_layer({first: default, **{name: name for name in second.layers}})


def named(found: Compare, names: Sequence[str]) -> Compare:
    """With the names of the networks that this session knows."""
    first, second = (
        replace(one, network=name)
        for one, name in zip((found.first, found.second), names, strict=True)
    )
    return replace(found, first=first, second=second)


def files(found: Compare, command: str) -> None:
    """The figure, all numbers, and the command that gives them."""
    with st.container(horizontal=True):
        show.download(lambda: figure_png(found.figure()), "compare.png", "Figure")
        show.download(lambda: found.to_json().encode(), "compare.json", "Numbers")
    if command:
        show_command(command)


def answer(seen: Seen) -> str:
    """What a network says of the picture."""
    name = inert(seen.network)
    if not seen.answer:
        return f"**{name}**"
    return f"**{name}** says {inert(spoken(seen.answer))}, {percent(seen.probability)}"


def row(found: Compare, seen: Seen, rule: str) -> None:
    """One network's units."""
    pictures = display(seen.projections)
    shown = []
    for place, channel in enumerate(seen.channels.tolist()):
        text = f"unit {channel}, {number(float(seen.activation[place]))}"
        if seen is found.second:
            source = int(found.first.channels[place])
            alike = f"r {float(found.matches.correlation[source]):.2f}"
            text = "no unit is like it" if channel < 0 else f"{text} ({alike})"
        alt = f"Unit {channel} of {seen.network}, by the {rule} rule"
        shown.append(show.Captioned(pictures[place], alt, text))
    show.row(shown)


@st.fragment
def side_by_side(network: Network) -> None:
    """Two networks; a choice reruns this part alone."""
    with show.errors():
        line, below = st.container(horizontal=True, vertical_alignment="bottom"), st.container()
        with line:
            pictures = pick_pictures(below=below)
            choices = others(network)
            second = pickers.compared_with(choices)()
            rule = pickers.rule()
        if not pictures:
            return
        labels = (st.session_state["model"], st.session_state["with"])
        names = [name_of(*pair) for pair in zip((network, second), labels, strict=True)]
        layer = pick_layer(network, "middle")
        other = pick_other_layer(network, layer, second)
        view = input_view(network, pictures[0], "trained")
        data = pickers.dataset(list(datasets(network)))
        dataset = some_pictures(network, data, PICTURES)
        sides = (
            Side(network.bundle, network.net, layer),
            Side(second.bundle, second.net, other),
        )
        alike = matches(*sides, (network.key, second.key), dataset)
        found = compared(
            network, second, (layer, other), view, rule, UNITS, alike, dataset.fingerprint
        )
        found = named(found, names)
        st.markdown(
            f"The best match of a unit of {layer} correlates with it by **{alike.mean:.2f}** on "
            f"average. By chance it would by **{alike.mean_chance:.2f}**."
        )
        left, right = st.columns((1, 4))
        with left:
            show.picture(
                enlarge(found.picture, SIDE), f"{pictures[0].name}, as the networks see it"
            )
        with right:
            if not len(found.first.channels):
                st.info(f"No unit of {layer} is active in this picture.", icon=":material/info:")
                return
            st.markdown(f"{answer(found.first)}. Its strongest units of {layer}:")
            row(found, found.first, rule)
            st.markdown(f"{answer(found.second)}. Of its {other}, the units most like them:")
            row(found, found.second, rule)
        st.caption(
            "The number after a unit is its activation in this picture. r: correlation of the "
            f"activations of two units over {alike.data}, at all places of a grid of "
            f"{alike.positions[0]} × {alike.positions[1]}; the best of "
            f"{second.net.layers[other].channels} units. By chance: the same where each picture "
            f"in the one network is paired with another in the other. {display_caption()}"
        )
        options = {"units": UNITS, "count": PICTURES}
        files(found, command(labels, pictures[0].name, (layer, other), data, rule, options))
        channel = int(found.first.channels[0])
        link("workbench", f"Look at unit {channel} in the workbench", layer, channel)


show.title(
    "Compare",
    "The same picture in two networks. Below each unit stands the one of the other network that "
    "responds most as it does.",
)
side_by_side(chosen_network())
