"""The experiments of Zeiler & Fergus (2014), arXiv:1311.2901, each a function with a `Result`."""

from deconvviz.experiments.evolution import Evolution, evolution
from deconvviz.experiments.filters import Filters, filters
from deconvviz.experiments.result import Result

__all__ = ["Evolution", "Filters", "Result", "evolution", "filters"]
