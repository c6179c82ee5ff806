"""A grid of small pictures, each a button: crisp, in the theme's colours, usable by keyboard."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from deconvviz.images import to_png
from deconvviz.ui.explore import Reconstruction

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
        pictures: uint8 (h, w, 3), shown side by side, pixels enlarged crisply.
        caption: A line below, after the unit's number.
        alt: What the pictures show.
    """

    name: str
    pictures: Sequence[NDArray[np.uint8]]
    caption: str
    alt: str

    @classmethod
    def of(cls, unit: Reconstruction, shown: NDArray[np.uint8]) -> "Tile":
        """A unit's patch of the picture beside its reconstruction as it is `shown`."""
        alt = f"Unit {unit.channel}: part of the picture, and reconstruction"
        return cls(str(unit.channel), (unit.patch, shown), f"{unit.value:.3g}", alt)


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
        "tiles": [
            {
                "name": tile.name,
                "caption": tile.caption,
                "alt": tile.alt,
                "pictures": [_data_url(picture) for picture in tile.pictures],
            }
            for tile in tiles
        ],
    }
    _grid(data=data, key=_KEY, on_picked_change=_pick)


def _pick() -> None:
    st.session_state["unit"] = str(st.session_state[_KEY]["picked"])


def _data_url(pixels: NDArray[np.uint8]) -> str:
    return f"data:image/png;base64,{base64.b64encode(to_png(pixels)).decode('ascii')}"
