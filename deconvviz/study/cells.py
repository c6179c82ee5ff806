"""The runs of one arm at one label budget, and what was measured on them.

Before anything is counted, records are held against each other: runs of one cell differ in their
seed alone, and runs of one seed were given the same labels.
"""

import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from deconvviz.errors import StudyError
from deconvviz.study.paired import Difference, compare
from deconvviz.study.record import Record

__all__ = [
    "ACCURACY",
    "COSTS",
    "ECE",
    "GAP",
    "NLL",
    "QUALITIES",
    "RECONSTRUCTION",
    "Cell",
    "Measure",
    "Spread",
    "corruption",
    "corruptions",
    "difference",
    "gather",
    "interval",
    "points",
    "table",
]


@dataclass(frozen=True)
class Spread:
    """One measure over the runs of a cell.

    Attributes:
        values: One a run, by rising seed; at least one.
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Of the values."""
        return statistics.fmean(self.values)

    @property
    def median(self) -> float:
        """Of the values."""
        return statistics.median(self.values)

    @property
    def deviation(self) -> float | None:
        """Their standard deviation (n - 1); None with one run."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    def to_dict(self) -> dict[str, Any]:
        """Mean, deviation and every value."""
        return {"mean": self.mean, "deviation": self.deviation, "values": list(self.values)}


@dataclass(frozen=True)
class Measure:
    """Something that a record tells of its run.

    Attributes:
        name: For people.
        of: Its value; None where it was not measured.
        unit: What it is shown in.
        scale: Of that unit in the record's.
        digits: Shown behind the point.
        ranged: Whether cells show median and range, for what one odd run would spoil the mean of.
    """

    name: str
    of: Callable[[Record], float | None]
    unit: str = ""
    scale: float = 1
    digits: int = 3
    ranged: bool = False

    @property
    def title(self) -> str:
        """Name and unit, and what cells show of it where that is not the mean."""
        name = f"{self.name}, {self.unit}" if self.unit else self.name
        return f"{name} (median, range)" if self.ranged else name

    def told(self, value: float) -> str:
        """A value in the measure's unit."""
        return f"{self.scale * value:.{self.digits}f}"


ACCURACY = Measure("test accuracy", lambda r: r.test_accuracy, "%", 100, 2)
GAP = Measure("train-test gap", lambda r: r.gap, "points", 100, 2)
NLL = Measure("NLL", lambda r: r.nll, "nats")
ECE = Measure("ECE", lambda r: r.ece, "%", 100, 2)
QUALITIES = (ACCURACY, GAP, NLL, ECE)
"""How good a run is; its robustness comes beside them, a corruption each."""
RECONSTRUCTION = Measure(
    "reconstruction error", lambda r: r.epochs[-1].get("reconstruction_error") if r.epochs else None
)
"""What a decoder leaves: the error that it was taught to lessen, over the last epoch's training
pictures. Of the picture alone that is the mean squared error in normalised units, in which they
have a variance of about 1; stages that are compared add theirs. A run without a decoder has
none."""
COSTS = (
    Measure("parameters", lambda r: r.parameters, "M", 1e-6),
    Measure("multiply-adds", lambda r: r.multiply_adds, "M", 1e-6, 1),
    Measure("parameters in training", lambda r: r.training_parameters, "M", 1e-6),
    Measure("multiply-adds in training", lambda r: r.training_multiply_adds, "M", 1e-6, 1),
    # a machine that stood still, or did other work, counts for it
    Measure("time", lambda r: r.seconds, "s", 1, 0, ranged=True),
)
"""What a run costs."""


def corruption(name: str) -> Measure:
    """Accuracy under one corruption, the mean over its strengths."""

    def mean(record: Record) -> float | None:
        accuracies = record.robustness.get(name)
        return statistics.fmean(accuracies) if accuracies else None

    return Measure(f"accuracy under {name}", mean, "%", 100, 2)


def corruptions(records: Sequence[Record]) -> tuple[str, ...]:
    """The corruptions that any of them was measured under, in the order met."""
    return tuple(dict.fromkeys(name for record in records for name in record.robustness))


