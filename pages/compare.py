"""Compare: a picture in two networks, unit beside the most similar unit."""

import streamlit as st

from deconvviz.analysis.compare import Compare, Seen, Side
from deconvviz.io.card import inert
from deconvviz.plots.arrays import enlarge
from deconvviz.plots.display import display, display_caption, number
from deconvviz.ui import pickers, show
from deconvviz.ui.answers import spoken
from deconvviz.ui.atlas import datasets
from deconvviz.ui.comparing import compared, matches, others
from deconvviz.ui.experiments import some_pictures
from deconvviz.ui.navigation import link
from deconvviz.ui.networks import Network, chosen_network, input_view, pick_layer
from deconvviz.ui.pictures import pick_pictures

UNITS = 5
PICTURES = 300  # of the data, at most
SIDE = 220  # pixels that a projection is enlarged to


def answer(seen: Seen) -> str:
    """What a network says of the picture."""
    if not seen.answer:
        return f"**{seen.network}**"
    return f"**{seen.network}** says {inert(spoken(seen.answer))}, {seen.probability:.0%}"


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
        layer = pick_layer(network, "middle")
        same = second.layers if layer not in second.net.layers else (layer,)
        view = input_view(network, pictures[0], "trained")
        names = datasets(network)
        dataset = some_pictures(network, pickers.dataset(list(names)), PICTURES)
        first, other = (
            Side(network.bundle, network.net, layer),
            Side(second.bundle, second.net, same[-1]),
        )
        alike = matches(first, other, (network.key, second.key), dataset)
        found = compared(
            network, second, (layer, same[-1]), view, rule, UNITS, alike, dataset.fingerprint
        )
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
            st.markdown(f"{answer(found.second)}. Of its {same[-1]}, the units most like them:")
            row(found, found.second, rule)
        st.caption(
            "The number after a unit is its activation in this picture. r: correlation of the "
            f"activations of two units over {alike.data}, at all places of a grid of "
            f"{alike.positions[0]} × {alike.positions[1]}; the best of "
            f"{second.net.layers[same[-1]].channels} units. By chance: the same where each picture "
            f"in the one network is paired with another in the other. {display_caption()}"
        )
        channel = int(found.first.channels[0])
        link("workbench", f"Look at unit {channel} in the workbench", layer, channel)


show.title(
    "Compare",
    "The same picture in two networks. Below each unit stands the one of the other network that "
    "responds most as it does.",
)
side_by_side(chosen_network())
