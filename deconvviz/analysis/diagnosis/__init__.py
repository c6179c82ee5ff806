"""What is wrong with a network, as far as looking at it shows."""

from deconvviz.analysis.diagnosis.diagnose import Diagnosis, diagnose
from deconvviz.analysis.diagnosis.findings import LIMITS, Finding

__all__ = ["LIMITS", "Diagnosis", "Finding", "diagnose"]
