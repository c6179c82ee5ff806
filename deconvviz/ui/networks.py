"""Networks and their inputs, loaded once for all sessions.

Cached values are never modified. Networks and pictures are told apart by their SHA-256.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from operator import attrgetter
from threading import Lock
from typing import Any, Literal

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from deconvviz.analysis.kernels import Kernels, kernels_of
from deconvviz.analysis.scores import probabilities
from deconvviz.deconv import Deconvnet, Verification
from deconvviz.deconv.randomization import untrained
from deconvviz.errors import SelectionError
from deconvviz.io.bundle import Bundle
from deconvviz.io.card import inert
from deconvviz.io.checkpoint import read_checkpoint
from deconvviz.io.images import Picture, limit_side
from deconvviz.io.zoo import DEMOS, load
from deconvviz.ui.choices import Choice, check_size, chosen, messages, offered, settle
from deconvviz.ui.fetching import offer_download
from deconvviz.ui.memory import NETWORKS, kept
from deconvviz.ui.navigation import link
from deconvviz.ui.pickers import LARGEST, InputSize, Picker, forget_selection, layer
from deconvviz.ui.show import as_sentence, describe_layer


@dataclass(frozen=True)
class Network:
    """A loaded network with its deconvnet."""

    bundle: Bundle
    net: Deconvnet
    serial: int = field(default_factory=partial(next, count()), compare=False)
    """Tells two loads of one network apart, since a recording is of one Deconvnet alone."""

    @property
    def key(self) -> str:
        """SHA-256 of the checkpoint, for caches."""
        return self.bundle.sha256

    @property
    def maps(self) -> tuple[str, ...]:
        """The rectified maps after each convolution, lowest first; without any, all maps."""
        maps = (name for name, one in self.net.layers.items() if one.size != (1, 1))
        return self.net.default_layers or tuple(maps)

    @property
    def layers(self) -> tuple[str, ...]:
        """Those of `maps` that can be projected; all if none can."""
        return tuple(one for one in self.maps if one in self.net.projectable) or self.maps


@dataclass(frozen=True)
class InputView:
    """A picture, its image at the size and crop of a network's input, and (1, C, H, W) pixels."""

    picture: Picture
    image: Image.Image
    pixels: Tensor
    size: InputSize

    @property
    def key(self) -> str:
        """Digest of the picture and its sizes, for caches; it is the same for every network."""
        return f"{self.picture.key}:{self.image.width}x{self.image.height}:{self.size}"

    @property
    def array(self) -> NDArray[np.uint8]:
        """The image as uint8 (H, W, 3)."""
        return np.asarray(self.image)

    @property
    def is_flat(self) -> bool:
        """Whether all pixels have one colour."""
        extrema: Any = self.image.convert("RGB").getextrema()
        return all(low == high for low, high in extrema)


BY_KEY: dict[str | type, Any] = {Network: attrgetter("key")}
"""How Streamlit's caches tell networks apart."""

UPLOADED = "uploaded checkpoint"
"""Name of every network that a session uploaded: results are kept for all, and names are not."""

_NAMED = 3  # layers that cannot be projected


_seeding = Lock()


_CHOICE: dict[str | type, Any] = {Choice: attrgetter("key")}


def network(name: str, weights: str | None = "default") -> Network:
    """A traced network, by name or path; errors as for `load`."""
    return opened(Choice(name, weights))


@st.cache_resource(max_entries=NETWORKS, show_spinner="Opening the network …", hash_funcs=_CHOICE)
def opened(choice: Choice) -> Network:
    """The network of a choice, one for all sessions; errors as for `load`."""
    loaded = _bundle(choice)
    return Network(loaded, Deconvnet(loaded.model, loaded.input_size, check=True))


@st.cache_data(show_spinner=False, hash_funcs=_CHOICE)
def identity(choice: Choice) -> tuple[tuple[int, int, int], str]:
    """Input size and digest of the network of a choice; errors as for `load`."""
    loaded = _bundle(choice)
    return loaded.input_size, loaded.sha256


def _bundle(choice: Choice) -> Bundle:
    if choice.digest:
        return Bundle.from_checkpoint(UPLOADED, read_checkpoint(choice.content, UPLOADED))
    if choice.checkpoint or choice.input_size:
        size: Any = tuple(map(int, choice.input_size.split(","))) if choice.input_size else None
        return load(choice.name, checkpoint=choice.checkpoint or None, input_size=size)
    if choice.weights is None:
        # so that a link shows the same random weights; the generator is the whole process's
        with _seeding, torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return load(choice.name, weights=None)
    return load(choice.name, weights=choice.weights)


@kept("Comparing with autograd …")
def verification(network: Network, layers: Sequence[str]) -> Verification:
    """One projection from each of some layers, compared with autograd; see `verify`."""
    return network.net.verify(layers, units=1)


