"""A sweep: one thing changed at a time, what each change costs, and what it does to accuracy."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from deconvviz.study.cells import (
    ACCURACY,
    COSTS,
    GAP,
    RECONSTRUCTION,
    Cell,
    Measure,
    difference,
    gather,
    interval,
    points,
    table,
)
from deconvviz.study.paired import Difference
from deconvviz.study.record import Record

__all__ = ["Point", "Sweep", "sweep"]


@dataclass(frozen=True)
class Point:
    """One arm at one label budget.

    Attributes:
        cell: Its runs.
        difference: Of test accuracy, to the first arm at the same budget; None for that arm itself,
            and where no seed was run in both.
    """

    cell: Cell
    difference: Difference | None = None

    @property
    def is_set(self) -> bool:
        """Whether its arm sets a value, as `kernel=3`; else the number of labels is what varies."""
        return "=" in self.cell.arm

    @property
    def factor(self) -> str:
        """What is varied: `kernel` of an arm `kernel=3`; an arm without a value varies labels."""
        return self.cell.arm.partition("=")[0]

    @property
    def value(self) -> str:
        """What it was set to: `3` of an arm `kernel=3`, the budget of an arm without a value."""
        return self.cell.arm.partition("=")[2] or str(self.cell.labels)

    def to_dict(self) -> dict[str, Any]:
        """Every measure and the difference, as plain values."""
        found = None if self.difference is None else asdict(self.difference)
        return {**self.cell.to_dict(), "difference": found}


@dataclass(frozen=True)
class Sweep:
    """The points of a study that varies one thing at a time.

    Attributes:
        points: As declared, then what else was run.
        base: The arm that the others are held against.
    """

    points: tuple[Point, ...]
    base: str

    @property
    def factors(self) -> dict[str, tuple[Point, ...]]:
        """Each factor that was varied -> its points."""
        names = dict.fromkeys(point.factor for point in self.points)
        found = {name: tuple(p for p in self.points if p.factor == name) for name in names}
        return {name: own for name, own in found.items() if len({p.value for p in own}) > 1}

    def factors_with(self, measure: Measure) -> dict[str, tuple[Point, ...]]:
        """Those of which a run was measured so."""
        return {
            name: found
            for name, found in self.factors.items()
            if any(point.cell.spread(measure) for point in found)
        }

    def markdown(self) -> str:
        """All points in one table."""
        given_back = (RECONSTRUCTION,) if self.factors_with(RECONSTRUCTION) else ()
        measures = (ACCURACY, GAP, *given_back, *COSTS)
        heading = ["arm", "labels", *(m.title for m in measures)]
        heading += [f"accuracy less {self.base}, points", "95 % interval", "pairs"]
        rows = [
            [p.cell.arm, str(p.cell.labels), *map(p.cell.told, measures), *_change(p.difference)]
            for p in self.points
        ]
        return (
            f"{table(heading, rows)}\nMean ± standard deviation over seeds, and in brackets the "
            "number of runs. Differences are paired by seed; their intervals stand alone, and are "
            "not corrected for being many.\n"
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values that JSON can hold."""
        return {"base": self.base, "points": [point.to_dict() for point in self.points]}


def sweep(records: Sequence[Record], declared: Sequence[tuple[str, int]] = ()) -> Sweep:
    """Gather the runs of a sweep.

    Args:
        records: Of one study.
        declared: Arm and labels of each point of the plan, in order; those without runs are told as
            not run. The first arm, here or else of the records, is what others are held against.

    Raises:
        StudyError: Two records cannot be compared; see `gather`.
    """
    places = list(dict.fromkeys([*declared, *((r.arm, r.labels) for r in records)]))
    if not places:
        return Sweep((), "")
    base = places[0][0]
    cells = gather(records, [arm for arm, _ in places], [labels for _, labels in places])
    found = (
        Point(cells[arm, n], None if arm == base else difference(cells[arm, n], cells[base, n]))
        for arm, n in places
    )
    return Sweep(tuple(found), base)


def _change(found: Difference | None) -> list[str]:
    """The difference, its interval and the number of pairs."""
    if found is None:
        return ["–"] * 3
    return [points(found.mean), interval(found), str(len(found.pairs))]
