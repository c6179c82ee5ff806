"""Gradients: whether the deep deconvolution network keeps them from vanishing or exploding."""

from deconvviz.study.gradients.collect import GradientOptions, gradients, read_gradients
from deconvviz.study.gradients.result import EXPLODES, VANISHES, Agreement, Gradients
from deconvviz.study.gradients.trace import LEARNED, Condition, GradientStats, Setting, Trace

__all__ = [
    "EXPLODES",
    "LEARNED",
    "VANISHES",
    "Agreement",
    "Condition",
    "GradientOptions",
    "GradientStats",
    "Gradients",
    "Setting",
    "Trace",
    "gradients",
    "read_gradients",
]