@st.cache_resource(max_entries=NETWORKS, show_spinner=False, hash_funcs=BY_KEY)
def random_twin(network: Network) -> Network:
    """The same network with random weights, always the same ones."""
    model = untrained(network.bundle.model, torch.Generator().manual_seed(0))
    name, key = (f"{text}, random weights" for text in (network.bundle.name, network.key))
    twin = replace(network.bundle, name=name, model=model, sha256=key)
    return Network(twin, network.net.with_model(model))


def input_view(network: Network, picture: Picture, size: InputSize) -> InputView:
    """A picture as a network's input.

    `size` is "trained", the largest central square at the size of the training pictures, as for
    classification; or the maximum side, at most `LARGEST`, of the whole picture.
    """
    return _input_view(network, picture, size, picture.name)


@kept()
def _input_view(
    network: Network,
    picture: Picture,
    size: InputSize,
    name: str,  # noqa: ARG001  else a session is shown another's name of the same pixels
) -> InputView:
    loaded = network.bundle
    if size == "trained":
        image = loaded.preprocessing.view(picture.image)
        return InputView(picture, image, loaded.preprocess(image)[None], size)
    image = limit_side(picture.image, min(size, LARGEST))
    image = loaded.preprocessing.view(image, size=None)
    return InputView(picture, image, loaded.preprocess(image, size=None)[None], size)


def classify(network: Network, view: InputView, classes: Sequence[str] = ()) -> dict[str, float]:
    """Class -> probability, falling; for a picture of the training size.

    `classes` are names where the network has none.
    """
    return by_probability(classes or network.bundle.classes, _probabilities(network, view))


def by_probability(classes: Sequence[str], probabilities: Sequence[float]) -> dict[str, float]:
    """Class -> probability, falling."""
    pairs = zip(classes, probabilities, strict=True)
    return dict(sorted(pairs, key=lambda pair: -pair[1]))


@kept()
def _probabilities(network: Network, view: InputView) -> tuple[float, ...]:
    with torch.inference_mode():
        return tuple(probabilities(network.bundle.model(view.pixels))[0].tolist())


@kept()
def outputs(network: Network) -> int:
    """How many scores of classes a network gives; 0 if it gives something else."""
    with torch.inference_mode():
        given: Any = network.bundle.model(torch.zeros(1, *network.bundle.input_size))
    return given.shape[1] if isinstance(given, Tensor) and given.ndim == 2 else 0


@kept()
def kernels(network: Network, layer: str) -> Kernels:
    """The kernels of the convolution below a layer; see `kernels_of`."""
    return kernels_of(network.net, layer)


def pick_layer(
    network: Network, first: Literal["lowest", "middle"] = "lowest", *, all_maps: bool = False
) -> str:
    """Show the picker of a layer, at first the lowest or the middle one, and its description.

    With `all_maps` also those that cannot be projected.

    Raises:
        SelectionError: The network has no feature maps.
    """
    if not network.layers:
        raise SelectionError(f"`{network.bundle.name}` has no feature maps, so nothing to project")
    default = network.layers[len(network.layers) // 2 if first == "middle" else 0]
    name = layer(network.maps if all_maps else network.layers, default)
    mark = "" if name in network.net.projectable else ", not projectable"
    st.caption(f"{name}: {describe_layer(network.net.layers[name])}{mark}")
    return name


def evenly_spaced(layers: Sequence[str], count: int) -> list[str]:
    """At most `count` of the layers, evenly from the first to the last."""
    places = np.linspace(0, len(layers) - 1, min(count, len(layers)))
    return [layers[round(place)] for place in places]


_network_picker = Picker[Choice](
    "model", "Network", widget="list", on_change=forget_selection, warns=False
)


def pick_network() -> None:
    """Show the picker of the network that all pages use."""
    settle()
    _network_picker(offered())


def chosen_network() -> Network:
    """The network of `pick_network`, with a warning if it was never trained.

    Of one that is not a demo, a line says how much of it can be projected, and what was checked.

    Raises:
        DeconvvizError: As for `load`; or a library's network is too large.
    """
    for message in messages():
        st.warning(inert(as_sentence(message), code=True), icon=":material/info:")
    choice = chosen()
    if choice.is_bounded:
        check_size(choice.name)
        offer_download(choice)
    network = opened(choice)
    if network.bundle.is_untrained:
        st.warning(
            "This network has random weights; it was never trained. What its units respond to "
            "comes from its architecture and from the picture, not from learning.",
            icon=":material/casino:",
        )
    if choice.name not in DEMOS:
        _say_what_is_right(network)
    return network


def _say_what_is_right(network: Network) -> None:
    """How many layers can be projected, and whether the values were found to be the model's."""
    net = network.net
    layers = net.default_layers or tuple(net.layers)
    others = [name for name in layers if name not in net.projectable]
    named = ", ".join(others[:_NAMED]) + ", …" * (len(others) > _NAMED)
    but = f" (not {inert(named)})" if others else ""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(
            f"{len(layers) - len(others)} of its {len(layers)} layers can be projected{but}. "
            f"Checked when it was opened: {net.checked}.",
            width="content",
        )
        link("overview", "The network")
