"""Networks and their inputs, loaded once for all sessions.

Cached values are never modified. Networks and pictures are told apart by their SHA-256.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from deconvviz.analysis.kernels import Kernels, kernels_of
from deconvviz.deconv import Deconvnet, Verification
from deconvviz.deconv.randomization import untrained
from deconvviz.errors import SelectionError
from deconvviz.io.bundle import Bundle
from deconvviz.io.images import Picture, limit_side
from deconvviz.io.zoo import DEMOS, load
from deconvviz.ui.memory import NETWORKS, kept
from deconvviz.ui.pickers import LARGEST, InputSize, Picker, forget_unit, layer
from deconvviz.ui.show import describe_layer


@dataclass(frozen=True)
class Network:
    """A loaded network with its deconvnet."""

    bundle: Bundle
    net: Deconvnet

    @property
    def key(self) -> str:
        """SHA-256 of the checkpoint, for caches."""
        return self.bundle.sha256

    @property
    def layers(self) -> tuple[str, ...]:
        """The rectified maps after each convolution, lowest first; without any, all maps."""
        maps = (name for name, one in self.net.layers.items() if one.size != (1, 1))
        return self.net.default_layers or tuple(maps)


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

_WEIGHTS = "--weights="  # the option of `deconvviz app`


@st.cache_resource(max_entries=NETWORKS, show_spinner="Reading the network …")
def bundle(name: str) -> Bundle:
    """A network as it was stored, by name or path; errors as for `load`."""
    if not name.startswith(("torchvision/", "timm/")):
        return load(name)
    chosen = [argument.removeprefix(_WEIGHTS) for argument in sys.argv if _WEIGHTS in argument]
    weights = chosen[-1] if chosen else "default"
    return load(name, weights=None if weights == "none" else weights)


@st.cache_resource(max_entries=NETWORKS, show_spinner="Tracing the network …")
def network(name: str) -> Network:
    """A traced network, by name or path; errors as for `load`."""
    loaded = bundle(name)
    return Network(loaded, Deconvnet(loaded.model, loaded.input_size, check=True))


@kept("Comparing with autograd …")
def verification(network: Network, layers: Sequence[str]) -> Verification:
    """One projection from each of some layers, compared with autograd; see `verify`."""
    return network.net.verify(layers, units=1)


@st.cache_resource(max_entries=NETWORKS, show_spinner=False, hash_funcs=BY_KEY)
def random_twin(network: Network) -> Network:
    """The same network with random weights, always the same ones."""
    model = untrained(network.bundle.model, torch.Generator().manual_seed(0))
    twin = replace(network.bundle, model=model, sha256=f"{network.key}, random weights")
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


@kept()
def classify(network: Network, view: InputView) -> dict[str, float]:
    """Class -> probability, falling; for a picture of the training size."""
    with torch.inference_mode():
        return by_probability(network, network.bundle.model(view.pixels)[0])


def by_probability(network: Network, scores: Tensor) -> dict[str, float]:
    """Class -> probability, falling; from its (classes,) scores."""
    pairs = zip(network.bundle.classes, scores.softmax(0).tolist(), strict=True)
    return dict(sorted(pairs, key=lambda pair: -pair[1]))


@kept()
def kernels(network: Network, layer: str) -> Kernels:
    """The kernels of the convolution below a layer; see `kernels_of`."""
    return kernels_of(network.net, layer)


def pick_layer(network: Network, first: Literal["lowest", "middle"] = "lowest") -> str:
    """Show the picker of a layer, at first the lowest or the middle one, and its description.

    Raises:
        SelectionError: The network has no feature maps.
    """
    if not network.layers:
        raise SelectionError(f"`{network.bundle.name}` has no feature maps, so nothing to project")
    default = network.layers[len(network.layers) // 2 if first == "middle" else 0]
    name = layer(network.layers, default)
    st.caption(f"{name}: {describe_layer(network.net.layers[name])}")
    return name


def evenly_spaced(layers: Sequence[str], count: int) -> list[str]:
    """At most `count` of the layers, evenly from the first to the last."""
    places = np.linspace(0, len(layers) - 1, min(count, len(layers)))
    return [layers[round(place)] for place in places]


def offered_networks() -> dict[str, str]:
    """Label -> argument of `load`: the demos, then the command line's arguments."""
    named = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    return {name: name for name in DEMOS} | {_label(name): name for name in named}


def _label(name: str) -> str:
    """The last two parts of a path, because the checkpoints of all runs have one file name."""
    return str(Path(*Path(name).parts[-2:])) if name.endswith(".safetensors") else name


def named_checkpoints() -> dict[str, str]:
    """Label -> path of the checkpoints named on the command line."""
    return {
        label: name for label, name in offered_networks().items() if name.endswith(".safetensors")
    }


_network = Picker[str]("model", "Network", widget="list", on_change=forget_unit)


def pick_network() -> None:
    """Show the picker of the network that all pages use."""
    _network(offered_networks())


def chosen_network() -> Network:
    """The network of `pick_network`, with a warning if it was never trained.

    Raises:
        DeconvvizError: As for `load`.
    """
    chosen = network(offered_networks().get(st.session_state.get("model", ""), DEMOS[0]))
    if chosen.bundle.is_untrained:
        st.warning(
            "This network has random weights; it was never trained. What its units respond to "
            "comes from its architecture and from the picture, not from learning.",
            icon=":material/casino:",
        )
    return chosen
