"""Does deconvolution raise accuracy? What the records of the study "helps" say, and no more."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from deconvviz.study.cells import (
    COSTS,
    QUALITIES,
    Cell,
    Measure,
    corruption,
    corruptions,
    difference,
    gather,
    interval,
    points,
    table,
)
from deconvviz.study.paired import MARGIN, Difference, holm
from deconvviz.study.record import Record, read_records

__all__ = [
    "AIMS",
    "ARMS",
    "BUDGETS",
    "CONTRASTS",
    "HARMS",
    "HELPS",
    "INCONCLUSIVE",
    "NOT_RUN",
    "NO_EFFECT",
    "PRIMARY",
    "Contrast",
    "Report",
    "read_report",
    "report",
]

ARMS = {
    "A": "cross-entropy on the labelled pictures",
    "A2": "A, with the compute that R-all takes",
    "N": "A with all that R-all takes in, pictures without labels, but nothing to reconstruct",
    "R-lab": "A, and a decoder that reconstructs the labelled pictures",
    "R-all": "A, and a decoder that reconstructs all training pictures, labelled or not",
    "C": "A, and consistency with an averaged teacher on all training pictures",
    "C+R": "C and R-all together",
}
"""Arm -> how it is trained."""
BUDGETS = (500, 1000, 4000, 10_000, 50_000)
"""Labelled training pictures."""
PRIMARY = 1000
"""The budget at which the question was declared to be decided."""
CONTRASTS = (
    ("R-all", "A"),
    ("R-all", "N"),
    ("R-lab", "A"),
    ("C", "A"),
    ("C+R", "C"),
    ("A2", "A"),
)
"""Which arm is held against which."""
AIMS = {("R-all", "A"): 0.015, ("C+R", "C"): 0.03}
"""What was aimed at, at `PRIMARY` labels, by the contrasts that answer the question."""
_SUBJECTS = {
    ("R-all", "A"): "reconstruction beside cross-entropy (R-all − A)",
    ("C+R", "C"): "reconstruction beside consistency (C+R − C)",
}
_LEVEL = 0.05

HELPS, HARMS, INCONCLUSIVE, NOT_RUN = "helps", "harms", "inconclusive", "not run"
NO_EFFECT = f"no effect beyond ±{100 * MARGIN:.1f} pp"


@dataclass(frozen=True)
class Contrast:
    """One arm held against another at one budget.

    Attributes:
        arm: The one.
        base: The other.
        labels: The budget.
        difference: Of test accuracy, arm less base; None where no seed was run in both.
        p: That of the difference, Holm-adjusted over the budgets of this contrast that have one.
    """

    arm: str
    base: str
    labels: int
    difference: Difference | None = None
    p: float | None = None

    @property
    def name(self) -> str:
        """Arm less base."""
        return f"{self.arm} − {self.base}"

    @property
    def verdict(self) -> str:
        """One of `HELPS`, `HARMS`, `NO_EFFECT`, `INCONCLUSIVE`, `NOT_RUN`.

        It helps, or harms, where the interval lies wholly on one side of zero and the adjusted p is
        below 0.05; it has no effect where equivalence has p below 0.05, and neither was found.
        """
        found = self.difference
        if found is None:
            return NOT_RUN
        if found.low is None or found.high is None or found.equivalent_p is None or self.p is None:
            return INCONCLUSIVE
        if found.low > 0 and self.p < _LEVEL:
            return HELPS
        if found.high < 0 and self.p < _LEVEL:
            return HARMS
        return NO_EFFECT if found.equivalent_p < _LEVEL else INCONCLUSIVE

    @property
    def aim(self) -> float | None:
        """The difference that was aimed at; None at other contrasts and budgets."""
        return AIMS.get((self.arm, self.base)) if self.labels == PRIMARY else None

    @property
    def met(self) -> bool:
        """Whether it helps, by more than was aimed at."""
        found, aim = self.difference, self.aim
        return found is not None and aim is not None and found.mean > aim and self.verdict == HELPS

    def summary(self) -> str:
        """What was found, as a part of a sentence."""
        found, subject = self.difference, _SUBJECTS.get((self.arm, self.base), self.name)
        if found is None:
            return f"of {subject} no pair was run"
        change = f"{subject} changes accuracy by {points(found.mean)} points"
        if len(found.pairs) == 1:
            return f"{change} in one pair of runs, and one pair proves nothing"
        told = (
            f"{change} (95 % interval {interval(found)}, {len(found.pairs)} pairs, "
            f"adjusted p = {self.p:.2g}): {self.verdict}"
        )
        if self.aim is not None:
            told += f", and the aim of {100 * self.aim:+g} is {'met' if self.met else 'not met'}"
        return told

    def to_dict(self) -> dict[str, Any]:
        """Everything of it as plain values."""
        return {
            "contrast": self.name,
            "labels": self.labels,
            "verdict": self.verdict,
            "adjusted p": self.p,
            "aim": self.aim,
            "difference": None if self.difference is None else asdict(self.difference),
        }


@dataclass(frozen=True)
class Report:
    """What the runs of the study say.

    Attributes:
        cells: Every arm at every budget, arm by arm; without records where nothing was run.
        contrasts: Each of `CONTRASTS` at every budget, contrast by contrast.
    """

    cells: tuple[Cell, ...]
    contrasts: tuple[Contrast, ...]

    @property
    def arms(self) -> tuple[str, ...]:
        """Those of `ARMS`, then what else was run."""
        return tuple(dict.fromkeys(cell.arm for cell in self.cells))

    @property
    def budgets(self) -> tuple[int, ...]:
        """Rising."""
        return tuple(dict.fromkeys(cell.labels for cell in self.cells))

    @property
    def records(self) -> tuple[Record, ...]:
        """Of all cells."""
        return tuple(record for cell in self.cells for record in cell.records)

    def cell(self, arm: str, labels: int) -> Cell:
        """One arm at one budget."""
        return next(c for c in self.cells if (c.arm, c.labels) == (arm, labels))

    def at(self, labels: int) -> tuple[Cell, ...]:
        """All arms at one budget."""
        return tuple(cell for cell in self.cells if cell.labels == labels)

    def contrast(self, arm: str, base: str, labels: int = PRIMARY) -> Contrast:
        """One of the contrasts."""
        wanted = (arm, base, labels)
        return next(c for c in self.contrasts if (c.arm, c.base, c.labels) == wanted)

    def summary(self) -> str:
        """The answer, from the contrasts that were declared to give it; then theirs elsewhere."""
        primary = [self.contrast(arm, base) for arm, base in AIMS]
        where = ", ".join(dict.fromkeys(str(r.data.get("title", "")) for r in self.records))
        where = f"{PRIMARY} labels" + (f" of {where}" if where else "")
        told = "; ".join(contrast.summary() for contrast in primary)
        elsewhere = "".join(
            f" At {c.labels} labels, {c.summary()}."
            for c in self.contrasts
            if (c.arm, c.base) in AIMS and c.labels != PRIMARY and c.difference is not None
        )
        return f"{_answer([c.verdict for c in primary])}, at {where}: {told}.{elsewhere}"

    def markdown(self) -> str:
        """The answer and all tables."""
        arms = "".join(f"- **{arm}**: {told}.\n" for arm, told in ARMS.items())
        measures = [*QUALITIES, *map(corruption, corruptions(self.records))]
        tables = [f"### {_capital(m.title)}\n\n{self._table(m)}" for m in measures]
        return (
            f"**Does deconvolution raise accuracy?** {self.summary()}\n\n{arms}\n"
            "Mean ± standard deviation over seeds, and in brackets the number of runs.\n\n"
            + "\n".join(tables)
            + f"\n### What a run costs\n\n{self._costs()}"
            + f"\n### Differences of test accuracy, in points\n\n{self._differences()}\n"
            f"{_READING}\n\n{_material(self.records)}\n"
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values that JSON can hold."""
        return {
            "answer": self.summary(),
            "arms": ARMS,
            "margin": MARGIN,
            "cells": [cell.to_dict() for cell in self.cells],
            "contrasts": [contrast.to_dict() for contrast in self.contrasts],
        }

    def _table(self, measure: Measure) -> str:
        rows = [
            [arm, *(self.cell(arm, labels).told(measure) for labels in self.budgets)]
            for arm in self.arms
        ]
        return table(["arm", *(f"{n} labels" for n in self.budgets)], rows)

    def _costs(self) -> str:
        run = [cell for cell in self.cells if cell.records]
        rows = [[c.arm, str(c.labels), *(c.told(measure) for measure in COSTS)] for c in run]
        return table(["arm", "labels", *(measure.title for measure in COSTS)], rows)

    def _differences(self) -> str:
        heading = ["contrast", "labels", "pairs", "mean", "95 % interval", "p", "p, adjusted"]
        heading += ["p, equivalence", "verdict"]
        return table(heading, [_row(contrast) for contrast in self.contrasts])


