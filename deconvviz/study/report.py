"""Results of a plan: runs by arm and labels, and paired differences between arms.

Before anything is counted, records are checked against each other: runs of one arm and budget
differ in their seed alone, and runs of one seed were given the same labels.
"""

import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

from deconvviz.errors import StudyError
from deconvviz.study.metrics import (
    ACCURACY,
    CLARITY,
    COSTS,
    RECONSTRUCTION,
    Metric,
    declared_metrics,
)
from deconvviz.study.paired import MARGIN, PairedDifference, compare, holm
from deconvviz.study.plan import Contrast, Plan
from deconvviz.study.pooling import FEW, Pool, pool
from deconvviz.study.record import Record

LEVEL = 0.05
"""Significance level of all tests."""
HELPS, HARMS, INCONCLUSIVE, NOT_RUN = "helps", "harms", "inconclusive", "not run"
NO_EFFECT = f"no effect beyond ±{100 * MARGIN:.1f} pp"
_Part = Callable[[Record], object]


class Point(NamedTuple):
    """One arm at one label budget."""

    arm: str
    labels: int

    @property
    def is_set(self) -> bool:
        """Whether its arm sets a value, as `kernel=3`; else the number of labels is swept."""
        return "=" in self.arm

    @property
    def factor(self) -> str:
        """`kernel` of an arm `kernel=3`; the arm's name if labels are swept."""
        return self.arm.partition("=")[0]

    @property
    def value(self) -> str:
        """`3` of an arm `kernel=3`; the budget if labels are swept."""
        return self.arm.partition("=")[2] or str(self.labels)


@dataclass(frozen=True)
class Effect:
    """The effect of one arm over another at one budget.

    Attributes:
        difference: Difference of test accuracy, arm minus base; None if no seed was run in both.
        p: p value, Holm-adjusted over the budgets that the plan declares for the contrast, where
            one that was not run counts as p = 1; None without one.
        aim: The difference that was aimed at; None at other budgets.
        measures: Name of every other metric of the plan that both arms have -> its difference.
            These explain; no margin is declared for them, and they do not decide.
    """

    contrast: Contrast
    labels: int
    difference: PairedDifference | None = None
    p: float | None = None
    aim: float | None = None
    measures: Mapping[str, PairedDifference] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """One of `HELPS`, `HARMS`, `NO_EFFECT`, `INCONCLUSIVE`, `NOT_RUN`.

        It helps, or harms, if the interval lies wholly on one side of zero and the adjusted p is
        below `LEVEL`; it has no effect if equivalence has p below `LEVEL`, and neither was found.
        """
        found = self.difference
        if found is None:
            return NOT_RUN
        if found.low is None or found.high is None or found.equivalent_p is None or self.p is None:
            return INCONCLUSIVE
        if found.low > 0 and self.p < LEVEL:
            return HELPS
        if found.high < 0 and self.p < LEVEL:
            return HARMS
        return NO_EFFECT if found.equivalent_p < LEVEL else INCONCLUSIVE

    @property
    def met(self) -> bool:
        """Whether it helps, by more than was aimed at."""
        found, aim = self.difference, self.aim
        return found is not None and aim is not None and found.mean > aim and self.verdict == HELPS

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        return {
            "contrast": self.contrast.name,
            "labels": self.labels,
            "verdict": self.verdict,
            "adjusted p": self.p,
            "aim": self.aim,
            "difference": None if self.difference is None else asdict(self.difference),
            "measures": {name: asdict(found) for name, found in self.measures.items()},
        }


