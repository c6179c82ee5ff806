"""The experiments as the pages show them: run once for all sessions, and kept on disk.

What was found lies beside the atlases in the cache folder, by network and pictures, as the files
that `Result.save` writes; a page shows these, and runs what is missing.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import streamlit as st

from deconvviz.analysis import (
    Evolution,
    Result,
    correspondence,
    draw_faces,
    evolution,
    filters,
    invariance,
    occlusion,
)
from deconvviz.io.data import Dataset, cache_folder
from deconvviz.progress import Progress
from deconvviz.ui.atlas import datasets
from deconvviz.ui.networks import InputView, Network
from deconvviz.ui.progress import ResultCache, bar

__all__ = ["STUDIES", "Found", "Inputs", "Study", "history", "kept", "run_study", "some_pictures"]

_KEYS: dict[str | type, Any] = {Network: attrgetter("key"), Dataset: attrgetter("fingerprint")}
_FACES = 5


@dataclass(frozen=True, eq=False)
class Inputs:
    """What experiments are run on.

    Attributes:
        network: The network.
        pictures: Many pictures of its size.
        sight: One picture, as it is given to the network, for those that look at one closely.
    """

    network: Network
    pictures: Dataset
    sight: InputView | None = None

    @property
    def folder(self) -> Path:
        """Where what is found on it is kept."""
        keys = [self.network.key, self.pictures.fingerprint]
        keys += [] if self.sight is None else [self.sight.key]
        digests = [hashlib.sha256(key.encode()).hexdigest()[:16] for key in keys]
        return cache_folder() / "experiments" / "-".join(digests)


@dataclass(frozen=True)
class Study:
    """An experiment that a page can run.

    Attributes:
        title: Its name for people.
        asks: What it asks, and how; Markdown.
        run: It, on some material.
        looks_closely: Whether it looks at one picture.
    """

    title: str
    asks: str
    run: Callable[[Inputs, Progress], Result]
    looks_closely: bool = False


def _occlusion(material: Inputs, progress: Progress) -> Result:
    assert material.sight is not None
    network, image = material.network, material.sight.pixels[0]
    dataset = material.pictures
    return occlusion(network.bundle, image, dataset=dataset, net=network.net, progress=progress)


STUDIES: Mapping[str, Study] = {
    "invariance": Study(
        "Invariance",
        "Pictures are moved, scaled and turned. How far do the features of the first and the last "
        "layer move, and does the network still see the same class? (Fig. 5)",
        lambda on, progress: invariance(
            on.network.bundle, on.pictures, net=on.network.net, progress=progress
        ),
    ),
    "filters": Study(
        "First-layer filters",
        "All kernels of the first layer on one scale: do some dominate, are some dead, double, or "
        "of frequencies so high that they alias? (Fig. 6)",
        lambda on, progress: filters(
            on.network.bundle, on.pictures, net=on.network.net, progress=progress
        ),
    ),
    "occlusion": Study(
        "Occlusion",
        "A grey square covers one part of a picture after the other. Where does the strongest map "
        "of the last layer fall silent, and where does the network change its mind? (Fig. 7)",
        _occlusion,
        looks_closely=True,
    ),
    "correspondence": Study(
        "Correspondence",
        "The same part, an eye or the mouth, is hidden in several drawn faces. Do the features "
        "change alike, more than when random places are hidden? (Table 1)",
        lambda on, progress: correspondence(
            on.network.bundle,
            draw_faces(_FACES, on.network.bundle.preprocessing, 0),
            net=on.network.net,
            progress=progress,
        ),
    ),
}
"""The experiments that need no more than a network and some pictures, by their names."""


@dataclass(frozen=True)
class Found:
    """What an experiment found, as it was kept.

    Attributes:
        sentence: The finding.
        numbers: The JSON file's content.
        picture: The figure, a PNG file.
    """

    sentence: str
    numbers: bytes
    picture: bytes


def kept(material: Inputs, name: str) -> Found | None:
    """What was kept of an experiment, if it was run on this material."""
    try:
        numbers = (material.folder / f"{name}.json").read_bytes()
        picture = (material.folder / f"{name}.png").read_bytes()
        return Found(str(json.loads(numbers)["finding"]), numbers, picture)
    except (OSError, ValueError, KeyError, TypeError):
        return None  # never run, or damaged: it is run again


def run_study(material: Inputs, name: str) -> None:
    """Run an experiment, a bar showing how far it is, and keep what it finds."""
    with bar("Starting …") as progress:
        STUDIES[name].run(material, progress).save(material.folder)


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs=_KEYS)
def some_pictures(network: Network, name: str, most: int) -> Dataset:
    """At most `most` pictures of one of the `datasets`, evenly from all."""
    tiles = datasets(network)[name]
    return tiles.subset(range(0, len(tiles), -(-len(tiles) // most)))


@st.cache_resource(show_spinner=False)
def _histories() -> ResultCache[Evolution]:
    return ResultCache(8)


def history(network: Network, pictures: Dataset, layer: str, most: int) -> Evolution:
    """Units of one layer through all kept epochs; the first `most` of them in pictures.

    A bar shows how far it is, where nobody has asked for it before.
    """
    key = (network.key, pictures.fingerprint, layer, str(most))
    known = _histories().get(key)
    if known is not None:
        return known
    units = range(min(most, network.net.layers[layer].channels))
    with bar("Going through the epochs …") as progress:
        found = evolution(network.bundle, pictures, [layer], {layer: units}, progress=progress)
    return _histories().put(key, found)