def report(records: Sequence[Record]) -> Report:
    """Judge the runs of the study "helps".

    Args:
        records: As many as there are; none is allowed, and says that nothing was run.

    Raises:
        StudyError: Two records cannot be compared; see `gather`.
    """
    cells = gather(records, tuple(ARMS), BUDGETS)
    budgets = dict.fromkeys(labels for _, labels in cells)
    contrasts = []
    for arm, base in CONTRASTS:
        found = {n: difference(cells[arm, n], cells[base, n]) for n in budgets}
        p_values = {n: d.p for n, d in found.items() if d is not None and d.p is not None}
        adjusted = dict(zip(p_values, holm(list(p_values.values())), strict=True))
        contrasts += [Contrast(arm, base, n, d, adjusted.get(n)) for n, d in found.items()]
    return Report(tuple(cells.values()), tuple(contrasts))


def read_report(folder: Path) -> Report:
    """The report on all records in a folder.

    Raises:
        StudyError: One of its files is damaged, or two cannot be compared.
    """
    return report(read_records(folder))


_READING = (
    "Pairs are runs of both arms with the same seed, which is also the same labelled pictures and "
    "initial weights. p counts all choices of signs of the pairs (with n pairs it is never below "
    "2/2^n, so that five or fewer can show neither help nor harm); adjusted: Holm, over the "
    "budgets of a contrast. helps and harms: the 95 % t interval lies on one side of zero and "
    f"the adjusted p is below {_LEVEL}. {NO_EFFECT}: two one-sided t tests against that "
    f"margin have p below {_LEVEL}. The last epoch of each run counts."
)


