"""Gradients: whether the deep deconvolution network keeps them from vanishing or exploding."""

from deconvviz.study.gradients.result import EXPLODES, VANISHES, Gradients, Spread
from deconvviz.study.gradients.run import STEPS, gradients
from deconvviz.study.gradients.traces import Arm, Moment, Setting, Trace

__all__ = [
    "EXPLODES",
    "STEPS",
    "VANISHES",
    "Arm",
    "Gradients",
    "Moment",
    "Setting",
    "Spread",
    "Trace",
    "gradients",
]
