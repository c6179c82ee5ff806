"""The experiments of Zeiler & Fergus (2014), arXiv:1311.2901, each a function with a `Result`."""

from deconvviz.experiments.ablation import Ablation, ablation
from deconvviz.experiments.correspondence import Correspondence, correspondence
from deconvviz.experiments.depth import Depth, depth
from deconvviz.experiments.evolution import Evolution, evolution
from deconvviz.experiments.filters import Filters, filters
from deconvviz.experiments.invariance import Invariance, invariance
from deconvviz.experiments.occlusion import Occlusion, occlusion
from deconvviz.experiments.parts import MarkedPictures, draw_faces, read_parts
from deconvviz.experiments.result import Result

__all__ = [
    "Ablation",
    "Correspondence",
    "Depth",
    "Evolution",
    "Filters",
    "Invariance",
    "MarkedPictures",
    "Occlusion",
    "Result",
    "ablation",
    "correspondence",
    "depth",
    "draw_faces",
    "evolution",
    "filters",
    "invariance",
    "occlusion",
    "read_parts",
]
