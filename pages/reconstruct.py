"""Reconstruct: what the units of a layer saw in a picture."""

from collections.abc import Sequence

import streamlit as st

from deconvviz import ui
from deconvviz.deconv.projection import Start
from deconvviz.deconv.rules import RULES, Rule
from deconvviz.io.images import Picture, to_png
from deconvviz.plots.display import display, display_caption
from deconvviz.plots.figures import enlarge, framed, mosaic
from deconvviz.ui.explore import InputView, Network, Reconstruction, raw

UNITS = 24  # in the grid
SIDE = 900  # pixels that the picture is enlarged to for its frames


def picture_with_windows(
    sight: InputView, strongest: Sequence[Reconstruction], unit: Reconstruction
) -> None:
    """The picture as the network is given it, and where the windows lie."""
    pixels = framed(sight.shown, [one.box for one in strongest], unit.box, SIDE)
    width, height = sight.image.size
    ui.show(pixels, f"{sight.picture.name}, the windows of the strongest units outlined")
    st.caption(
        f"As the network is given it: {width} × {height} pixels. White, the windows of the "
        f"{len(strongest)} strongest units; orange, unit {unit.channel}'s."
    )
    for notice in sight.picture.notices:
        st.caption(f"Note: {notice}.")


def whole_picture(
    network: Network, sight: InputView, unit: Reconstruction, share: float, rule: Rule, start: Start
) -> None:
    """Many positions of one feature map, projected together, in their places."""
    pixels, count = ui.whole(network, sight, unit.layer, unit.channel, share, rule, start)
    shown = display(pixels, percentile=ui.WHOLE_PERCENTILE)
    ui.show(enlarge(shown, SIDE), f"{sight.picture.name} through unit {unit.channel}, {rule}")
    places = "1 position" if count == 1 else f"{count:,} positions".replace(",", " ")
    st.caption(
        f"Through unit {unit.channel} of {unit.layer}: {places}, projected together. "
        f"Full contrast at percentile {ui.WHOLE_PERCENTILE}."
    )
    name = f"{unit.layer}-unit{unit.channel}-whole-{rule}"
    ui.downloads(
        name, lambda: to_png(shown), lambda: raw(network, sight, unit, rule, start, pixels)
    )


def classes(network: Network, sight: InputView) -> None:
    """What the classifier takes the picture for."""
    if sight.size != "trained" or not network.bundle.classes:
        return
    st.subheader("Taken for", anchor=False)
    for name, probability in list(ui.classification(network, sight).items())[:5]:
        st.progress(probability, f"{name}, {probability:.1%}")


def closely(
    network: Network, sight: InputView, unit: Reconstruction, rule: Rule, start: Start
) -> None:
    """One unit's window, and the three rules side by side."""
    st.subheader(f"Unit {unit.channel} closely", anchor=False)
    size = network.net.layers[unit.layer].receptive_field
    st.markdown(
        f"Its strongest activation here is **{unit.value:.3g}**, in row {unit.y}, column {unit.x} "
        f"of its feature map. It sees {size[0]} × {size[1]} pixels; its window here has rows "
        f"{unit.box[0]} to {unit.box[2] - 1}, columns {unit.box[1]} to {unit.box[3] - 1} of the "
        "picture."
    )
    cells = st.columns(1 + len(RULES))
    with cells[0]:
        ui.show(enlarge(unit.patch, 300), "The part of the picture in the window", "the picture")
    for cell, each in zip(cells[1:], RULES, strict=True):
        (one,) = ui.units(network, sight, unit.layer, unit.channel, 1, each, start)
        with cell:
            shown = enlarge(display(one.pixels), 300)
            ui.show(shown, f"Unit {unit.channel} reconstructed by the {each} rule", each)
    name = f"{unit.layer}-unit{unit.channel}-y{unit.y}-x{unit.x}-{rule}"
    ui.downloads(
        name,
        lambda: to_png(display(unit.pixels)),
        lambda: raw(network, sight, unit, rule, start, unit.pixels),
    )
    label = f"What excites unit {unit.channel} most, over many pictures"
    ui.link("atlas", label, layer=unit.layer, unit=str(unit.channel))


