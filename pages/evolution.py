"""Evolution: how what excites each unit changed while the network learnt."""

import streamlit as st

from deconvviz import ui
from deconvviz.analysis.evolution import Evolution, History
from deconvviz.plots.display import display, display_caption
from deconvviz.plots.figures import enlarge

UNITS = 60  # in the grid
PICTURES = 300  # of the tiles, at most


def grid(found: Evolution, history: History, column: int, unit: int) -> None:
    """Every unit's projection at one epoch."""
    shown = display(history.projections[:, column])
    tiles = []
    for place, number in enumerate(history.units.tolist()):
        value = float(history.activation[number, column])
        moved = column > 0 and bool(history.jumped[number, column - 1])
        mark = " ↷" if moved else ""
        alt = f"Unit {number} after epoch {found.epochs[column]}"
        tiles.append(ui.Tile.of(str(number), [shown[place]], f"{value:.2g}{mark}", alt))
    ui.unit_grid(tiles, str(unit), f"Units of {history.layer} after one epoch")


def strip(found: Evolution, history: History, unit: int) -> None:
    """One unit at all epochs, side by side."""
    place = history.units.tolist().index(unit)
    st.subheader(f"Unit {unit} of {history.layer} through the epochs", anchor=False)
    pixels = display(history.projections[place])
    with st.container(horizontal=True, gap="small"):
        for column, epoch in enumerate(found.epochs):
            with st.container(width=150):
                alt = f"Unit {unit} after epoch {epoch}"
                ui.show(enlarge(pixels[column], 150), alt)
                picture = int(history.picture[unit, column])
                value = f"{float(history.activation[unit, column]):.2g}, picture {picture}"
                st.caption(f"Epoch {epoch}: {'silent' if picture < 0 else value}")


@st.fragment
def epochs(found: Evolution, history: History) -> None:
    """The slider, the grid and one unit; a click or a move runs this part alone."""
    with ui.refusals():
        epoch = ui.pick_epoch(found.epochs)
        column = found.epochs.index(epoch)
        picked = ui.pick_unit(len(history.units))
        unit = int(history.activation[: len(history.units), -1].argmax())
        unit = unit if picked is None else picked
        if column:
            share = float(history.jumped[:, column - 1].double().mean())
            st.markdown(
                f"Between epochs {found.epochs[column - 1]} and {epoch}, **{share:.0%}** of the "
                f"{len(history.activation)} units came to answer to another picture most."
            )
        else:
            st.markdown("The first epoch that was kept.")
        strip(found, history, unit)
        st.subheader(f"Units of {history.layer} after epoch {epoch}", anchor=False)
        grid(found, history, column, unit)
        st.caption(
            f"{display_caption()} Each from the unit's strongest activation over {found.data}; "
            "beside its number how strong that is, and ↷ if it is in another picture than before."
        )


ui.title(
    "Evolution",
    "While a network learns, what excites its units changes: the lower layers settle within a few "
    "epochs, the upper ones late (Zeiler & Fergus 2014, Fig. 4).",
)
network = ui.chosen_network()
if not network.bundle.snapshots:
    st.info(
        f"`{network.bundle.name}` has no snapshots of its training. `deconvviz train --snapshots "
        "1,2,5,10` keeps some; the network `demo` has them.",
        icon=":material/info:",
    )
    st.stop()
layer = ui.pick_layer(network.layers, default=len(network.layers) // 2)
st.caption(f"{layer}: {ui.describe_layer(network.net.layers[layer])}")
pictures = ui.some_pictures(network, ui.pick_data(list(ui.known(network))), PICTURES)
found = ui.history(network, pictures, layer, UNITS)
epochs(found, found.histories[0])
