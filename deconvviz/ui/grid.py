"""A grid of small pictures, each a button: crisp, in the theme's colours, usable by keyboard."""

import base64
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from deconvviz.io.images import to_png

__all__ = ["Tile", "unit_grid"]

_HERE = Path(__file__).parent
_KEY = "unit_grid"
_grid = st.components.v2.component(
    "deconvviz_unit_grid",
    html='<div class="grid" role="group"></div>',
    css=(_HERE / "grid.css").read_text(encoding="utf-8"),
    js=(_HERE / "grid.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True)
class Tile:
    """One button of the grid.

    Attributes:
        name: What it stands for, a unit's number.
        pictures: Addresses of PNG files, shown side by side, their pixels enlarged crisply.
        caption: A line below, after the unit's number.
        alt: What the pictures show.
    """

    name: str
    pictures: tuple[str, ...]
    caption: str
    alt: str

    @classmethod
    def of(cls, name: str, pixels: Sequence[NDArray[np.uint8]], caption: str, alt: str) -> "Tile":
        """A tile of uint8 pictures (h, w, 3), which it holds in itself."""
        return cls(name, tuple(_data_url(picture) for picture in pixels), caption, alt)


def unit_grid(
    tiles: Sequence[Tile],
    chosen: str | None,
    label: str,
    *,
    what: str = "unit",
    clickable: bool = True,
) -> None:
    """Show the tiles; clicking one makes it the chosen `unit` of the session. One grid a page.

    Args:
        tiles: In the order to show.
        chosen: The name of the tile to mark.
        label: What the grid is, for assistive technologies.
        what: What a tile's name numbers.
        clickable: Whether the tiles are buttons, or only to be looked at.
    """
    data = {
        "label": label,
        "what": what,
        "clickable": clickable,
        "chosen": chosen,
        "tiles": [asdict(tile) for tile in tiles],
    }
    _grid(data=data, key=_KEY, on_picked_change=_pick)


def _pick() -> None:
    st.session_state["unit"] = str(st.session_state[_KEY]["picked"])


def _data_url(pixels: NDArray[np.uint8]) -> str:
    return f"data:image/png;base64,{base64.b64encode(to_png(pixels)).decode('ascii')}"
