"""The study: declared plans of paired training runs, their records, and what follows from them."""

from deconvviz.study.record import Record, read_records

__all__ = ["Record", "read_records"]
