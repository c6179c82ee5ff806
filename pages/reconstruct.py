"""Reconstruct: the units of a layer, projected back to the pixels of a picture."""

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from deconvviz.deconv.rules import RULES
from deconvviz.io.images import Picture, to_png
from deconvviz.plots.display import display, display_caption
from deconvviz.plots.figures import enlarge, framed, mosaic
from deconvviz.plots.look import FAINT, Look
from deconvviz.ui import pickers, show
from deconvviz.ui.grid import unit_grid
from deconvviz.ui.navigation import link
from deconvviz.ui.networks import (
    InputView,
    Network,
    chosen_network,
    classify,
    input_view,
    pick_layer,
    random_twin,
)
from deconvviz.ui.pictures import pick_pictures
from deconvviz.ui.reconstructions import (
    Projector,
    Reconstruction,
    reconstruct,
    tiles,
    to_safetensors,
    whole_picture,
)
from deconvviz.ui.trust import known_trust_report, trust_report
from deconvviz.units import Unit

UNITS = 24  # in the grid
SIDE = 900  # pixels that the picture is enlarged to for its frames


def windows(view: InputView, strongest: Sequence[Reconstruction], one: Reconstruction) -> None:
    """The network's input picture, with the windows outlined."""
    pixels = framed(view.array, [other.box for other in strongest], one.box, SIDE)
    width, height = view.image.size
    show.picture(pixels, f"{view.picture.name}, the windows of the strongest units outlined")
    st.caption(
        f"Input of the network: {width} × {height} pixels. White: windows of the "
        f"{len(strongest)} strongest units. Orange: window of unit {one.unit.channel}."
    )
    for notice in view.picture.notices:
        st.caption(f"Note: {notice}.")


def predictions(network: Network, view: InputView) -> None:
    """The network's five most probable classes."""
    if view.size == "trained" and network.bundle.classes:
        st.subheader("Predictions", anchor=False)
        for name, probability in list(classify(network, view).items())[:5]:
            st.progress(probability, f"{name}, {probability:.1%}")


def whole(projector: Projector, one: Reconstruction, share: float) -> None:
    """Many positions of one feature map, projected together, in their places."""
    layer, channel, rule = one.unit.layer, one.unit.channel, projector.rule
    pixels, count = whole_picture(projector, layer, channel, share)
    picture = display(pixels, percentile=show.WHOLE_PERCENTILE)
    name = projector.view.picture.name
    show.picture(enlarge(picture, SIDE), f"{name} through unit {channel}, {rule}")
    places = "1 position" if count == 1 else f"{count:,} positions".replace(",", " ")
    st.caption(
        f"Unit {channel} of {layer}: {places}, projected together. "
        f"Full contrast at percentile {show.WHOLE_PERCENTILE}."
    )
    show.downloads(
        f"{layer}-unit{channel}-whole-{rule}",
        lambda: to_png(picture),
        lambda: to_safetensors(projector, one, pixels),
    )


def three_rules(
    projector: Projector,
    unit: Unit,
    look: Look,
    cells: Sequence[DeltaGenerator],
    note: str = "",
) -> None:
    """A unit's reconstruction by each rule, in a cell each."""
    for cell, rule in zip(cells, RULES, strict=True):
        (one,) = reconstruct(replace(projector, rule=rule), unit.layer, unit)
        with cell:
            picture = enlarge(one.picture, 300, crisp=look.crisp)
            alt = f"Unit {unit.channel} reconstructed by the {rule} rule{note}"
            show.picture(picture, alt, f"{rule}{note}")


def details(projector: Projector, one: Reconstruction, look: Look) -> None:
    """One unit's window, and the three rules side by side."""
    unit, (top, left, bottom, right) = one.unit, one.box
    st.subheader(f"Unit {unit.channel}: details", anchor=False)
    height, width = projector.network.net.layers[unit.layer].receptive_field
    st.markdown(
        f"Activation **{one.value:.3g}**, in row {unit.y}, column {unit.x} of the feature map. The "
        f"receptive field has {height} × {width} pixels: rows {top} to {bottom - 1} and columns "
        f"{left} to {right - 1} of the picture."
    )
    if one.share < FAINT:
        st.caption(
            f"Faint: {one.share:.2%} of the layer's largest activation in this picture, so its "
            "reconstructions are not stretched to full contrast."
        )
    cells = st.columns(1 + len(RULES))
    (patch,) = look.patches([one.patch], [one.pixels])
    with cells[0]:
        part = enlarge(patch, 300, crisp=look.crisp)
        show.picture(part, "The part of the picture in the window", "picture")
    three_rules(projector, unit, look, cells[1:])
    if pickers.beside() == "random weights":
        twin = replace(projector, network=random_twin(projector.network))
        cells = st.columns(1 + len(RULES))
        cells[0].caption("The same unit at the same place, in the same network with random weights")
        three_rules(twin, unit, look, cells[1:], ", random weights")
    show.downloads(
        f"{unit.layer}-unit{unit.channel}-y{unit.y}-x{unit.x}-{projector.rule}",
        lambda: to_png(one.picture),
        lambda: to_safetensors(projector, one, one.pixels),
    )
    label = f"Strongest activations of unit {unit.channel} over many pictures"
    link("atlas", label, unit.layer, unit.channel)


