"""A grid of small pictures, each a button: crisp, in the theme's colours, usable by keyboard."""

import base64
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from deconvviz.io.images import to_png
from deconvviz.ui.components import component

_KEY = "unit_grid"
_grid = component("grid", '<div class="grid" role="group"></div>')


@dataclass(frozen=True)
class Tile:
    """One channel in the grid.

    Attributes:
        pictures: URLs of PNG files, shown side by side and enlarged.
        caption: Text below, after the channel's number.
        alt: Text alternative of the first picture.
    """

    channel: int
    pictures: tuple[str, ...]
    caption: str
    alt: str

    @classmethod
    def of(
        cls, channel: int, pixels: Sequence[NDArray[np.uint8]], caption: str, alt: str
    ) -> "Tile":
        """A tile of uint8 pictures (h, w, 3), embedded as data URLs."""
        return cls(channel, tuple(map(data_url, pixels)), caption, alt)


def data_url(pixels: NDArray[np.uint8]) -> str:
    """An (h, w) or (h, w, 3) picture as the address of a PNG file in itself."""
    return f"data:image/png;base64,{base64.b64encode(to_png(pixels)).decode('ascii')}"


def unit_grid(
    tiles: Sequence[Tile],
    label: str,
    chosen: int | None = None,
    *,
    noun: str = "unit",
    crisp: bool = False,
) -> None:
    """Show the tiles; a click on one chooses its channel in `pick_unit`. One grid a page.

    `label` names the grid for assistive technologies; `chosen` is the channel to mark, without
    which the tiles are no buttons; `noun` stands before a tile's number; `crisp` shows each pixel
    as a square.
    """
    rows = [asdict(tile) for tile in tiles]
    data = {"label": label, "noun": noun, "chosen": chosen, "crisp": crisp, "tiles": rows}
    _grid(data=data, key=_KEY, on_picked_change=_pick)


def _pick() -> None:
    st.session_state["unit"] = str(st.session_state[_KEY]["picked"])
