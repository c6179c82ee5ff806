"""What torchvision and timm have: names, numbers of parameters, and weights to download."""

from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec

import torch

from deconvviz.errors import SettingError, UnknownModelError
from deconvviz.io.bundle import Bundle
from deconvviz.io.zoo.download import download
from deconvviz.io.zoo.names import load
from deconvviz.io.zoo.weights import unknown_network
from deconvviz.progress import Progress

LIBRARIES = ("torchvision", "timm")


@dataclass(frozen=True)
class StoredWeights:
    """The default weights of a library's network.

    Attributes:
        on_disk: Whether they need no download.
        megabytes: Size of the download; None where the library does not say.
    """

    on_disk: bool
    megabytes: float | None = None


def is_library(name: str) -> bool:
    """Whether a name is one of a library's networks, by its form."""
    return name.partition("/")[0] in LIBRARIES


@cache
def library_names() -> tuple[str, ...]:
    """All networks for pictures, torchvision's first; timm's where it is installed."""
    from deconvviz.io.zoo import timm_models, torchvision_models

    names = [f"torchvision/{name}" for name in torchvision_models.network_names()]
    if find_spec("timm"):
        names += [f"timm/{name}" for name in timm_models.network_names()]
    return tuple(names)


def check_name(name: str) -> None:
    """Raise an `UnknownModelError` if no library has a network of this name.

    timm's may also be "timm/NAME.TAG", which names the weights.
    """
    library, _, rest = name.partition("/")
    if library == "timm" and find_spec("timm"):
        from deconvviz.io.zoo import timm_models

        if rest in timm_models.weight_names():
            return
    if name not in library_names():
        here = [one.partition("/")[2] for one in library_names() if one.startswith(f"{library}/")]
        raise unknown_network(library, rest, here)


def without_values(name: str) -> Bundle:
    """A library's network whose weights have shapes but no values: made at once, in no memory.

    Raises:
        UnknownModelError: There is no network of this name.
        SettingError: It cannot be made in this way.
    """
    check_name(name)
    try:
        with torch.device("meta"):
            return load(name, weights=None)
    except (NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        raise SettingError(f"how large `{name}` is cannot be known before it is made") from error


@lru_cache(maxsize=2048)
def parameters(name: str) -> int:
    """Number of parameters of a library's network; errors as for `without_values`.

    Where it cannot be made without values, the number that torchvision states is taken.
    """
    try:
        return sum(one.numel() for one in without_values(name).model.parameters())
    except SettingError:
        library, _, rest = name.partition("/")
        if library == "torchvision":
            from deconvviz.io.zoo.torchvision_models import weights_file

            if count := weights_file(rest).parameters:
                return count
        raise


def stored_weights(name: str) -> StoredWeights:
    """Where the default weights of a library's network are; nothing is fetched.

    Raises:
        UnknownModelError: There is no such network, or it has no weights.
        SettingError: timm is not installed.
    """
    library, _, rest = name.partition("/")
    if library == "timm":
        from deconvviz.io.zoo.timm_models import cached_file

        return StoredWeights(cached_file(rest) is not None)
    from deconvviz.io.zoo.torchvision_models import weights_file

    file = weights_file(rest)
    return StoredWeights(file.path.is_file(), file.megabytes)


def fetch(name: str, progress: Progress) -> None:
    """Download the default weights of a library's network to the library's own folder.

    Args:
        name: "torchvision/NAME" or "timm/NAME".
        progress: Called with the bytes that have come, for torchvision; timm does not tell.

    Raises:
        CheckpointError: They could not be downloaded; nothing is left behind.
        UnknownModelError: There is no such network, or it has no weights.
    """
    library, _, rest = name.partition("/")
    if library == "torchvision":
        from deconvviz.io.zoo.torchvision_models import weights_file

        file = weights_file(rest)
        if not file.path.is_file():
            download(file.url, file.path, f"the weights of {name}", progress)
    elif library == "timm":
        load(name, download=True)
    else:
        raise UnknownModelError(f"`{name}` is no network of {' or '.join(LIBRARIES)}")