@dataclass(frozen=True)
class Report:
    """The results of a study.

    Attributes:
        plan: The plan.
        records: Runs of the plan, by arm, labels and seed.
        points: Every arm and budget, as declared; then all others that were run.
        effects: Each contrast at every budget, contrast by contrast; of a sweep each point
            against the first arm at the same budget.
        pool: Deviation of a difference of test accuracy, pooled over all points, which differences
            of few pairs take; None if there are none of these.
    """

    plan: Plan
    records: tuple[Record, ...]
    points: tuple[Point, ...]
    effects: tuple[Effect, ...]
    pool: Pool | None = None

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics that every contrast is reported for, test accuracy first."""
        return declared_metrics(self.plan, self.records)

    @property
    def pooled(self) -> bool:
        """Whether a difference of test accuracy takes the pooled deviation."""
        return any(e.difference is not None and e.difference.pooled for e in self.effects)

    @property
    def bases(self) -> tuple[str, ...]:
        """The arms that others are compared with."""
        named = (contrast.base for contrast in self.plan.contrasts)
        return tuple(dict.fromkeys(named)) or (self.base,)

    @property
    def arms(self) -> tuple[str, ...]:
        """All arms, in the order of the points."""
        return tuple(dict.fromkeys(point.arm for point in self.points))

    @property
    def titles(self) -> tuple[str, ...]:
        """Titles of the training pictures."""
        titles = (str(record.data.get("title", "")) for record in self.records)
        return tuple(dict.fromkeys(filter(None, titles)))

    @property
    def base(self) -> str:
        """The first arm, which those of a sweep are compared with."""
        return self.plan.arms[0].name

    @property
    def budgets(self) -> tuple[int, ...]:
        """All budgets, rising."""
        return tuple(sorted({point.labels for point in self.points}))

    @property
    def deciding(self) -> tuple[Effect, ...]:
        """The effects of the contrasts that decide, of which a pair was run; the primary first."""
        found = (e for e in self.effects if e.contrast.aim is not None and e.difference is not None)
        return tuple(sorted(found, key=lambda e: e.labels != self.plan.primary))

    @property
    def run_arms(self) -> tuple[str, ...]:
        """The arms of which there is a record."""
        run = {record.arm for record in self.records}
        return tuple(arm for arm in self.arms if arm in run)

    @property
    def run_budgets(self) -> tuple[int, ...]:
        """The budgets at which there is a record, rising."""
        return tuple(sorted({record.labels for record in self.records}))

    def runs(self, arm: str, labels: int) -> tuple[Record, ...]:
        """The runs of one arm at one budget, by rising seed."""
        return tuple(r for r in self.records if (r.arm, r.labels) == (arm, labels))

    def effect(self, arm: str, base: str, labels: int | None = None) -> Effect:
        """One effect, by default at the primary budget."""
        wanted = (arm, base, labels or self.plan.primary)
        return next(
            e for e in self.effects if (e.contrast.arm, e.contrast.base, e.labels) == wanted
        )

    @property
    def factors(self) -> dict[str, tuple[Point, ...]]:
        """Each factor of a sweep that has several values -> its points."""
        names = dict.fromkeys(point.factor for point in self.points)
        found = {name: tuple(p for p in self.points if p.factor == name) for name in names}
        return {name: own for name, own in found.items() if len({p.value for p in own}) > 1}

    def factors_with(self, metric: Metric) -> dict[str, tuple[Point, ...]]:
        """The factors of which any run has this metric."""
        return {
            name: points
            for name, points in self.factors.items()
            if any(metric.of(self.runs(*point)) for point in points)
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold: every metric of every point, and every effect."""
        shown = dict.fromkeys([*self.metrics, RECONSTRUCTION, *CLARITY, *COSTS])
        return {
            "study": self.plan.name,
            "question": self.plan.question,
            "arms": {arm.name: arm.description for arm in self.plan.arms},
            "margin": MARGIN,
            "pool": None if self.pool is None else _pool_numbers(self.pool),
            "published": [asdict(one) for one in self.plan.published],
            "points": [
                {
                    "arm": point.arm,
                    "labels": point.labels,
                    "seeds": [record.seed for record in self.runs(*point)],
                    **{
                        metric.name: _statistics(values)
                        for metric in shown
                        if (values := metric.of(self.runs(*point)))
                    },
                }
                for point in self.points
            ],
            "effects": [effect.to_dict() for effect in self.effects],
        }


def analyse(plan: Plan, records: Sequence[Record]) -> Report:
    """Compare the runs of a plan as it declares.

    Points without records are reported as not run.

    Raises:
        StudyError: Two records cannot be compared, both named: they are of two studies or were
            measured on different pictures, differ within an arm and budget in more than their
            seed, or had different labels with the same seed.
    """
    _check(records)
    declared = [Point(*point) for point in plan.points]
    met = (Point(record.arm, record.labels) for record in records)
    points = tuple(dict.fromkeys([*declared, *met]))
    order = {arm: place for place, arm in enumerate(dict.fromkeys(point.arm for point in points))}
    ordered = tuple(sorted(records, key=lambda r: (order[r.arm], r.labels, r.seed)))
    report = Report(plan, ordered, points, ())
    differences = _Differences(report)
    if plan.contrasts:
        effects = [effect for one in plan.contrasts for effect in _effects(differences, one)]
    else:
        effects = [
            differences.effect(Contrast(p.arm, report.base), p.labels)
            for p in points
            if p.arm != report.base
        ]
    return Report(plan, ordered, points, tuple(effects), differences.pools[ACCURACY.name])


