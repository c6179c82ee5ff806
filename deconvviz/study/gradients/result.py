"""Gradients of plain and deconvolution networks: numbers, and conclusions from them."""

import math
import statistics
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from deconvviz.analysis.result import plain
from deconvviz.study.gradients.trace import LEARNED, PROBE, Condition, Setting, Trace

VANISHES, EXPLODES = 1e-3, 1e3
"""Bounds of the first layer's gradient over the last one's: it vanishes below, explodes above."""


@dataclass(frozen=True)
class Ratio:
    """A ratio over seeds.

    Attributes:
        mean: Geometric mean of those above zero; NaN without any.
        low: The lowest of all.
        high: The highest.
        zero: Number of runs with a ratio of zero: no gradient comes through at all.
    """

    mean: float
    low: float
    high: float
    zero: int


@dataclass(frozen=True)
class Agreement:
    """The cosines between the gradients of two losses, over layers, steps and seeds.

    A mean near zero is not agreement to be orthogonal: single cosines may lie near -1 and 1, so it
    is never shown without the others.

    Attributes:
        mean: Their mean; NaN without any.
        deviation: Standard deviation of single cosines; NaN with fewer than two.
        low: The lowest one.
        high: The highest.
        count: Number of cosines.
    """

    mean: float
    deviation: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        if not self.count:
            return "none"
        return f"{self.mean:+.2f} ± {self.deviation:.2f} ({self.low:+.2f} to {self.high:+.2f})"


@dataclass(frozen=True)
class Gradients:
    """Traces of plain and deconvolution networks of equal depth, all of one setting."""

    traces: tuple[Trace, ...]
    name = "gradients"

    @property
    def setting(self) -> Setting:
        """Settings that all runs share."""
        return self.traces[0].setting

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Each once, in the order of the runs."""
        return tuple(dict.fromkeys(trace.condition for trace in self.traces))

    @property
    def classifiers(self) -> tuple[Condition, ...]:
        """The conditions with cross-entropy alone, which the claim is about."""
        return tuple(one for one in self.conditions if not one.deconv_weight)

    def of(self, condition: Condition) -> tuple[Trace, ...]:
        """The runs of a condition, one per seed."""
        return tuple(trace for trace in self.traces if trace.condition == condition)

    def ratio(self, condition: Condition, *, end: bool = False) -> Ratio:
        """The first layer's gradient over the last's, at the start or when it was measured last."""
        ratios = [run.ratio(run.last if end else 0) for run in self.of(condition)]
        logs = [math.log10(ratio) for ratio in ratios if ratio]
        mean = 10 ** (sum(logs) / len(logs)) if logs else math.nan
        return Ratio(mean, min(ratios), max(ratios), len(ratios) - len(logs))

    def trouble(self, condition: Condition, *, end: bool = False) -> str:
        """The verdict on the mean ratio: "vanishing", "exploding", or empty for neither.

        A condition vanishes if no gradient comes through in most of its runs.
        """
        found = self.ratio(condition, end=end)
        if found.mean < VANISHES or 2 * found.zero > len(self.of(condition)):
            return "vanishing"
        return "exploding" if found.mean > EXPLODES else ""

    def log_norms(self, condition: Condition) -> Tensor:
        """(L, S) float64: log10 of gradient norms by layer and step, the mean over seeds.

        A norm of zero has no logarithm and is left out; NaN where nothing is left.
        """
        return _mean([_log(run.table("gradients")) for run in self.of(condition)])

    def log_shares(self, condition: Condition) -> Tensor:
        """(L, S) float64: as `log_norms`, of gradient norms divided by the weights' norms."""
        runs = self.of(condition)
        return _mean([_log(run.table("gradients") / run.table("weights")) for run in runs])

    def cosines(self, condition: Condition) -> Tensor:
        """(L, S) float64: the mean over seeds of the cosines; NaN where there is none."""
        return _mean([run.table("cosines") for run in self.of(condition)])

    def agreement(self, condition: Condition) -> Agreement:
        """Single cosines of all layers, steps and seeds, beside their mean."""
        tables = [run.table("cosines").flatten() for run in self.of(condition)]
        values = [float(value) for value in torch.cat(tables) if not value.isnan()]
        if not values:
            return Agreement(math.nan, math.nan, math.nan, math.nan, 0)
        deviation = statistics.stdev(values) if len(values) > 1 else math.nan
        return Agreement(statistics.fmean(values), deviation, min(values), max(values), len(values))

    def learned(self, condition: Condition) -> int:
        """Number of its runs that learned anything: whose cross-entropy came below chance."""
        return sum(run.learned for run in self.of(condition))

    def entropies(self, condition: Condition) -> tuple[list[float], list[float]]:
        """The cross-entropies of its runs at the start and when measured last."""
        runs = self.of(condition)
        before, after = (
            [math.nan if (one := run.stats[step].entropy) is None else one for run, step in pairs]
            for pairs in ([(run, 0) for run in runs], [(run, run.last) for run in runs])
        )
        return before, after

    def to_dict(self) -> dict[str, Any]:
        """Every condition's ratios, losses, norms and cosines, and their data."""
        numbers = {
            **plain(self.setting),
            "probe": min(PROBE, self.setting.pictures),
            "vanishes below": VANISHES,
            "explodes above": EXPLODES,
            "learned below chance by": LEARNED,
            "versions": self.traces[0].versions,
            "devices": sorted({run.device for run in self.traces}),
            "conditions": [self._numbers(one) for one in self.conditions],
        }
        return dict(plain(numbers))

    def _numbers(self, condition: Condition) -> dict[str, Any]:
        runs, (before, after) = self.of(condition), self.entropies(condition)
        return {
            **plain(condition),
            "seeds": [run.seed for run in runs],
            "diverged at step": [run.diverged for run in runs],
            "stopped at step": [run.stopped for run in runs],
            "learned": [run.learned for run in runs],
            "cross-entropy by epoch": [run.losses for run in runs],
            "layers": runs[0].layers,
            "first over last at the start": self.ratio(condition),
            "first over last at the end": self.ratio(condition, end=True),
            "cross-entropy at the start": before,
            "cross-entropy at the end": after,
            "log10 of gradient norms": self.log_norms(condition),
            "log10 of gradient norms over weights' norms": self.log_shares(condition),
            "cosines": self.cosines(condition),
            "cosines over layers, steps and seeds": self.agreement(condition),
        }


def _mean(tables: list[Tensor]) -> Tensor:
    return torch.stack(tables).nanmean(0)


def _log(table: Tensor) -> Tensor:
    return table.where(table > 0, torch.nan).log10()
