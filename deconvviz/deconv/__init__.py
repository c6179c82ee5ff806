"""The engine: a model traced once, recorded forward, and undone operation by operation."""

from deconvviz.deconv.coverage import Coverage, CoveredOperation
from deconvviz.deconv.deconvnet import Deconvnet
from deconvviz.deconv.layers import Layer
from deconvviz.deconv.projection import Box, Projection
from deconvviz.deconv.recording import Peaks, Recording
from deconvviz.deconv.selection import Selection
from deconvviz.deconv.selfcheck import SelfCheck
from deconvviz.deconv.verification import Verification, VerifiedLayer

__all__ = [
    "Box",
    "Coverage",
    "CoveredOperation",
    "Deconvnet",
    "Layer",
    "Peaks",
    "Projection",
    "Recording",
    "Selection",
    "SelfCheck",
    "Verification",
    "VerifiedLayer",
]
