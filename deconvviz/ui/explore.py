"""What the pages ask of the engine: pictures as a network is given them, and what units saw there.

No Streamlit here: these are plain functions, which `loaders` caches.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save
from torch import Tensor, nn

from deconvviz.analysis.kernels import Kernels, kernels_of
from deconvviz.deconv import Deconvnet, Recording, Selection
from deconvviz.deconv.projection import Start
from deconvviz.deconv.rules import Rule
from deconvviz.io.bundle import Bundle
from deconvviz.io.images import Picture, limit_side
from deconvviz.plots.figures import Box, crop
from deconvviz.units import Unit

__all__ = [
    "LARGEST",
    "InputView",
    "Kernels",
    "Network",
    "Reconstruction",
    "activations",
    "classify",
    "kernels",
    "look",
    "raw",
    "reconstruct",
    "spread",
    "strongest_positions",
    "strongest_units",
    "through",
]

LARGEST = 1024
"""The longest side, in pixels, at which a picture goes through the layers."""


@dataclass(frozen=True)
class Network:
    """A loaded network with its deconvnet."""

    bundle: Bundle
    net: Deconvnet

    @property
    def key(self) -> str:
        """The checkpoint's SHA-256, for caches."""
        return self.bundle.sha256

    @property
    def layers(self) -> tuple[str, ...]:
        """The rectified maps after each convolution, from the lowest up."""
        return self.net.default_layers


@dataclass(frozen=True)
class InputView:
    """A picture exactly as a network is given it.

    Attributes:
        picture: What a person chose.
        image: Its pixels after cropping and resizing.
        pixels: (1, C, H, W) normalised.
        size: The longest side asked for, or "trained" for the size of the training pictures.
    """

    picture: Picture
    image: Image.Image
    pixels: Tensor
    size: int | Literal["trained"]

    @property
    def key(self) -> str:
        """For caches; holds nothing of the network but the size it was trained at."""
        return f"{self.picture.key}:{self.image.width}x{self.image.height}:{self.size}"

    @property
    def shown(self) -> NDArray[np.uint8]:
        """Its pixels, uint8 (H, W, 3)."""
        return np.asarray(self.image)

    @property
    def is_flat(self) -> bool:
        """Whether all its pixels are one colour."""
        return all(low == high for low, high in _extrema(self.image))


@dataclass(frozen=True)
class Reconstruction:
    """What one unit saw at one place, and its projection back to pixels.

    Attributes:
        layer: The unit's layer.
        channel: The unit's feature map.
        y: Its row there.
        x: Its column there.
        value: Its activation.
        box: Its window, in pixels of the picture.
        pixels: (C, h, w) signed, in normalised input units.
        patch: uint8 (h, w, 3), the picture in that window.
    """

    layer: str
    channel: int
    y: int
    x: int
    value: float
    box: Box
    pixels: Tensor
    patch: NDArray[np.uint8]

    @property
    def unit(self) -> Unit:
        """The unit at its place."""
        return Unit(self.layer, self.channel, self.y, self.x)


def look(bundle: Bundle, picture: Picture, size: int | Literal["trained"]) -> InputView:
    """Give a picture to a network.

    Args:
        bundle: The network.
        picture: Any size.
        size: "trained": the largest central square at the size of the training pictures, as the
            classifier does; or the longest side, at most `LARGEST`, of the whole picture.
    """
    if size == "trained":
        image = bundle.view(picture.image)
        return InputView(picture, image, bundle.preprocess(image)[None], size)
    image = limit_side(picture.image, min(size, LARGEST))
    return InputView(picture, image, bundle.preprocess(image, size=None)[None], size)


def activations(network: Network, pixels: int) -> int:
    """About how many units all layers have together for a picture of so many pixels."""
    _, height, width = network.bundle.input_size
    sizes = [network.net.layers[name] for name in network.layers]
    units = sum(layer.channels * layer.size[0] * layer.size[1] for layer in sizes)
    return units * pixels // (height * width)