def trust(projector: Projector, one: Reconstruction) -> None:
    """Whether the reconstruction is specific to this unit."""
    st.subheader("How far to trust it", anchor=False)
    asked = (projector.network, projector.view, one.unit, projector.rule)
    report, channel = known_trust_report(*asked), one.unit.channel
    if report is None:
        st.markdown(
            f"Is this picture specific to unit {channel}, or would any unit give it? Controls "
            "shuffle the unit's kernels, replace the unit, the start value and the switches, and "
            "remove the pixels that the projection marks. Each is compared with its chance level."
        )
        if not st.button("Run the controls", icon=":material/fact_check:"):
            return
        report = trust_report(*asked)
    st.markdown(report.summary)
    alt = f"Similarity of the reconstruction of unit {channel} to its controls"
    st.image(report.figure, width="stretch", output_format="PNG", alt=alt)
    with st.expander("Other attributions of the same unit"):
        st.markdown(report.others_summary)
        alt = f"Attributions of unit {channel} side by side"
        st.image(report.others_figure, width="stretch", output_format="PNG", alt=alt)


def other_pictures(
    projector: Projector, layer: str, channel: int, others: Sequence[Picture]
) -> None:
    """The same feature map in the other chosen pictures."""
    if not others:
        return
    st.subheader(f"Unit {channel} in the other pictures", anchor=False)
    with st.container(horizontal=True, gap="medium"):
        for picture in others:
            view = input_view(projector.network, picture, projector.view.size)
            found = reconstruct(replace(projector, view=view), layer, channel)
            with st.container(width=300):
                for one in found:
                    pair = mosaic([one.patch, one.picture], columns=2, gap=6, side=140)
                    show.picture(pair, f"Unit {channel} in {picture.name}: patch, reconstruction")
                value = f"{found[0].value:.3g}" if found else "not active"
                st.caption(f"{picture.name}: {value}")


@st.fragment
def units(network: Network, view: InputView, others: Sequence[Picture], layer: str) -> None:
    """The strongest units of a layer, and details of one; a click reruns this part alone."""
    with show.errors():
        with st.container(horizontal=True, gap="medium"):
            chosen = pickers.pick_unit(layer, network.net.layers[layer].channels)
            share = pickers.share()
            projector = Projector(network, view, pickers.rule(), pickers.start())
            look = pickers.look()
        strongest = reconstruct(projector, layer, count=UNITS)
        if not strongest:
            st.info(f"No unit of {layer} is active in this picture.", icon=":material/info:")
            return
        found = reconstruct(projector, layer, chosen)
        if not found:
            st.info(
                f"Unit {chosen} is not active in this picture. The strongest unit is shown.",
                icon=":material/info:",
            )
        one = (found or strongest)[0]
        left, right = st.columns(2)
        with left:
            windows(view, strongest, one)
            predictions(network, view)
        st.subheader(f"Strongest units of {layer}", anchor=False)
        st.markdown("For each unit: its window in the picture, and its reconstruction.")
        grid = tiles(projector, layer, UNITS, look)
        unit_grid(grid, f"Strongest units of {layer}", one.unit.channel, crisp=look.crisp)
        details(projector, one, look)
        trust(projector, one)
        other_pictures(projector, layer, one.unit.channel, others)
        st.caption(display_caption())
        with right:  # last, because it takes longest
            whole(projector, one, share)


show.title(
    "Reconstruct",
    "Choose a picture and a layer. You see the units with the highest activations; click one for "
    "its details.",
)
network = chosen_network()
pictures = pick_pictures()
if not pictures:
    st.stop()
size = pickers.input_size()
layer = pick_layer(network, "middle")
view = input_view(network, pictures[0], size)
if view.is_flat:
    st.info(
        "This picture has a single colour, so it contains no pattern. Any activation comes from "
        "biases and from the zero padding at the border.",
        icon=":material/info:",
    )
units(network, view, pictures[1:], layer)
