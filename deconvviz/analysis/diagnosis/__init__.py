"""Faults of a network, found by looking at its units."""

from deconvviz.analysis.diagnosis.diagnose import Diagnosis, diagnose
from deconvviz.analysis.diagnosis.findings import DiagnosisOptions, Finding

__all__ = ["Diagnosis", "DiagnosisOptions", "Finding", "diagnose"]
