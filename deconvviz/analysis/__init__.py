"""Analyses of networks: the experiments of Zeiler & Fergus (2014), trust, and diagnosis.

Each is a function that gives a `Result`. `deconvviz.analysis.registry` finds them all; options and
results are in the modules of their names.
"""

from deconvviz.analysis.correspondence import correspondence
from deconvviz.analysis.depth import depth
from deconvviz.analysis.evolution import evolution
from deconvviz.analysis.filters import filters
from deconvviz.analysis.invariance import invariance
from deconvviz.analysis.occlusion import occlusion
from deconvviz.analysis.parts import draw_faces, read_parts
from deconvviz.analysis.result import Result

__all__ = [
    "Result",
    "correspondence",
    "depth",
    "draw_faces",
    "evolution",
    "filters",
    "invariance",
    "occlusion",
    "read_parts",
]
