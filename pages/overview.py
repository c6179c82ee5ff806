"""The network: its card, how it is reversed and checked, and one photograph layer by layer."""

import streamlit as st

from deconvviz.io.images import PHOTOGRAPHS, photograph
from deconvviz.plots.arrays import enlarge, mosaic
from deconvviz.plots.display import display, display_caption
from deconvviz.plots.look import WHOLE_PERCENTILE
from deconvviz.ui import show
from deconvviz.ui.navigation import link
from deconvviz.ui.networks import chosen_network, evenly_spaced, input_view, verification
from deconvviz.ui.reconstructions import Projector, reconstruct, whole_picture

CAT = PHOTOGRAPHS["cat"]
SHARE = 0.1  # of a feature map's positions
LAYERS = 9  # at most


def strongest_unit(projector: Projector, layer: str) -> None:
    """A layer's strongest unit: the whole picture through it, and where it is strongest."""
    for one in reconstruct(projector, layer):
        channel = one.unit.channel
        pixels, _ = whole_picture(projector, layer, channel, SHARE)
        whole = display(pixels, percentile=WHOLE_PERCENTILE)
        alt = f"The cat, reconstructed from unit {channel} of {layer}"
        show.picture(enlarge(whole, 500), alt, width="stretch")
        pair = mosaic([one.patch, one.picture], columns=2, gap=8, side=250)
        alt = f"Window of unit {channel} of {layer}, and its reconstruction"
        show.picture(pair, alt, width="stretch")
        link("workbench", f"{layer}, unit {channel}", layer, channel)
        st.caption(show.describe_layer(projector.network.net.layers[layer]))


network = chosen_network()
cat = input_view(network, photograph("cat"), 256)
layers = evenly_spaced(network.layers, LAYERS)
show.title("The network", "What is loaded, how well it works, and whether its pictures are right.")
show.network(network.bundle)
show.coverage(network.net.coverage)
compared = st.empty()  # filled last: a large network's comparison takes seconds

st.header("One photograph, layer by layer", anchor=False)
some = "" if len(layers) == len(network.layers) else f" ({len(layers)} of {len(network.layers)})"
st.markdown(
    f"{CAT.title} ({CAT.credit}). For each layer{some} you see the unit with the highest "
    "activation. Above: the whole picture, projected from the strongest tenth of the unit's "
    "positions. Below: the window with the highest activation, and its reconstruction. Units of "
    "higher layers have larger windows."
)
columns = min((3, 4), key=lambda count: -len(layers) % count)  # fewest places left empty
rows = [st.columns(columns, gap="medium") for _ in range(0, len(layers), columns)]
cells = [cell for row in rows for cell in row]
for cell, layer in zip(cells, layers, strict=False):
    with cell:
        strongest_unit(Projector(network, cat), layer)
st.caption(f"{display_caption()} Whole pictures: at percentile {WHOLE_PERCENTILE}.")

with compared:
    show.proof(network.net.checked, verification(network, layers))
