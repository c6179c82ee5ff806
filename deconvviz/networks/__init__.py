"""Encoder-decoders by name: pictures in, pictures or maps out.

A name is an architecture and its options, as in `fsrcnn:scale=3:last=shuffle`; checkpoints record
it. `models` has the classifiers.
"""

from difflib import get_close_matches

from torch import nn

from deconvviz.errors import SettingError, UnknownModelError
from deconvviz.networks.architecture import Architecture, PictureToPicture
from deconvviz.networks.autoencoders import AutoEncoder
from deconvviz.networks.detectors import Detector
from deconvviz.networks.generators import Vae
from deconvviz.networks.restorers import HalfResolution, SuperResolver
from deconvviz.networks.segmenters import Segmenter
from deconvviz.schema import changed

__all__ = [
    "NETWORKS",
    "Architecture",
    "AutoEncoder",
    "Detector",
    "HalfResolution",
    "PictureToPicture",
    "Segmenter",
    "SuperResolver",
    "Vae",
    "architecture",
    "build",
]

NETWORKS: dict[str, Architecture] = {
    "fsrcnn": SuperResolver(),
    "half": HalfResolution(),
    "segmenter": Segmenter(),
    "detector": Detector(),
    "autoencoder": AutoEncoder(),
    "vae": Vae(),
}
"""Every architecture with its default options, by name. To add one, add its line here."""


def architecture(name: str) -> Architecture:
    """The architecture of a name with options, as in `half:width=48:blocks=4`.

    Raises:
        UnknownModelError: There is no such architecture or option, or a value is not valid.
    """
    first, *given = name.split(":")
    if first not in NETWORKS:
        near = get_close_matches(first, NETWORKS, n=1)
        hint = f" (did you mean `{near[0]}`?)" if near else ""
        raise UnknownModelError(f"no network `{first}`{hint}; there are {', '.join(NETWORKS)}")
    pairs = [one.partition("=")[::2] for one in given]
    try:
        return changed(NETWORKS[first], dict(pairs))
    except SettingError as error:
        raise UnknownModelError(f"no network `{name}`: {error}") from None


def build(name: str, *, channels: int = 3, classes: int = 0, size: int = 32) -> nn.Module:
    """Make an untrained network of `NETWORKS`.

    Args:
        name: Architecture and options.
        channels: Channels of the picture.
        classes: Number of classes of a segmenter.
        size: Side of the training pictures in pixels; most networks take any.

    Raises:
        UnknownModelError: There is no such network.
    """
    return architecture(name).network(channels, classes, size)
