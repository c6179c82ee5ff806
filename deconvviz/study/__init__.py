"""The study: declared plans of paired training runs, their records, and what follows from them."""

from deconvviz.study.paired import Difference, compare, holm
from deconvviz.study.plan import Arm, Cell, Plan
from deconvviz.study.plans import PLANS, find_plan
from deconvviz.study.publish import draw, judge, publish
from deconvviz.study.record import Record, read_records
from deconvviz.study.report import Report, read_report, report
from deconvviz.study.run import run_study
from deconvviz.study.sweep import Sweep, sweep

__all__ = [
    "PLANS",
    "Arm",
    "Cell",
    "Difference",
    "Plan",
    "Record",
    "Report",
    "Sweep",
    "compare",
    "draw",
    "find_plan",
    "holm",
    "judge",
    "publish",
    "read_records",
    "read_report",
    "report",
    "run_study",
    "sweep",
]
