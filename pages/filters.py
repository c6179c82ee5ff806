"""Filters: the kernels of each layer, and the activation frequency of its units."""

from typing import Any

import streamlit as st

from deconvviz.analysis.kernels import Kernels
from deconvviz.io.card import spaced
from deconvviz.plots.display import display, number, percent
from deconvviz.ui import pickers, show
from deconvviz.ui.atlas import AtlasView, atlas_view
from deconvviz.ui.grid import Tile, unit_grid
from deconvviz.ui.navigation import link
from deconvviz.ui.networks import Network, chosen_network, kernels, pick_layer

SLICES = 36  # of a later unit's kernel, at most
SCALE = "symmetric about grey (zero); full contrast at percentile 99.5 of the magnitudes"


def show_kernels(found: Kernels, channel: int) -> None:
    """All kernels on the pixels, in colour; or of a later layer, one unit's largest kernels."""
    if found.weights.shape[1] == 3:
        tiles = [
            Tile.of(number, [kernel], "", f"Kernel of unit {number}")
            for number, kernel in enumerate(display(found.weights))
        ]
        unit_grid(tiles, f"Kernels of {found.convolution}", channel, crisp=True)
        st.caption(f"In colour; each kernel on its own scale, {SCALE}.")
        return
    maps, slices, share = found.strongest_slices(channel, SLICES)
    tiles = [
        Tile.of(below, [kernel], "", f"Kernel of unit {channel} on map {below}")
        for below, kernel in zip(maps, display(slices, scale="shared"), strict=True)
    ]
    st.markdown(
        f"Unit {channel} has one kernel for each of the {found.weights.shape[1]} feature maps "
        f"below it. These {len(tiles)} are the largest; together they hold **{percent(share)}** of "
        "its squared weights."
    )
    unit_grid(tiles, f"Kernels of unit {channel}", noun="map", crisp=True)
    st.caption(f"White is positive, black is negative; all on one scale, {SCALE}.")


def scatter(has_dead: bool) -> dict[str, Any]:
    """Each unit's mean activation over its share of active positions, with no dot cut off."""
    encoding: dict[str, Any] = {
        "x": {
            "field": "active positions",
            "type": "quantitative",
            "title": "active positions, %",
            "scale": {"domain": [-3, 103], "nice": False},
            "axis": {"values": [0, 20, 40, 60, 80, 100]},
        },
        "y": {
            "field": "mean",
            "type": "quantitative",
            "title": "mean activation",
            "scale": {"padding": 8, "nice": False},
        },
        "tooltip": [{"field": name} for name in ("unit", "mean", "active positions", "state")],
    }
    if has_dead:  # else its legend would have one entry
        legend = {"orient": "bottom", "title": None}
        encoding["color"] = {"field": "state", "type": "nominal", "legend": legend}
    return {"mark": {"type": "circle", "size": 64}, "encoding": encoding}


def activity(network: Network, view: AtlasView, layer: str, channel: int) -> None:
    """Activation frequency of the units: one in words, all in a chart and a table."""
    units, pictures = view.atlas[layer], view.atlas.header.pictures
    assert units.mean is not None
    assert units.active is not None
    assert units.activation_frequency is not None
    st.markdown(
        f"Measured on **{spaced(pictures)}** natural tiles: photographs of scikit-image, cut into "
        "squares of the network's input size. The network was not trained on them. A unit is "
        "*active* where its value is above zero, and *dead* if it is not active on any tile."
    )
    dead, total = int(units.dead.sum()), len(units)
    st.markdown(
        f"**{dead}** of {total} units {'is' if dead == 1 else 'are'} dead. Unit {channel} is "
        f"active at {percent(float(units.active[channel]), 1)} of all positions, and on "
        f"{percent(float(units.activation_frequency[channel]))} of the tiles. Its mean activation "
        f"is {number(float(units.mean[channel]))}."
    )
    table = {
        "unit": list(range(total)),
        "mean": units.mean.tolist(),
        "maximum": units.value[:, 0].tolist(),
        "active positions": (100 * units.active).tolist(),
        "active tiles": (100 * units.activation_frequency).tolist(),
        "state": ["dead" if dead else "active" for dead in units.dead.tolist()],
    }
    chart, sortable = st.columns(2)
    order = units.dead.int().argsort(stable=True).tolist()  # dead ones last, above the others
    rows = {name: [values[unit] for unit in order] for name, values in table.items()}
    chart.vega_lite_chart(rows, scatter(bool(dead)), height=380)
    shares = st.column_config.NumberColumn(format="%.1f %%")
    plain = st.column_config.NumberColumn(format="%.3f")
    formats = {"mean": plain, "maximum": plain}
    formats |= {"active positions": shares, "active tiles": shares}
    sortable.dataframe(table, hide_index=True, height=380, column_config=formats)
    link("atlas", f"Strongest activations of unit {channel} of {layer}", layer, channel)
    if layer in network.layers:
        link("workbench", f"Reconstruct unit {channel} of {layer}", layer, channel)


@st.fragment
def units(network: Network, layer: str) -> None:
    """A layer's kernels and statistics; a click reruns this part alone."""
    with show.errors():
        found = kernels(network, layer)
        st.header("Kernels", anchor=False)
        scaled = f", times the scale of `{found.scaled_by}`" if found.scaled_by else ""
        st.markdown(f"The weights of `{found.convolution}`{scaled}.")
        view = atlas_view(network)
        channel = pickers.pick_channel(view.atlas[layer].value[:, 0])
        show_kernels(found, channel)
        st.header("Activity", anchor=False)
        activity(network, view, layer, channel)


show.title("Filters", "The kernels that a network has learned, and how often its units are active.")
network = chosen_network()
units(network, pick_layer(network, all_maps=True))
