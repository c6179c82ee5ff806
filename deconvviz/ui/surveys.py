"""What excites each unit over a data set: the shelf's atlases, swept on a page where there is none.

Atlases are found and made once for all sessions; what is drawn of them is cached by their digest.
"""

from dataclasses import dataclass, field
from operator import attrgetter
from threading import Lock
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image

from deconvviz.atlas import Atlas, Units
from deconvviz.atlas.cache import PHOTOS, available_datasets, cached_atlases, open_atlas
from deconvviz.deconv.rules import Rule
from deconvviz.io.data import Dataset
from deconvviz.io.images import limit_side
from deconvviz.plots.atlas import UnitSheet, draw_units
from deconvviz.plots.figures import GREY, Pixels
from deconvviz.ui.explore import Network
from deconvviz.ui.grid import Tile
from deconvviz.ui.memory import bar

__all__ = ["ORDERS", "AtlasView", "known", "ordered", "strongest_tiles", "survey", "unit_sheet"]

_TILE = 96  # pixels: in the grid larger ones would only make the page slow


@dataclass(frozen=True, eq=False)
class AtlasView:
    """An atlas and the pictures that it is of."""

    atlas: Atlas
    dataset: Dataset

    @property
    def key(self) -> str:
        """The digest of what it is of, for caches."""
        return self.atlas.header.digest


@dataclass
class _Held:
    """A network's surveys by their data's fingerprint; the lock lets one session alone sweep."""

    surveys: dict[str, AtlasView] = field(default_factory=dict)
    lock: Any = field(default_factory=Lock)


_KEYS: dict[str | type, Any] = {kind: attrgetter("key") for kind in (Network, AtlasView)}


def known(network: Network) -> dict[str, Dataset]:
    """The pictures that a network's units can be shown in, by name; see `available_datasets`."""
    return _known(network, tuple(map(str, cached_atlases(network.bundle))))


@st.cache_resource(max_entries=4, show_spinner="Reading pictures …", hash_funcs=_KEYS)
def _known(network: Network, files: tuple[str, ...]) -> dict[str, Dataset]:  # noqa: ARG001  a key
    return available_datasets(network.bundle)


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs=_KEYS)
def _held(network: Network) -> _Held:  # noqa: ARG001  a key
    return _Held()


def survey(network: Network, pictures: str = PHOTOS) -> AtlasView:
    """The atlas of some `known` pictures; where the shelf lacks it, a bar shows how it is made."""
    dataset, held = known(network)[pictures], _held(network)
    if dataset.fingerprint not in held.surveys:
        with bar("Looking for what excites each unit …") as progress, held.lock:
            if dataset.fingerprint not in held.surveys:
                atlas = open_atlas(network.bundle, dataset, net=network.net, progress=progress)
                held.surveys[dataset.fingerprint] = AtlasView(atlas, dataset)
    return held.surveys[dataset.fingerprint]


@st.cache_resource(max_entries=32, show_spinner="Projecting back …", hash_funcs=_KEYS)
def strongest_tiles(
    network: Network, survey: AtlasView, layer: str, units: tuple[int, ...]
) -> list[Tile]:
    """Units as tiles: the picture's part that excites each most, beside its projection."""
    sheets = draw_units(
        survey.atlas, network.bundle, survey.dataset, layer, units, net=network.net, k=1
    )
    return [_tile(sheet) for sheet in sheets]


def _tile(sheet: UnitSheet) -> Tile:
    name = str(sheet.unit)
    if not len(sheet):
        nothing = np.full((1, 1, 3), GREY, np.uint8)
        return Tile.of(name, (nothing, nothing), "dead", f"Unit {name} is dead")
    pair = (_small(sheet.patches[0]), _small(sheet.shown[0]))
    alt = f"Unit {name}: what excites it most, and the projection"
    return Tile.of(name, pair, f"{sheet.top[0].value:.3g}", alt)


def _small(pixels: Pixels) -> Pixels:
    return np.asarray(limit_side(Image.fromarray(pixels), _TILE))


@st.cache_resource(max_entries=32, show_spinner="Projecting back …", hash_funcs=_KEYS)
def unit_sheet(network: Network, survey: AtlasView, layer: str, unit: int, rule: Rule) -> UnitSheet:
    """All that the atlas has of one unit, drawn."""
    (sheet,) = draw_units(
        survey.atlas, network.bundle, survey.dataset, layer, [unit], net=network.net, rule=rule
    )
    return sheet


ORDERS = (
    "unit number",
    "strongest activation",
    "preference for one class",
    "fires most often",
    "fires least often",
)
"""How the units of a layer can be ordered."""


def ordered(units: Units, order: str) -> list[int]:
    """The numbers of a layer's units in one of `ORDERS`; of equal ones the lower comes first.

    Without statistics, what would need them is by unit number.
    """
    frequency = units.activation_frequency
    falling = {
        "strongest activation": units.value[:, 0],
        "preference for one class": units.selectivity,
        "fires most often": frequency,
        "fires least often": None if frequency is None else -frequency,
    }
    column = falling.get(order)
    if column is None:
        return list(range(len(units)))
    numbers: list[int] = column.argsort(descending=True, stable=True).tolist()
    return numbers
