"""What is expensive, once: shared by all sessions, keyed by strings, bounded in number.

Networks and pictures are hashed by their SHA-256 alone: Streamlit's own hashing of arrays looks at
a sample of large ones, and of pictures leaves out the size. What comes out is never written to.
"""

from operator import attrgetter
from typing import Any, Literal

import streamlit as st
from torch import Tensor

from deconvviz.deconv import Deconvnet, Recording
from deconvviz.deconv.projection import Start
from deconvviz.deconv.rules import Rule
from deconvviz.io.bundle import Bundle
from deconvviz.io.images import Picture
from deconvviz.io.zoo import load
from deconvviz.plots.display import display
from deconvviz.ui import explore
from deconvviz.ui.explore import InputView, Kernels, Network, Reconstruction
from deconvviz.ui.grid import Tile

__all__ = [
    "bundle",
    "classification",
    "kernel_sheet",
    "network",
    "sight",
    "tiles",
    "units",
    "whole",
]

ACTIVATIONS = 2**23  # all layers are kept at once while they have no more units than this together

_KEYS: dict[str | type, Any] = {kind: attrgetter("key") for kind in (Network, InputView, Picture)}


@st.cache_resource(max_entries=4, show_spinner="Reading the network …")
def bundle(name: str) -> Bundle:
    """A network by its name or path, as it was stored.

    Raises:
        DeconvvizError: there is no such network, or its checkpoint cannot be used.
    """
    return load(name)


@st.cache_resource(max_entries=4, show_spinner="Tracing the network …")
def network(name: str) -> Network:
    """A network by its name or path, traced.

    Raises:
        DeconvvizError: there is no such network, or its checkpoint cannot be used.
    """
    loaded = bundle(name)
    return Network(loaded, Deconvnet(loaded.model, loaded.input_size))


@st.cache_resource(max_entries=32, show_spinner=False, hash_funcs=_KEYS)
def sight(network: Network, picture: Picture, size: int | Literal["trained"]) -> InputView:
    """A picture as the network is given it; see `explore.look`."""
    return explore.look(network.bundle, picture, size)


def _recording(network: Network, sight: InputView, layer: str) -> Recording:
    # At 1024 pixels, or in a deep network, the maps of all layers would take gigabytes.
    pixels = sight.image.width * sight.image.height
    small = explore.activations(network, pixels) <= ACTIVATIONS
    return _recorded(network, sight, network.layers if small else (layer,))


@st.cache_resource(max_entries=6, show_spinner="Running the network …", hash_funcs=_KEYS)
def _recorded(network: Network, sight: InputView, layers: tuple[str, ...]) -> Recording:
    return network.net.record(sight.pixels, layers)


@st.cache_resource(max_entries=64, show_spinner="Projecting back …", hash_funcs=_KEYS)
def units(
    network: Network,
    sight: InputView,
    layer: str,
    chosen: int | None,
    count: int,
    rule: Rule,
    start: Start,
) -> list[Reconstruction]:
    """One unit, or if none is chosen the `count` strongest, where each is strongest.

    Empty where the unit, or any, is not active.
    """
    recording = _recording(network, sight, layer)
    selection = explore.strongest_units(recording, layer)
    rows = slice(count) if chosen is None else selection.channel == chosen
    return explore.reconstruct(network.net, recording, sight, selection[rows], rule, start)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=_KEYS)
def tiles(
    network: Network, sight: InputView, layer: str, count: int, rule: Rule, start: Start
) -> list[Tile]:
    """The strongest units as tiles: part of the picture beside the reconstruction."""
    return [
        Tile.of(
            str(one.channel),
            (one.patch, display(one.pixels)),
            f"{one.value:.3g}",
            f"Unit {one.channel}: part of the picture, and reconstruction",
        )
        for one in units(network, sight, layer, None, count, rule, start)
    ]


@st.cache_resource(max_entries=16, show_spinner="Projecting the whole picture …", hash_funcs=_KEYS)
def whole(
    network: Network,
    sight: InputView,
    layer: str,
    channel: int,
    share: float,
    rule: Rule,
    start: Start,
) -> tuple[Tensor, int]:
    """A feature map's strongest positions projected together: (C, H, W), and how many they are."""
    recording = _recording(network, sight, layer)
    selection = explore.strongest_positions(recording, layer, channel, share)
    return explore.through(network.net, recording, selection, rule, start), len(selection)


@st.cache_resource(max_entries=32, show_spinner=False, hash_funcs=_KEYS)
def classification(network: Network, sight: InputView) -> dict[str, float]:
    """Class -> probability, falling; for a picture of the training size."""
    probabilities = explore.classify(network.bundle.model, sight).tolist()
    pairs = zip(network.bundle.classes, probabilities, strict=True)
    return dict(sorted(pairs, key=lambda pair: -pair[1]))


@st.cache_resource(max_entries=32, show_spinner=False, hash_funcs=_KEYS)
def kernel_sheet(network: Network, layer: str) -> Kernels:
    """The kernels below a layer; see `explore.kernels`."""
    return explore.kernels(network, layer)
