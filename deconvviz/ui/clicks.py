"""What a click on the workbench changes: the unit, the layer, the place, the class, units off."""

from collections.abc import Sequence

import streamlit as st

from deconvviz.ui import pickers
from deconvviz.ui.answers import MEND, switch, switched_off
from deconvviz.ui.networks import Network
from deconvviz.units import Unit


def take_unit(units: Sequence[Unit], channel: str) -> None:
    """Choose the unit of a tile, at its place where it is one of `units`."""
    named = {str(unit.channel): f"{unit.channel}/{unit.y}/{unit.x}" for unit in units}
    st.session_state["unit"] = named.get(channel, channel)


def take_layer(name: str) -> None:
    """Go to another layer's strongest unit."""
    st.session_state["layer"] = name
    pickers.forget_unit()


def take_place(place: str) -> None:
    """Show the units at a place, X,Y in shares of the picture; an empty one is all of it."""
    pickers.set_linked("place", place)
    pickers.set_linked("class", "")
    pickers.set_linked("against", "")
    pickers.forget_unit()


def take_class(name: str) -> None:
    """Show the units that raise a class, or no longer; it takes the picture as trained."""
    chosen = pickers.linked("class") == name
    take_place("")
    if not chosen:
        pickers.set_linked("class", name)
        st.session_state["input-size"] = "as trained"


def take_against(name: str) -> None:
    """Compare the class with another; an empty name is none."""
    pickers.set_linked("against", name)
    pickers.forget_unit()


def take_off(network: Network, layer: str, unit: str) -> None:
    """Switch a unit off, or on again."""
    switch(network, layer, tuple({*switched_off(network).get(layer, ())} ^ {int(unit)}))


def still_on(units: Sequence[Unit], off: Sequence[int]) -> list[int]:
    """Channels of the units that are not switched off, in their order."""
    return [unit.channel for unit in units if unit.channel not in off]


def take_first(network: Network, layer: str, units: Sequence[Unit]) -> None:
    """Switch the first units off that are still on."""
    off = switched_off(network).get(layer, ())
    switch(network, layer, (*off, *still_on(units, off)[:MEND]))