def trust(network: Network, sight: InputView, unit: Reconstruction, rule: Rule) -> None:
    """Whether the reconstruction shows this unit, or what any unit would show."""
    st.subheader("How far to trust it", anchor=False)
    report = ui.known_trust_report(network, sight, unit.unit, rule)
    if report is None:
        st.markdown(
            f"Does this picture show unit {unit.channel}, or what any unit would show here? Its "
            "kernels are shuffled, other units, starts and switches take its place, and the pixels "
            "that it marks are taken away; each against its chance level."
        )
        if not st.button("Examine it", icon=":material/fact_check:"):
            return
        report = ui.trust_report(network, sight, unit.unit, rule)
    st.markdown(report.summary)
    alt = f"How alike the reconstruction of unit {unit.channel} and its controls are"
    st.image(report.figure, width="stretch", output_format="PNG", alt=alt)
    with st.expander("Other attributions of the same unit"):
        st.markdown(report.others_summary)
        alt = f"Attributions of unit {unit.channel} side by side"
        st.image(report.others_figure, width="stretch", output_format="PNG", alt=alt)


def elsewhere(
    network: Network,
    others: Sequence[Picture],
    sight: InputView,
    unit: Reconstruction,
    rule: Rule,
    start: Start,
) -> None:
    """The same unit in the other chosen pictures."""
    if not others:
        return
    st.subheader(f"Unit {unit.channel} in the other pictures", anchor=False)
    with st.container(horizontal=True, gap="medium"):
        for picture in others:
            other = ui.sight(network, picture, sight.size)
            found = ui.units(network, other, unit.layer, unit.channel, 1, rule, start)
            with st.container(width=300):
                for one in found:
                    pair = mosaic([one.patch, display(one.pixels)], columns=2, gap=6, side=140)
                    ui.show(pair, f"Unit {unit.channel} in {picture.name}: patch, reconstruction")
                value = f"{found[0].value:.3g}" if found else "not active"
                st.caption(f"{picture.name}: {value}")


@st.fragment
def units(network: Network, sight: InputView, others: Sequence[Picture], layer: str) -> None:
    """The strongest units of a layer, one of them closely; a click runs this part alone."""
    with ui.refusals():
        with st.container(horizontal=True, gap="medium"):
            picked = ui.pick_unit(network.net.layers[layer].channels)
            share, rule, start = ui.pick_share(), ui.pick_rule(), ui.pick_start()
        strongest = ui.units(network, sight, layer, None, UNITS, rule, start)
        if not strongest:
            st.info(f"No unit of {layer} is active in this picture.", icon=":material/info:")
            return
        found = ui.units(network, sight, layer, picked, 1, rule, start)
        if not found:
            st.info(
                f"Unit {picked} is not active anywhere in this picture; below is the strongest.",
                icon=":material/info:",
            )
        unit = (found or strongest)[0]
        left, right = st.columns(2)
        with left:
            picture_with_windows(sight, strongest, unit)
            classes(network, sight)
        st.subheader(f"The strongest units of {layer}", anchor=False)
        st.markdown("Each with the part of the picture that it sees, and its reconstruction.")
        ui.unit_grid(
            ui.tiles(network, sight, layer, UNITS, rule, start),
            str(unit.channel),
            f"Strongest units of {layer}",
        )
        closely(network, sight, unit, rule, start)
        trust(network, sight, unit, rule)
        elsewhere(network, others, sight, unit, rule, start)
        st.caption(display_caption())
        with right:  # last, because it takes longest
            whole_picture(network, sight, unit, share, rule, start)


ui.title(
    "Reconstruct",
    "Choose a picture and a layer; see what its units answered to, and pick one to look closer.",
)
network = ui.chosen_network()
pictures = ui.pick_pictures()
if not pictures:
    st.info("Choose a picture above, or add your own.", icon=":material/add_photo_alternate:")
    st.stop()
size = ui.pick_size()
layer = ui.pick_layer(network.layers, default=len(network.layers) // 2)
st.caption(f"{layer}: {ui.describe_layer(network.net.layers[layer])}")
sight = ui.sight(network, pictures[0], size)
if sight.is_flat:
    st.info(
        "This picture is one flat colour, so no unit is active on a pattern of it. What is shown, "
        "if anything, answers to biases and to the zeros around the border.",
        icon=":material/info:",
    )
units(network, sight, pictures[1:], layer)
