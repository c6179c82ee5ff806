"""Analyses of networks: the experiments of Zeiler & Fergus (2014), trust, and diagnosis.

Each is a function with a `Result`; `deconvviz.analysis.registry` finds them all.
"""

from deconvviz.analysis.ablation import Ablation, ablation
from deconvviz.analysis.correspondence import Correspondence, CorrespondenceOptions, correspondence
from deconvviz.analysis.depth import Depth, DepthOptions, depth
from deconvviz.analysis.evolution import Evolution, EvolutionOptions, evolution
from deconvviz.analysis.filters import FilterOptions, Filters, filters
from deconvviz.analysis.invariance import Invariance, InvarianceOptions, invariance
from deconvviz.analysis.occlusion import Occlusion, OcclusionOptions, occlusion
from deconvviz.analysis.parts import MarkedPictures, draw_faces, read_parts
from deconvviz.analysis.result import Result

__all__ = [
    "Ablation",
    "Correspondence",
    "CorrespondenceOptions",
    "Depth",
    "DepthOptions",
    "Evolution",
    "EvolutionOptions",
    "FilterOptions",
    "Filters",
    "Invariance",
    "InvarianceOptions",
    "MarkedPictures",
    "Occlusion",
    "OcclusionOptions",
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
