"""Atlases of the loaded network, found or built once for all sessions, and drawn."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from deconvviz.analysis.compare import Side, correlations
from deconvviz.analysis.find import FindOptions, fitting, trust
from deconvviz.analysis.traits import Traits, traits
from deconvviz.atlas import Atlas, load_atlas
from deconvviz.atlas.cache import (
    PHOTOS,
    available_datasets,
    cached_atlases,
    open_atlas,
    shipped_atlas,
)
from deconvviz.deconv.rules import Rule
from deconvviz.io.data import Dataset
from deconvviz.io.images import limit_side
from deconvviz.plots.arrays import GREY
from deconvviz.plots.atlas import UnitTiles, render_units
from deconvviz.plots.display import number
from deconvviz.plots.look import Look
from deconvviz.ui import pickers
from deconvviz.ui.grid import Tile
from deconvviz.ui.memory import NETWORKS, kept
from deconvviz.ui.networks import BY_KEY, Network
from deconvviz.ui.work import bar, long_result

_TILE = 96  # pixels: larger tiles would only make the page slow


@dataclass(frozen=True, eq=False)
class AtlasView:
    """An atlas and the data set that it was built from.

    Attributes:
        name: Name of the data set among `datasets`.
        numbers: The atlas that units are sorted and described by: the same, or one of data that
            are not on this machine, which has no pictures to show.
    """

    name: str
    atlas: Atlas
    dataset: Dataset
    numbers: Atlas

    @property
    def of_photographs(self) -> bool:
        """Whether what the numbers call classes are photographs that tiles were cut from."""
        return self.name == PHOTOS and self.numbers is self.atlas

    @property
    def key(self) -> str:
        """Digest of the atlases' headers, for caches."""
        return self.atlas.header.digest + self.numbers.header.digest


def datasets(network: Network) -> dict[str, Dataset]:
    """The data sets that a network's units can be shown in, by name; see `available_datasets`."""
    return _datasets(network, tuple(map(str, cached_atlases(network.bundle))))


@st.cache_resource(max_entries=NETWORKS, show_spinner="Reading pictures …", hash_funcs=BY_KEY)
def _datasets(network: Network, files: tuple[str, ...]) -> dict[str, Dataset]:  # noqa: ARG001  a key
    return available_datasets(network.bundle)


@st.cache_resource(max_entries=NETWORKS, show_spinner=False, hash_funcs=BY_KEY)
def _views(network: Network) -> tuple[dict[str, AtlasView], Any]:  # noqa: ARG001  a key
    """A network's atlases by the data's fingerprint, and a lock so that one session builds."""
    return {}, Lock()


def atlas_view(network: Network, name: str = PHOTOS) -> AtlasView:
    """The atlas of one of the `datasets`, built with a progress bar where there is none."""
    dataset, (views, lock) = datasets(network)[name], _views(network)
    if dataset.fingerprint not in views:
        with bar("Building the atlas …") as progress, lock:
            if dataset.fingerprint not in views:
                atlas = open_atlas(network.bundle, dataset, net=network.net, progress=progress)
                views[dataset.fingerprint] = AtlasView(
                    name, atlas, dataset, _numbers(network, atlas)
                )
    return views[dataset.fingerprint]


def _numbers(network: Network, atlas: Atlas) -> Atlas:
    """The shipped atlas where its pictures are not here, else the atlas itself."""
    path = shipped_atlas(network.bundle)
    if path is None:
        return atlas
    shipped = load_atlas(path)
    here = {dataset.fingerprint for dataset in datasets(network).values()}
    return atlas if shipped.header.fingerprint in here else shipped


@kept("Projecting …")
def tiles(
    network: Network, view: AtlasView, layer: str, channels: tuple[int, ...], look: Look
) -> list[Tile]:
    """Units as tiles: the image patch with the highest activation beside its projection."""
    units = list(
        render_units(
            view.atlas, network.bundle, view.dataset, layer, channels, net=network.net, k=1
        )
    )
    alive = [one for one in units if len(one)]
    pixels = [one.projections[0] for one in alive]
    pictures: dict[int, tuple[NDArray[np.uint8], NDArray[np.uint8]]] = {}
    if alive:
        shown = look.projections(pixels, [1.0] * len(alive))
        patches = look.patches([one.patches[0] for one in alive], pixels)
        pairs = zip(patches, shown, strict=True)
        pictures = {one.unit: pair for one, pair in zip(alive, pairs, strict=True)}
    values = view.atlas[layer].value[:, 0].tolist()
    return [_tile(one.unit, pictures.get(one.unit), values[one.unit]) for one in units]


