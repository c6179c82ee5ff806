"""The experiments of Zeiler & Fergus (2014), arXiv:1311.2901, each a function with a `Result`."""

from deconvviz.analysis.correspondence import Correspondence, correspondence
from deconvviz.analysis.depth import Depth, depth
from deconvviz.analysis.evolution import Evolution, evolution
from deconvviz.analysis.filters import Filters, filters
from deconvviz.analysis.invariance import Invariance, invariance
from deconvviz.analysis.occlusion import Occlusion, occlusion
from deconvviz.analysis.parts import MarkedPictures, draw_faces, read_parts
from deconvviz.analysis.result import Result

__all__ = [
    "Correspondence",
    "Depth",
    "Evolution",
    "Filters",
    "Invariance",
    "MarkedPictures",
    "Occlusion",
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