@dataclass(frozen=True)
class Cell:
    """All runs of one arm at one label budget.

    Attributes:
        arm: Its name.
        labels: The budget.
        records: By rising seed; none where nothing was run.
    """

    arm: str
    labels: int
    records: tuple[Record, ...] = ()

    def spread(self, measure: Measure) -> Spread | None:
        """One measure over the runs that have it; None where none has."""
        values = [value for r in self.records if (value := measure.of(r)) is not None]
        return Spread(tuple(values)) if values else None

    def told(self, measure: Measure) -> str:
        """One measure, how far it varies, and the number of runs.

        Its mean and standard deviation; where it is `ranged`, its median, lowest and highest.
        """
        spread = self.spread(measure)
        if spread is None:
            return "not measured" if self.records else "not run"
        if measure.ranged:
            lowest, highest = (measure.told(end(spread.values)) for end in (min, max))
            span = f", {lowest} to {highest}" if lowest != highest else ""
            return f"{measure.told(spread.median)}{span} ({len(spread.values)})"
        varies = f" ± {measure.told(spread.deviation)}" if spread.deviation else ""
        return f"{measure.told(spread.mean)}{varies} ({len(spread.values)})"

    def to_dict(self) -> dict[str, Any]:
        """Every measure of the cell, as plain values."""
        worse = map(corruption, corruptions(self.records))
        shown = [*QUALITIES, *worse, RECONSTRUCTION, *COSTS]
        spreads = {measure.name: self.spread(measure) for measure in shown}
        return {
            "arm": self.arm,
            "labels": self.labels,
            "runs": len(self.records),
            "seeds": [record.seed for record in self.records],
            **{name: spread.to_dict() for name, spread in spreads.items() if spread},
        }


def gather(
    records: Sequence[Record], arms: Sequence[str] = (), budgets: Sequence[int] = ()
) -> dict[tuple[str, int], Cell]:
    """Put records into cells.

    Args:
        records: Of one study.
        arms: Those that have cells even where nothing was run, in order; others follow as met.
        budgets: Likewise; with those of the records they are sorted.

    Returns:
        Arm and labels -> cell, for each arm at each budget, arm by arm.

    Raises:
        StudyError: Two records cannot stand beside each other, both named: they are of two studies
            or were measured on different pictures, are one run twice, differ within a cell in more
            than their seed, or had different labels with the same seed. Or a measurement is no
            number.
    """
    _check(records)
    names = dict.fromkeys([*arms, *(r.arm for r in records)])
    numbers = sorted({*budgets, *(r.labels for r in records)})
    ordered = sorted(records, key=lambda r: r.seed)
    return {
        (arm, labels): Cell(
            arm, labels, tuple(r for r in ordered if (r.arm, r.labels) == (arm, labels))
        )
        for arm in names
        for labels in numbers
    }


def difference(first: Cell, second: Cell, measure: Measure = ACCURACY) -> Difference | None:
    """How far `first` is above `second` over shared seeds; None where they share none."""
    ours, theirs = ({r.seed: measure.of(r) for r in cell.records} for cell in (first, second))
    pairs = [
        (one, other)
        for seed, one in ours.items()
        if one is not None and (other := theirs.get(seed)) is not None
    ]
    return compare([one for one, _ in pairs], [other for _, other in pairs]) if pairs else None


def points(share: float) -> str:
    """A difference of accuracies, in percentage points with its sign."""
    return f"{100 * share:+.2f}"


def interval(found: Difference) -> str:
    """The 95 % interval of a difference of accuracies, in points; a dash with one pair."""
    if found.low is None or found.high is None:
        return "–"
    return f"{points(found.low)} to {points(found.high)}"


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _check(records: Sequence[Record]) -> None:
    """That the records can be counted together."""
    for record in records:
        measures = [*QUALITIES, RECONSTRUCTION, *COSTS, *map(corruption, record.robustness)]
        values = [value for m in measures if (value := m.of(record)) is not None]
        if not all(map(math.isfinite, values)):
            raise StudyError(
                f"{record.file_name} holds a measurement that is no number; remove it and run it "
                "again"
            )
    _agree(records, lambda _: (), lambda r: r.study, "are of two studies")
    _agree(records, lambda _: (), _measured_on, "were measured on different test pictures")
    runs = sorted(records, key=_run)
    for one, other in pairwise(runs):
        if _run(one) == _run(other):
            raise StudyError(
                f"the run of {one.file_name} is there twice, a second time in a copy; keep the one "
                "that belongs there"
            )
    _agree(
        runs,
        lambda r: (r.arm, r.labels),
        lambda r: json.dumps(_seedless(r.configuration), sort_keys=True),
        "are of one arm and budget but of different configurations",
    )
    _agree(
        runs,
        lambda r: (r.labels, r.seed),
        lambda r: r.subset,
        "have the same seed and budget but different labelled pictures, and make no pair",
    )


def _agree(
    records: Sequence[Record],
    group: Callable[[Record], object],
    content: Callable[[Record], object],
    fault: str,
) -> None:
    """Refuse two records of one group whose contents differ."""
    first: dict[object, Record] = {}
    for record in records:
        other = first.setdefault(group(record), record)
        if content(other) != content(record):
            raise StudyError(
                f"{other.file_name} and {record.file_name} {fault}; keep in this folder what "
                "belongs together, and run the rest again"
            )


def _run(record: Record) -> tuple[str, int, int]:
    return record.arm, record.labels, record.seed


def _measured_on(record: Record) -> object:
    return record.data.get("test")


def _seedless(content: Any) -> Any:
    """A configuration without what the seed decides."""
    if isinstance(content, Mapping):
        return {key: _seedless(value) for key, value in content.items() if key != "seed"}
    return content
