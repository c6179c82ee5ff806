"""The study: declared plans of paired training runs, their records, and what follows from them."""

from deconvviz.study.paired import Difference, compare, holm
from deconvviz.study.record import Record, read_records
from deconvviz.study.report import Report, read_report, report
from deconvviz.study.sweep import Sweep, sweep

__all__ = [
    "Difference",
    "Record",
    "Report",
    "Sweep",
    "compare",
    "holm",
    "read_records",
    "read_report",
    "report",
    "sweep",
]
