"""What the runs of a study show, as figures in which every run can be seen.

What was not run says so in words; it is never drawn as a zero. All figures are without a ground,
and those of several panels take the number of their columns, so that they fit a narrow page too.
"""

from deconvviz.plots.study.report import (
    accuracy_by_epoch,
    accuracy_by_labels,
    calibration,
    overfitting,
    paired_differences,
    robustness,
)
from deconvviz.plots.study.sweep import recipe_differences, reconstruction_curves, sweep_curves

__all__ = [
    "accuracy_by_epoch",
    "accuracy_by_labels",
    "calibration",
    "overfitting",
    "paired_differences",
    "recipe_differences",
    "reconstruction_curves",
    "robustness",
    "sweep_curves",
]
