"""Overview: what this is, which network is loaded, and a picture already reconstructed."""

import streamlit as st

from deconvviz import ui
from deconvviz.images import PHOTOGRAPHS, display, display_caption, photograph

ui.title(
    "What do its units see?",
    "A convolutional network is a stack of units that each look at a small window of a picture. "
    "deconvviz runs a unit's activation backwards through the network, down to pixels (Zeiler & "
    "Fergus 2014). What appears is a *projection*: the pattern through which the unit was "
    "reached, **not** an attribution that says how much a pixel mattered for a decision.",
)
network = ui.chosen_network()
ui.describe_network(network.bundle)

cat = ui.sight(network, photograph("cat"), 256)
st.header("One photograph, layer by layer", anchor=False)
st.markdown(
    "For each layer its strongest unit here, with the strongest tenth of that unit's positions "
    "projected back together. Deeper units see more of the picture at once."
)
left, right = st.columns([1, 3], gap="medium")
with left:
    ui.show(cat.shown, PHOTOGRAPHS["cat"].title)
    st.caption(f"{PHOTOGRAPHS['cat'].title}. {PHOTOGRAPHS['cat'].credit}.")
cells = [cell for _ in range(0, len(network.layers), 3) for cell in right.columns(3)]
for cell, layer in zip(cells, network.layers, strict=False):
    with cell:
        for one in ui.units(network, cat, layer, None, 1, "deconvnet", "activation"):
            unit = one.channel
            pixels, _ = ui.whole(network, cat, layer, unit, 0.1, "deconvnet", "activation")
            ui.show(display(pixels), f"The cat, reconstructed from unit {unit} of {layer}")
            ui.link("reconstruct", f"{layer}, unit {unit}", layer=layer, unit=str(unit))
            st.caption(ui.describe_layer(network.net.layers[layer]))
st.caption(display_caption())

st.header("Where to go", anchor=False)
ui.link("reconstruct", "Reconstruct: choose pictures, layers, units and rules; or use your own")
ui.link("filters", "Filters: the kernels, and which units are active at all")
ui.link("accuracy", "Accuracy: how good the two networks are, and what that proves")
