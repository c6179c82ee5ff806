"""The study: declared plans of paired training runs, their records, and what follows from them."""

from deconvviz.study.ablation import ablation
from deconvviz.study.paired import Difference, compare, holm
from deconvviz.study.plan import Arm, Contrast, Plan, RunSpec
from deconvviz.study.plans import PLANS, find_plan
from deconvviz.study.record import Record, read_records
from deconvviz.study.report import Effect, Report, analyse
from deconvviz.study.run import run_plan

__all__ = [
    "PLANS",
    "Arm",
    "Contrast",
    "Difference",
    "Effect",
    "Plan",
    "Record",
    "Report",
    "RunSpec",
    "ablation",
    "analyse",
    "compare",
    "find_plan",
    "holm",
    "read_records",
    "run_plan",
]
