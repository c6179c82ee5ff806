"""The atlas: what excites every unit of a network most, over a whole data set."""

from deconvviz.atlas.accumulator import EDGES
from deconvviz.atlas.store import FILE, Atlas, Header, Moment, Units, load_atlas
from deconvviz.atlas.sweep import build_atlas

__all__ = [
    "EDGES",
    "FILE",
    "Atlas",
    "Header",
    "Moment",
    "Units",
    "build_atlas",
    "load_atlas",
]
