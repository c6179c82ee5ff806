"""How to read the pictures, and when not to believe them, shown on one photograph."""

from dataclasses import replace

import streamlit as st

from deconvviz.deconv.rules import RULES
from deconvviz.io.images import PHOTOGRAPHS, photograph
from deconvviz.io.preprocess import Pixels
from deconvviz.plots.arrays import enlarge
from deconvviz.plots.display import display_caption
from deconvviz.ui import show
from deconvviz.ui.navigation import link
from deconvviz.ui.networks import chosen_network, evenly_spaced, input_view, random_twin
from deconvviz.ui.reconstructions import Projector, Reconstruction, reconstruct

SIDE = 260
STEPS = 4  # layers in the way up

RULE_WORDS = {
    "deconvnet": "Passes on what is positive on the way down, whatever the unit below did in the "
    "forward pass (Zeiler & Fergus 2014). Only the max poolings' switches come from the picture.",
    "gradient": "Passes on where the unit below was active. This is the true derivative: how the "
    "activation would change with each pixel (Simonyan et al. 2014). It is exact, and noisy.",
    "guided": "Passes on only where both hold (Springenberg et al. 2015). The cleanest pictures, "
    "and the ones that say most about the picture and least about the unit.",
}


def picture(pixels: Pixels, alt: str, caption: str) -> None:
    """A small picture as wide as its column, so that those of a row are equally large."""
    show.picture(enlarge(pixels, SIDE), alt, caption, "stretch")


def pair(one: Reconstruction, name: str) -> None:
    """A unit's window and its projection."""
    left, right = st.columns(2)
    with left:
        picture(one.patch, f"{name}: part of the photograph", "its window")
    with right:
        picture(one.picture, f"{name}: its projection", "its projection")


show.title(
    "How to read these pictures",
    "And when not to believe them. All pictures on this page are of the chosen network and of one "
    f"photograph: {PHOTOGRAPHS['cat'].title}.",
)
network = chosen_network()
view = input_view(network, photograph("cat"), "trained")
projector = Projector(network, view)
layers = evenly_spaced(network.layers, STEPS)
found = [one for layer in layers for one in reconstruct(projector, layer)]
if not found:
    st.info("No unit of this network is active in the photograph.", icon=":material/info:")
    st.stop()
top = found[-1]

st.header("What a picture shows", anchor=False)
words, pictures = st.columns(2, gap="medium")
with words:
    st.markdown(
        "A convolutional network is made of **layers**; each layer of **units** (also called "
        "channels, or feature maps). A unit looks at the picture through a small **window**, its "
        "receptive field, at every place. How strongly it responds at a place is its "
        "**activation**.\n\n"
        "To show what made a unit respond, its activation is sent back through the network, "
        "layer by layer, down to the pixels. The result is its **projection**. Grey means zero: "
        "nothing there. Lighter, darker and coloured pixels are the pattern that the unit picked "
        "out of its window."
    )
with pictures:
    pair(top, f"Unit {top.unit.channel} of {top.unit.layer}")

st.header("From edges to things", anchor=False)
st.markdown(
    "The strongest unit of some layers, lowest first. In a trained network low layers, with small "
    "windows, often respond to edges and colours; higher ones to textures, then to parts of things."
)
for cell, one in zip(st.columns(STEPS), found, strict=False):
    with cell:
        picture(one.picture, f"Strongest unit of {one.unit.layer}", one.unit.layer)

st.header("Three rules", anchor=False)
st.markdown(
    "They differ in one thing only: what happens on the way down where the network has a rectifier "
    "(ReLU), which sets negative values to zero."
)
for cell, rule in zip(st.columns(len(RULES)), RULES, strict=True):
    with cell:
        (one,) = reconstruct(replace(projector, rule=rule), top.unit.layer, top.unit)
        picture(one.picture, f"The same unit by the {rule} rule", rule)
        st.markdown(RULE_WORDS[rule])

st.header("When not to believe them", anchor=False)
left, right = st.columns(2, gap="large")
with left:
    st.subheader("It may come from the picture, not from the unit", anchor=False)
    st.markdown(
        "Below is the same unit in the same network **with new random weights**, which "
        "learned nothing. What looks alike in both cannot have been learned; mostly it is the "
        "picture's own edges, kept by the switches of the max poolings (Nie et al. 2018)."
    )
    twin = replace(projector, network=random_twin(network))
    for one in reconstruct(twin, top.unit.layer, top.unit):
        pair(one, "With random weights")
with right:
    st.subheader("It is not the reason for the answer", anchor=False)
    st.markdown(
        "A projection shows *what a unit responded to*. It does not show whether the unit "
        "mattered for the network's answer. For that, click a class on the workbench: it shows "
        "the units that raise its score most, estimated by activation times gradient.\n\n"
        "Guided and deconvnet projections can even stay the same when the layers above are "
        "replaced by random ones (Adebayo et al. 2018; Sixt et al. 2020)."
    )
    st.subheader("It is one picture", anchor=False)
    st.markdown(
        "A unit that responds to this eye may respond to wheels as well. See its strongest "
        "activations over many pictures before you give it a name."
    )
    link("atlas", "Atlas: each unit over many pictures", top.unit.layer, top.unit.channel)
st.markdown(
    "**How far to trust it**, on the workbench, puts numbers to this for one unit: it shuffles the "
    "unit's kernels, takes another unit, another start value and another picture's switches, and "
    "removes the marked pixels, each beside what chance would give."
)
link("workbench", "Try it on the workbench", top.unit.layer, top.unit.channel)
st.caption(display_caption())