def _tile(
    unit: int, pictures: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None, activation: float
) -> Tile:
    if pictures is None:
        grey = np.full((1, 1, 3), GREY, np.uint8)
        return Tile.of(unit, (grey, grey), "dead", f"Unit {unit} is dead")
    pair = [np.asarray(limit_side(Image.fromarray(pixels), _TILE)) for pixels in pictures]
    alt = f"Unit {unit}: the patch with the highest activation, and its projection"
    return Tile.of(unit, pair, number(activation), alt)


@kept("Projecting …")
def unit_tiles(
    network: Network, view: AtlasView, layer: str, channel: int, rule: Rule
) -> UnitTiles:
    """All activations of one unit that the atlas holds, drawn."""
    (sheet,) = render_units(
        view.atlas, network.bundle, view.dataset, layer, [channel], net=network.net, rule=rule
    )
    return sheet


def measured(network: Network, view: AtlasView, layer: str) -> Traits:
    """Traits of a layer's units, of the projections that the atlas shows."""
    return long_result(
        ("traits", network.key, view.key, layer),
        "Measuring the projections …",
        lambda _: traits(network.net, network.bundle, view.dataset, layer, view.atlas[layer]),
    )


def alike(network: Network, view: AtlasView, layer: str, channel: int) -> Tensor:
    """How much each unit's activations correlate with those of the example, which comes first.

    The example is the unit that the link names as `like`, else the one that is chosen.
    """
    side = Side(network.bundle, network.net, layer)
    matrix, _ = long_result(
        ("alike", network.key, view.key, layer),
        "Comparing the units …",
        lambda progress: correlations(side, side, view.dataset, progress=progress),
    )
    given = pickers.linked("like")
    known = given.isascii() and given.isdecimal() and len(given) < 7 and int(given) < len(matrix)
    example = int(given) if known else channel
    row: Tensor = matrix[example].clone()
    row[example] = math.inf
    return row


def take_example(channel: int) -> None:
    """Sort by likeness to a unit."""
    pickers.set_linked("like", str(channel))
    st.session_state["sort"] = LIKE


def trusted(network: Network, view: AtlasView, layer: str) -> Tensor:
    """How much of each unit's projection its own kernels make; see `find.trust`."""
    side = Side(network.bundle, network.net, layer)
    return long_result(
        ("trusted", network.key, view.key, layer),
        "Shuffling kernels …",
        lambda progress: trust(side, view.dataset, progress=progress),
    )


SELECTIVITY = "class selectivity"
LIKE = "like a chosen unit"
OWN_KERNELS = "most made by its own kernels"
Order = Callable[[Network, AtlasView, str, int], Tensor | None]

ORDERS: Mapping[str, Order] = {
    "unit number": lambda *_: None,
    "strongest activation": lambda _, view, layer, __: view.numbers[layer].value[:, 0],
    SELECTIVITY: lambda _, view, layer, __: view.numbers[layer].selectivity,
    "most often active": lambda _, view, layer, __: view.numbers[layer].activation_frequency,
    "least often active": lambda _, view, layer, __: _negative(
        view.numbers[layer].activation_frequency
    ),
    "clearest": lambda network, view, layer, _: measured(network, view, layer).clearness,
    "most of one colour": lambda network, view, layer, _: measured(network, view, layer).tint,
    "most of one direction": lambda network, view, layer, _: (
        measured(network, view, layer).coherence
    ),
    OWN_KERNELS: lambda network, view, layer, _: trusted(network, view, layer),
    LIKE: alike,
}
"""Name of an order of a layer's units -> the values that it sorts by, largest first; of a network,
an atlas, a layer, and the unit that is chosen."""


def orders(view: AtlasView) -> dict[str, Order]:
    """The orders that mean something here."""
    hidden = SELECTIVITY if view.of_photographs else ""
    return {name: order for name, order in ORDERS.items() if name != hidden}


def ordered(values: Tensor | None, fits: Tensor) -> list[int]:
    """The channels that fit in an order; the lower one first where two are equal.

    Units without a value come last. Where the atlas lacks the statistics that the order needs, it
    is by unit number.
    """
    channels = torch.nonzero(fits).flatten()
    if values is not None:
        falling = values[channels].double().nan_to_num(-math.inf)
        channels = channels[falling.argsort(descending=True, stable=True)]
    return [int(channel) for channel in channels]


def _negative(values: Tensor | None) -> Tensor | None:
    return None if values is None else -values


def fits(network: Network, view: AtlasView, layer: str, wanted: FindOptions) -> Tensor:
    """Which units have the class, the colour and the direction that are asked for; see `find`."""
    units = view.numbers[layer]
    if wanted == FindOptions():
        return torch.ones(len(units), dtype=torch.bool)
    return fitting(units, measured(network, view, layer), view.numbers.header.classes, wanted)