class _Differences:
    """The differences of a report's arms in every metric, each with the pool of its metric."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.pools = {metric.name: _pool(report, metric) for metric in report.metrics}

    def effect(self, contrast: Contrast, labels: int) -> Effect:
        """A contrast at one budget, with no p that is adjusted over others."""
        found = {m.name: self._of(m, contrast, labels) for m in self.report.metrics}
        measures = {name: one for name, one in found.items() if one is not None}
        return Effect(contrast, labels, measures.pop(ACCURACY.name, None), measures=measures)

    def _of(self, metric: Metric, contrast: Contrast, labels: int) -> PairedDifference | None:
        """The arm's values minus the base's over shared seeds; None if there are none."""
        points = Point(contrast.arm, labels), Point(contrast.base, labels)
        ours, theirs = (_by_seed(self.report.runs(*point), metric) for point in points)
        shared = [seed for seed in ours if seed in theirs]
        if not shared:
            return None
        pooled = self.pools[metric.name]
        if pooled is not None and not set(points).isdisjoint(pooled.apart):
            pooled = None
        margin = MARGIN if metric is ACCURACY else None
        return compare([ours[s] for s in shared], [theirs[s] for s in shared], margin, pooled)


def _effects(differences: _Differences, contrast: Contrast) -> list[Effect]:
    """A contrast at every budget, with p adjusted over those that the plan declares for it.

    A budget that was not run, or has one pair, counts as p = 1: else a plan that declares many
    would be judged more gently for as long as it is not finished.
    """
    report = differences.report
    found = [differences.effect(contrast, labels) for labels in report.budgets]
    pair, declared = {contrast.arm, contrast.base}, set(report.plan.points)
    p_values = {
        e.labels: 1.0 if e.difference is None or e.difference.p is None else e.difference.p
        for e in found
        if e.difference is not None or {(arm, e.labels) for arm in pair} <= declared
    }
    adjusted = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    return [
        replace(
            effect,
            p=adjusted[effect.labels] if effect.difference and effect.difference.p else None,
            aim=contrast.aim if effect.labels == report.plan.primary else None,
        )
        for effect in found
    ]


def _pool(report: Report, metric: Metric) -> Pool | None:
    """The deviation of a difference of one metric, over all points that have two runs or more.

    Runs of one seed and number of labels are a block. An arm that is another one by another name
    counts once. None too where no point has few runs, and hence none would take it.
    """
    found = {point: _by_seed(report.runs(*point), metric) for point in report.points}
    if not any(1 < len(own) < FEW for own in found.values()):
        return None
    names: dict[object, list[Point]] = {}
    for point, own in found.items():
        if len(own) > 1:
            names.setdefault((point.labels, *own.items()), []).append(point)
    pooled = pool(
        {
            (points[0], (points[0].labels, seed)): value
            for points in names.values()
            for seed, value in found[points[0]].items()
        }
    )
    if pooled is None:
        return None
    apart = (p for points in names.values() if points[0] in pooled.apart for p in points)
    return replace(pooled, apart=tuple(apart))


def _by_seed(records: Sequence[Record], metric: Metric) -> dict[int, float]:
    return {r.seed: value for r in records if (value := metric.value(r)) is not None}


def _pool_numbers(found: Pool) -> dict[str, Any]:
    apart = [{"arm": arm, "labels": labels} for arm, labels in found.apart]
    return {"deviation": found.deviation, "degrees": found.degrees, "apart": apart}


def _statistics(values: Sequence[float]) -> dict[str, Any]:
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": math.fsum(values) / len(values), "deviation": deviation, "values": list(values)}


def _check(records: Sequence[Record]) -> None:
    """Refuse two records that belong together and differ where they should agree."""
    rules: tuple[tuple[_Part, _Part, str], ...] = (
        (lambda _: (), lambda r: r.study, "are of two studies"),
        (lambda _: (), lambda r: r.data.get("test"), "were measured on different pictures"),
        (
            lambda r: (r.arm, r.labels),
            lambda r: json.dumps(_seedless(r.configuration), sort_keys=True),
            "have different configurations",
        ),
        (
            lambda r: (r.labels, r.seed),
            lambda r: r.subset,
            "have the same seed but different labelled pictures",
        ),
    )
    for group, content, fault in rules:
        first: dict[object, Record] = {}
        for record in records:
            other = first.setdefault(group(record), record)
            if content(other) != content(record):
                raise StudyError(
                    f"the runs ({other}) and ({record}) {fault}; keep one of them, and run the "
                    "rest again"
                )


def _seedless(content: Any) -> Any:
    """A configuration without the parts that the seed decides."""
    if isinstance(content, Mapping):
        return {key: _seedless(value) for key, value in content.items() if key != "seed"}
    return content
