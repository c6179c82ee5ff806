"""Reported metrics of a run: its quality and its cost."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deconvviz.study.corruptions import CORRUPTIONS
from deconvviz.study.record import Record


@dataclass(frozen=True)
class Metric:
    """A number that follows from a record.

    Attributes:
        name: Displayed name.
        value: Value of a record; None where it was not measured.
        unit: Displayed unit.
        scale: Factor from the record's unit to the displayed one.
        digits: Digits behind the point.
        median: Summarised by median and range instead of mean and standard deviation, because one
            odd run would spoil the mean.
    """

    name: str
    value: Callable[[Record], float | None]
    unit: str = ""
    scale: float = 1
    digits: int = 3
    median: bool = False

    @property
    def title(self) -> str:
        """Name and unit, and how it is summarised where that is not by the mean."""
        name = f"{self.name}, {self.unit}" if self.unit else self.name
        return f"{name} (median, range)" if self.median else name

    def format(self, value: float) -> str:
        """A value in the metric's unit."""
        return f"{self.scale * value:.{self.digits}f}"

    def of(self, records: Sequence[Record]) -> list[float]:
        """Values of those records in which it was measured."""
        return [value for record in records if (value := self.value(record)) is not None]


ACCURACY = Metric("test accuracy", lambda r: r.test_accuracy, "%", 100, 2)
GAP = Metric("train-test gap", lambda r: r.gap, "points", 100, 2)
NLL = Metric("NLL", lambda r: r.nll, "nats")
ECE = Metric("ECE", lambda r: r.ece, "%", 100, 2)
QUALITIES = (ACCURACY, GAP, NLL, ECE)
"""Metrics of quality, without robustness."""
RECONSTRUCTION = Metric(
    "reconstruction error", lambda r: r.epochs[-1].get("reconstruction_error") if r.epochs else None
)
"""Mean squared error of a decoder over the last epoch's training pictures, in normalised units,
in which pictures have a variance of about 1; errors of compared stages are added."""


def _clarity(name: str) -> Callable[[Record], float | None]:
    def mean(record: Record) -> float | None:
        values = [layer[name] for layer in record.clarity.values()]
        return statistics.fmean(values) if values else None

    return mean


CLARITY = (
    Metric("power above 1/4 cycle per pixel", _clarity("high_frequency"), "%", 100, 1),
    Metric("power of colour", _clarity("colour"), "%", 100, 1),
    Metric("correlation with the picture", _clarity("correlation"), digits=2),
)
"""Clarity of the projections: means over units and over the last two layers."""
COSTS = (
    Metric("parameters", lambda r: r.parameters, "M", 1e-6),
    Metric("multiply-adds", lambda r: r.multiply_adds, "M", 1e-6, 1),
    Metric("parameters in training", lambda r: r.training_parameters, "M", 1e-6),
    Metric("multiply-adds in training", lambda r: r.training_multiply_adds, "M", 1e-6, 1),
    # a machine that did other work meanwhile spoils a mean
    Metric("time", lambda r: r.seconds, "s", 1, 0, median=True),
)
"""Metrics of cost."""


def corruption_metrics(records: Sequence[Record]) -> dict[str, Metric]:
    """Corruption -> mean accuracy over its severities, for all that any record has."""

    def metric(name: str) -> Metric:
        def mean(record: Record) -> float | None:
            accuracies = record.robustness.get(name)
            return statistics.fmean(accuracies) if accuracies else None

        return Metric(f"accuracy under {name}", mean, "%", 100, 2)

    measured = dict.fromkeys(name for record in records for name in record.robustness)
    known = [name for name in CORRUPTIONS if name in measured]
    return {name: metric(name) for name in dict.fromkeys([*known, *measured])}
