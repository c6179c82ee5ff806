"""The study: declared plans of paired training runs, their records, and their results."""

from deconvviz.study.paired import PairedDifference
from deconvviz.study.plan import PLANS, Arm, Plan, find_plan
from deconvviz.study.record import Record, read_records
from deconvviz.study.report import Report, analyse
from deconvviz.study.run import run_plan

__all__ = [
    "PLANS",
    "Arm",
    "PairedDifference",
    "Plan",
    "Record",
    "Report",
    "analyse",
    "find_plan",
    "read_records",
    "run_plan",
]