def _answer(verdicts: Sequence[str]) -> str:
    """How the answer begins, true for any verdicts."""
    found = set(verdicts)
    if found == {NOT_RUN}:
        return "Not known, because no pair that decides it was run"
    if found == {HELPS}:
        return "Yes"
    if found == {HARMS}:
        return "No, it lowers it"
    if found <= {HARMS, NO_EFFECT}:
        return "No"
    if {HELPS, HARMS} <= found:
        return "It depends"
    if HARMS in found:
        return "Not shown, and in part it lowers it"
    return "In part" if HELPS in found else "Not shown"


def _row(contrast: Contrast) -> list[str]:
    """A contrast's line in the table of differences."""
    found, start = contrast.difference, [contrast.name, str(contrast.labels)]
    if found is None:
        return [*start, "0", *["–"] * 5, contrast.verdict]
    p_values = ["–" if p is None else f"{p:.2g}" for p in (found.p, contrast.p, found.equivalent_p)]
    alone = ": one pair proves nothing" if len(found.pairs) == 1 else ""
    told = [str(len(found.pairs)), points(found.mean), interval(found), *p_values]
    return [*start, *told, contrast.verdict + alone]


def _material(records: Sequence[Record]) -> str:
    """What was run, on which pictures and what machine."""
    titles, devices = (
        ", ".join(dict.fromkeys(word for word in words if word)) or "not told"
        for words in (
            [str(r.data.get("title", "")) for r in records],
            [r.device for r in records],
        )
    )
    return f"{len(records)} runs. Data: {titles}. Device: {devices}."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
