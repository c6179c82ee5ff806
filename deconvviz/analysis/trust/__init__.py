"""How far a projection can be trusted: controls, each of which changes one thing."""

from deconvviz.analysis.trust.attributions import (
    Attribution,
    AttributionOptions,
    Attributions,
    compare_attributions,
)
from deconvviz.analysis.trust.checks import CascadeStep, Control, Similarity
from deconvviz.analysis.trust.examination import Trust, TrustOptions, examine
from deconvviz.analysis.trust.insertion import InsertionDeletion, PerturbationCurve

__all__ = [
    "Attribution",
    "AttributionOptions",
    "Attributions",
    "CascadeStep",
    "Control",
    "InsertionDeletion",
    "PerturbationCurve",
    "Similarity",
    "Trust",
    "TrustOptions",
    "compare_attributions",
    "examine",
]
