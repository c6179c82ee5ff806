"""Reported metrics of a run: its quality and its cost."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from deconvviz.study.corruptions import CORRUPTIONS
from deconvviz.study.plan import Plan
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

    @property
    def difference_unit(self) -> str:
        """Unit of a difference of two values: of shares that are percentage points."""
        return "points" if self.unit == "%" else self.unit

    def format_difference(self, value: float) -> str:
        """A difference of two values with its sign, in `difference_unit`."""
        return f"{self.scale * value:+.{self.digits}f}"

    def format(self, value: float) -> str:
        """A value in the metric's unit."""
        return f"{self.scale * value:.{self.digits}f}"

    def of(self, records: Sequence[Record]) -> list[float]:
        """Values of those records in which it was measured."""
        return [value for record in records if (value := self.value(record)) is not None]


ACCURACY = Metric("test accuracy", lambda r: r.test_accuracy, "%", 100, 2)
TRAINING = Metric("training accuracy", lambda r: r.train_accuracy, "%", 100, 2)
GAP = Metric("train-test gap", lambda r: r.gap, "points", 100, 2)
NLL = Metric("NLL", lambda r: r.nll, "nats")
ECE = Metric("ECE", lambda r: r.ece, "%", 100, 2)
QUALITIES = (ACCURACY, TRAINING, GAP, NLL, ECE)
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


@cache
def corruption_metric(name: str) -> Metric:
    """Mean accuracy over the severities of one corruption."""

    def mean(record: Record) -> float | None:
        accuracies = record.robustness.get(name)
        return statistics.fmean(accuracies) if accuracies else None

    return Metric(f"accuracy under {name}", mean, "%", 100, 2)


def corruption_metrics(records: Sequence[Record]) -> dict[str, Metric]:
    """Corruption -> mean accuracy over its severities, for all that any record has."""
    measured = dict.fromkeys(name for record in records for name in record.robustness)
    known = [name for name in CORRUPTIONS if name in measured]
    return {name: corruption_metric(name) for name in dict.fromkeys([*known, *measured])}


def declared_metrics(plan: Plan, records: Sequence[Record]) -> tuple[Metric, ...]:
    """What a plan measures of every run, and what any record has beside that; test accuracy first.

    Without the reconstruction error, which an arm without a decoder does not have, and costs.
    """
    declared = CORRUPTIONS if plan.robustness else ()
    corrupted = {name: corruption_metric(name) for name in declared} | corruption_metrics(records)
    clear = CLARITY if plan.clarity or any(record.clarity for record in records) else ()
    return (*QUALITIES, *corrupted.values(), *clear)
