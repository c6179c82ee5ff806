"""How far a projection can be trusted: controls, each of which changes one thing."""

from deconvviz.analysis.trust.attributions import Attribution, Attributions, compare
from deconvviz.analysis.trust.checks import Control, Likeness, Stage
from deconvviz.analysis.trust.examination import Trust, examine
from deconvviz.analysis.trust.insertion import Curve, Curves

__all__ = [
    "Attribution",
    "Attributions",
    "Control",
    "Curve",
    "Curves",
    "Likeness",
    "Stage",
    "Trust",
    "compare",
    "examine",
]
