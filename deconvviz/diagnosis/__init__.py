"""What is wrong with a network, as far as looking at it shows."""

from deconvviz.diagnosis.diagnose import Diagnosis, diagnose
from deconvviz.diagnosis.findings import LIMITS, Finding

__all__ = ["LIMITS", "Diagnosis", "Finding", "diagnose"]
