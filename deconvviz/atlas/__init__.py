"""The atlas: the strongest activations of every unit of a network over a whole data set."""

from deconvviz.atlas.accumulator import EDGES
from deconvviz.atlas.build import build_atlas
from deconvviz.atlas.store import FILE, Atlas, Header, TopActivation, Units, load_atlas

__all__ = [
    "EDGES",
    "FILE",
    "Atlas",
    "Header",
    "TopActivation",
    "Units",
    "build_atlas",
    "load_atlas",
]
