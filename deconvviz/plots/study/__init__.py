"""A study's results as sentences, tables and figures in which every run can be seen.

What was not run says so in words; it is never drawn as a zero. All figures are without a ground,
and those of several panels take the number of their columns, so that they fit a narrow page too.
"""

from deconvviz.plots.study.publish import publish, save
from deconvviz.plots.study.registry import figures
from deconvviz.plots.study.tables import effect_table, metric_table, sweep_table
from deconvviz.plots.study.text import answer, arms, cautions, markdown_report, summary

__all__ = [
    "answer",
    "arms",
    "cautions",
    "effect_table",
    "figures",
    "markdown_report",
    "metric_table",
    "publish",
    "save",
    "summary",
    "sweep_table",
]
