"""Evolution: how the strongest activations of units change during training."""

import streamlit as st

from deconvviz.analysis.evolution import Evolution, History
from deconvviz.io.data import Dataset
from deconvviz.plots.arrays import mosaic
from deconvviz.plots.display import display, display_caption, number, percent
from deconvviz.ui import pickers, show
from deconvviz.ui.atlas import datasets
from deconvviz.ui.experiments import history, patch, some_pictures
from deconvviz.ui.grid import Tile, unit_grid
from deconvviz.ui.networks import chosen_network, pick_layer

UNITS = 60  # in the grid, at a time
PICTURES = 300  # of the dataset, at most


def grid(found: Evolution, units: History, pictures: Dataset, column: int, chosen: int) -> None:
    """Every unit's patch and projection at one epoch."""
    shown = display(units.projections[:, column])
    tiles = []
    for place, channel in enumerate(units.units.tolist()):
        value = float(units.activation[channel, column])
        changed = column > 0 and bool(units.changed[channel, column - 1])
        mark = " ↷" if changed else ""
        alt = f"Unit {channel} after epoch {found.epochs[column]}: patch and projection"
        pair = [patch(units, pictures, place, column), shown[place]]
        tiles.append(Tile.of(channel, pair, f"{number(value, '.2g')}{mark}", alt))
    unit_grid(tiles, f"Units of {units.layer} after one epoch", chosen)


def all_epochs(found: Evolution, units: History, pictures: Dataset, channel: int) -> None:
    """One unit at all epochs, side by side."""
    st.subheader(f"Unit {channel} of {units.layer} at all epochs", anchor=False)
    place = units.units.tolist().index(channel)
    shown = display(units.projections[place])
    with st.container(horizontal=True, gap="small"):
        for column, epoch in enumerate(found.epochs):
            with st.container(width=185):
                pair = [patch(units, pictures, place, column), shown[column]]
                alt = f"Unit {channel} after epoch {epoch}: patch and projection"
                show.picture(mosaic(pair, columns=2, gap=6, side=100), alt)
                picture = int(units.picture[channel, column])
                value = (
                    f"{number(float(units.activation[channel, column]), '.2g')}, picture {picture}"
                )
                st.caption(f"Epoch {epoch}: {'not active' if picture < 0 else value}")


@st.fragment
def epochs(found: Evolution, pictures: Dataset, projected: range) -> None:
    """The slider, the grid and one unit; a click or a move reruns this part alone."""
    (units,) = found.histories
    with show.errors():
        with st.container(horizontal=True, gap="medium"):
            channel = pickers.pick_channel(units.activation[:, -1], projected)
            epoch = pickers.epoch(found.epochs, default=str(found.epochs[-1]))
        column = found.epochs.index(epoch)
        every = len(units.activation)
        if column:
            share = float(units.changed[:, column - 1].double().mean())
            st.markdown(
                f"Between epochs {found.epochs[column - 1]} and {epoch}, the strongest activation "
                f"of **{percent(share)}** of the {every} units moved to another picture."
            )
        else:
            st.markdown("This is the first stored epoch.")
        all_epochs(found, units, pictures, channel)
        some = f"Units {projected[0]} to {projected[-1]} of the {every}"
        which = "Units" if len(projected) == every else some
        st.subheader(f"{which} of {units.layer} after epoch {epoch}", anchor=False)
        grid(found, units, pictures, column, channel)
        st.caption(
            f"{display_caption()} Each projection starts from the unit's strongest activation over "
            f"{found.data}. The number is that activation; ↷ marks another picture than before."
        )


show.title(
    "Evolution",
    "How the strongest activations of units change during training. Lower layers settle within a "
    "few epochs, upper layers late (Zeiler & Fergus 2014, Fig. 4).",
)
network = chosen_network()
if not network.bundle.snapshots:
    st.info(
        f"`{network.bundle.name}` has no snapshots of its training. `deconvviz train --snapshots "
        "1,2,5,10` stores some; the network `demo-photos` has them.",
        icon=":material/info:",
    )
    st.stop()
layer = pick_layer(network, "middle")
with st.container(horizontal=True, gap="medium"):
    pictures = some_pictures(network, pickers.dataset(list(datasets(network))), PICTURES)
    projected = pickers.pick_units(network.net.layers[layer].channels, UNITS)
epochs(history(network, pictures, layer, projected), pictures, projected)
