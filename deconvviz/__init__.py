"""See what any unit of a convolutional network responds to.

    import deconvviz as dv

    bundle = dv.load("demo")
    net = dv.Deconvnet(bundle.model, bundle.input_size)
    recording = net.record(bundle.preprocess(picture)[None])
    projection = net.project(recording, recording.strongest("stage3.relu2"))

The names below are the public ones; each is imported when it is first used, so that
`deconvviz --help` does not wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from deconvviz.version import __version__

if TYPE_CHECKING:
    from deconvviz.atlas import Atlas, build_atlas, load_atlas
    from deconvviz.deconv import Deconvnet, Layer, Projection, Recording, Selection
    from deconvviz.errors import DeconvvizError
    from deconvviz.io.bundle import Bundle
    from deconvviz.io.zoo import load


__all__ = [
    "Atlas",
    "Bundle",
    "Deconvnet",
    "DeconvvizError",
    "Layer",
    "Projection",
    "Recording",
    "Selection",
    "__version__",
    "build_atlas",
    "load",
    "load_atlas",
]

_HOMES = {
    "Atlas": "deconvviz.atlas",
    "build_atlas": "deconvviz.atlas",
    "load_atlas": "deconvviz.atlas",
    "Bundle": "deconvviz.io.bundle",
    "load": "deconvviz.io.zoo",
    "DeconvvizError": "deconvviz.errors",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module `deconvviz` has no attribute `{name}`")
    return getattr(import_module(_HOMES.get(name, "deconvviz.deconv")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
