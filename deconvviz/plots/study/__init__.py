"""A study's results as sentences, tables and figures in which every run can be seen.

What was not run says so in words; it is never drawn as a zero. All figures are without a ground,
and those of several panels take the number of their columns, so that they fit a narrow page too.
"""

from deconvviz.plots.study.comparison import (
    accuracy_by_epoch,
    accuracy_by_labels,
    calibration,
    overfitting,
    paired_differences,
    robustness,
)
from deconvviz.plots.study.factors import (
    factor_curves,
    reconstruction_curves,
    sweep_differences,
)
from deconvviz.plots.study.publish import publish, save
from deconvviz.plots.study.registry import figures
from deconvviz.plots.study.tables import effect_table, metric_table, sweep_table
from deconvviz.plots.study.text import answer, arms, cautions, markdown_report, summary

__all__ = [
    "accuracy_by_epoch",
    "accuracy_by_labels",
    "answer",
    "arms",
    "calibration",
    "cautions",
    "effect_table",
    "factor_curves",
    "figures",
    "markdown_report",
    "metric_table",
    "overfitting",
    "paired_differences",
    "publish",
    "reconstruction_curves",
    "robustness",
    "save",
    "summary",
    "sweep_differences",
    "sweep_table",
]