def spread(layers: Sequence[str], count: int) -> list[str]:
    """At most `count` of the layers, evenly from the first to the last."""
    last = len(layers) - 1
    return list(dict.fromkeys(layers[round(i * last / (count - 1))] for i in range(count)))


def strongest_units(recording: Recording, layer: str, k: int | None = None) -> Selection:
    """The `k` (or all) active units of the first picture, each where it is strongest."""
    return recording.strongest(layer, recording[layer].shape[1] if k is None else k)


def reconstruct(
    net: Deconvnet,
    recording: Recording,
    sight: InputView,
    selection: Selection,
    rule: Rule,
    start: Start,
) -> list[Reconstruction]:
    """Project each selected unit alone, with what is needed to show it."""
    projection = net.project(recording, selection, rule=rule, start=start)
    values = recording.values(selection).tolist()
    places = zip(
        selection.channel.tolist(), selection.y.tolist(), selection.x.tolist(), strict=True
    )
    boxes: list[Box] = [
        (top, left, bottom, right) for top, left, bottom, right in projection.boxes.tolist()
    ]
    return [
        Reconstruction(selection.layer, channel, y, x, value, box, pixels, crop(sight.shown, box))
        for (channel, y, x), value, box, pixels in zip(
            places, values, boxes, projection.pixels, strict=True
        )
    ]


def strongest_positions(
    recording: Recording, layer: str, channel: int, share: float = 1.0
) -> Selection:
    """The strongest positions of one feature map, as one group: they are projected together.

    Args:
        recording: Of one picture.
        layer: The feature map's layer.
        channel: The feature map.
        share: The largest share of all its positions; only active ones are taken. At least one.
    """
    maps = recording[layer]
    feature_map, width = maps[0, channel].flatten(), maps.shape[3]
    count = max(1, round(share * feature_map.numel()))
    values, places = feature_map.topk(count)
    places = places[values > 0]
    return Selection(layer, 0, channel, places // width, places % width, torch.zeros_like(places))


def through(
    net: Deconvnet, recording: Recording, selection: Selection, rule: Rule, start: Start
) -> Tensor:
    """One group's projection in its place: (C, H, W) of the whole picture; zero if it is empty."""
    if not len(selection):
        channels = recording.shapes[recording.tape.input][1]
        return torch.zeros(channels, *recording.size)
    return net.project(recording, selection, rule=rule, start=start).full()[0]


def raw(
    network: Network,
    sight: InputView,
    unit: Reconstruction,
    rule: Rule,
    start: Start,
    pixels: Tensor,
) -> bytes:
    """A projection as a safetensors file, with what is needed to make it again."""
    told = {
        "network": network.bundle.name,
        "checkpoint_sha256": network.key,
        "picture": sight.picture.name,
        "picture_sha256": sight.picture.key,
        "size": f"{sight.image.width}x{sight.image.height}",
        "layer": unit.layer,
        "unit": str(unit.channel),
        "position": f"y {unit.y}, x {unit.x}",
        "activation": repr(unit.value),
        "box": "top {}, left {}, bottom {}, right {}".format(*unit.box),
        "rule": rule,
        "start": start,
        "units": "signed, normalised input",
    }
    return save({"pixels": pixels.contiguous()}, metadata=told)


def classify(model: nn.Module, sight: InputView) -> Tensor:
    """The probabilities (classes,) that a network gives a picture of its training size."""
    with torch.inference_mode():
        probabilities: Tensor = model(sight.pixels)[0].softmax(0)
    return probabilities


def kernels(network: Network, layer: str) -> Kernels:
    """The kernels of the convolution that `layer` rectifies; see `kernels_of`."""
    return kernels_of(network.net, layer)


def _extrema(image: Image.Image) -> list[tuple[float, float]]:
    extrema = image.convert("RGB").getextrema()
    return [(low, high) for low, high in extrema]  # type: ignore[misc]
