"""Filters: the kernels of each layer, and which of its units are active at all."""

import streamlit as st

from deconvviz import ui
from deconvviz.plots.display import display
from deconvviz.ui.explore import Kernels, Network

SLICES = 36  # shown of a later unit's kernel
SCALE = "symmetric about grey (zero); full contrast at percentile 99.5 of the magnitudes"


def first_kernels(sheet: Kernels, unit: int) -> None:
    """Kernels that look at pixels, in colour."""
    tiles = [
        ui.Tile.of(str(channel), [kernel], "", f"Kernel of unit {channel}")
        for channel, kernel in enumerate(display(sheet.weights))
    ]
    ui.unit_grid(tiles, str(unit), f"Kernels of {sheet.convolution}")
    st.caption(f"Red, green and blue; each kernel on its own scale, {SCALE}.")


def later_kernels(sheet: Kernels, unit: int) -> None:
    """One unit's kernels on the maps below it."""
    maps, slices, share = sheet.strongest_slices(unit, SLICES)
    tiles = [
        ui.Tile.of(str(below), [kernel], "", f"Kernel of unit {unit} on map {below}")
        for below, kernel in zip(maps, display(slices, scale="shared"), strict=True)
    ]
    st.markdown(
        f"Unit {unit} has a kernel on each of the {sheet.weights.shape[1]} maps below it. These "
        f"are the {len(tiles)} largest; they hold **{share:.0%}** of its squared weights."
    )
    ui.unit_grid(tiles, None, f"Kernels of unit {unit}", what="map", clickable=False)
    st.caption(f"White adds, black takes away; all on one scale, {SCALE}.")


def activity(survey: ui.AtlasView, unit: int, layer: str) -> None:
    """How the units behave: one in words, all in a chart and a table."""
    units, pictures = survey.atlas[layer], survey.atlas.header.pictures
    assert units.mean is not None
    assert units.active is not None
    assert units.activation_frequency is not None
    st.markdown(
        f"Over **{pictures}** natural tiles: the photographs inside scikit-image, cut into squares "
        "of the network's input size. They are not what it was trained on. A unit is *active* "
        "where it is above zero, and called *dead* if that never happened on these tiles."
    )
    dead, total = int(units.dead.sum()), len(units)
    st.markdown(
        f"Of {total} units **{dead}** {'is' if dead == 1 else 'are'} dead. Unit {unit} is active "
        f"at {units.active[unit]:.1%} of all positions and somewhere in "
        f"{units.activation_frequency[unit]:.0%} of the tiles; its mean is {units.mean[unit]:.3g}."
    )
    table = {
        "unit": range(total),
        "mean": units.mean.tolist(),
        "largest": units.value[:, 0].tolist(),
        "active positions": (100 * units.active).tolist(),
        "active tiles": (100 * units.activation_frequency).tolist(),
        "state": ["dead" if silent else "alive" for silent in units.dead.tolist()],
    }
    chart, sortable = st.columns(2)
    chart.scatter_chart(
        table,
        x="active positions",
        y="mean",
        color="state",
        height=380,
        x_label="active, % of positions",
        y_label="mean activation",
    )
    percent = st.column_config.NumberColumn(format="%.1f %%")
    number = st.column_config.NumberColumn(format="%.3f")
    sortable.dataframe(
        table,
        hide_index=True,
        height=380,
        column_config={
            "mean": number,
            "largest": number,
            "active positions": percent,
            "active tiles": percent,
        },
    )
    ui.link("atlas", f"What excites unit {unit} of {layer}", layer=layer, unit=str(unit))
    ui.link("reconstruct", f"Reconstruct unit {unit} of {layer}", layer=layer, unit=str(unit))


@st.fragment
def units(network: Network, layer: str) -> None:
    """A layer's kernels and statistics; a click runs this part alone."""
    with ui.refusals():
        sheet = ui.kernel_sheet(network, layer)
        st.header("Kernels", anchor=False)
        scaled = f", times the scale of `{sheet.scaled_by}`" if sheet.scaled_by else ""
        st.markdown(f"The weights of `{sheet.convolution}`{scaled}.")
        survey = ui.survey(network)
        picked = ui.pick_unit(len(sheet.weights))
        strongest = int(survey.atlas[layer].value[:, 0].argmax())
        unit = strongest if picked is None else picked
        show = first_kernels if sheet.weights.shape[1] == 3 else later_kernels
        show(sheet, unit)
        st.header("Activity", anchor=False)
        activity(survey, unit, layer)


ui.title(
    "Filters",
    "The kernels that a network has learnt, and how often its units have anything to say.",
)
network = ui.chosen_network()
layer = ui.pick_layer(network.layers)
st.caption(f"{layer}: {ui.describe_layer(network.net.layers[layer])}")
units(network, layer)
