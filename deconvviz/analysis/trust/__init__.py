"""Trust in a projection: controls, each of which changes one thing."""

from deconvviz.analysis.trust.attributions import AttributionOptions, compare_attributions
from deconvviz.analysis.trust.examination import Trust, TrustOptions, examine

__all__ = ["AttributionOptions", "Trust", "TrustOptions", "compare_attributions", "examine"]
