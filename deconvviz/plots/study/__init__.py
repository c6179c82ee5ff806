"""A study's results as sentences, tables and figures in which every run can be seen.

What was not run is never drawn as a zero: it is left out, and named. All figures are without a
ground, and those of several panels take the number of their columns, so that they fit a narrow page
too.
"""

from deconvviz.plots.study.publish import publish, save
from deconvviz.plots.study.registry import figures
from deconvviz.plots.study.tables import (
    baseline_table,
    effect_table,
    measure_table,
    metric_table,
    run_only,
    sweep_table,
)
from deconvviz.plots.study.text import (
    answer,
    arms,
    cautions,
    headline,
    markdown_report,
    missing,
    plain,
    pooling,
    published,
    summary,
    sweep_headline,
)

__all__ = [
    "answer",
    "arms",
    "baseline_table",
    "cautions",
    "effect_table",
    "figures",
    "headline",
    "markdown_report",
    "measure_table",
    "metric_table",
    "missing",
    "plain",
    "pooling",
    "publish",
    "published",
    "run_only",
    "save",
    "summary",
    "sweep_headline",
    "sweep_table",
]
