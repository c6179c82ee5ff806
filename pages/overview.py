"""Overview: what this is, which network is loaded, and a picture already reconstructed."""

import streamlit as st

from deconvviz import ui
from deconvviz.io.images import PHOTOGRAPHS, photograph
from deconvviz.plots.display import display, display_caption
from deconvviz.plots.figures import enlarge, mosaic
from deconvviz.ui.explore import InputView, Network, spread

CAT = PHOTOGRAPHS["cat"]
SHARE = 0.1  # of a feature map's positions
LAYERS = 9  # at most


def strongest_unit(network: Network, sight: InputView, layer: str) -> None:
    """A layer's strongest unit: the whole picture through it, and where it is strongest."""
    for one in ui.units(network, sight, layer, None, 1, "deconvnet", "activation"):
        unit = one.channel
        pixels, _ = ui.whole(network, sight, layer, unit, SHARE, "deconvnet", "activation")
        whole = display(pixels, percentile=ui.WHOLE_PERCENTILE)
        ui.show(enlarge(whole, 500), f"The cat, reconstructed from unit {unit} of {layer}")
        pair = mosaic([one.patch, display(one.pixels)], columns=2, gap=8, side=250)
        ui.show(pair, f"What unit {unit} of {layer} sees, and its reconstruction")
        ui.link("reconstruct", f"{layer}, unit {unit}", layer=layer, unit=str(unit))
        st.caption(ui.describe_layer(network.net.layers[layer]))


network = ui.chosen_network()
cat = ui.sight(network, photograph("cat"), 256)
words, picture = st.columns([2, 1], gap="medium")
with words:
    ui.title(
        "What do its units see?",
        "A convolutional network is a stack of units that each look at a small window of a "
        "picture. deconvviz runs a unit's activation backwards through the network, down to "
        "pixels (Zeiler & Fergus 2014). What appears is a *projection*: the pattern through which "
        "the unit was reached, **not** an attribution that says how much a pixel mattered for a "
        "decision.",
    )
    ui.describe_network(network.bundle)
    ui.describe_coverage(network.net.coverage)
with picture:
    ui.show(enlarge(cat.shown, 500), CAT.title)
    st.caption(f"{CAT.title}. {CAT.credit}.")

st.header("One photograph, layer by layer", anchor=False)
layers = spread(network.layers, LAYERS)
some = "" if len(layers) == len(network.layers) else f" ({len(layers)} of {len(network.layers)})"
st.markdown(
    f"For each layer{some} its strongest unit here: the whole picture through the strongest tenth "
    "of the unit's positions; below, the window where it is strongest, beside its reconstruction. "
    "Deeper units see more of the picture at once."
)
columns = min((3, 4), key=lambda count: -len(layers) % count)  # fewest places left empty
rows = [st.columns(columns, gap="medium") for _ in range(0, len(layers), columns)]
cells = [cell for row in rows for cell in row]
for cell, layer in zip(cells, layers, strict=False):
    with cell:
        strongest_unit(network, cat, layer)
st.caption(f"{display_caption()} Whole pictures: at percentile {ui.WHOLE_PERCENTILE}.")

st.header("Where to go", anchor=False)
ui.link("reconstruct", "Reconstruct: choose pictures, layers, units and rules; or use your own")
ui.link("atlas", "Atlas: what excites each unit most, over many pictures")
ui.link("filters", "Filters: the kernels, and which units are active at all")
ui.link("accuracy", "Accuracy: how good the two networks are, and what that proves")
