"""Two arms compared over the seeds that both have: mean difference, interval, exact p, equivalence.

Seeds are what varies, so a run of one arm is compared with the run of the other that had the same
labelled pictures, initial weights and augmentation.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from deconvviz.errors import StudyError

__all__ = ["DRAWS", "EXACT", "MARGIN", "Difference", "compare", "holm"]

MARGIN = 0.003
"""Differences of accuracy within this much of zero, 0.3 points, count as none."""
EXACT = 20
"""With so many pairs or fewer, every choice of signs is counted."""
DRAWS = 100_000
"""With more pairs, so many are drawn, with seed 0."""
_DECIMALS = 12  # of differences: 0.3 - 0.2 and 0.2 - 0.1 are the same number
_TIE = 1e-9  # of the sum of all absolute differences: sums nearer than this are equal

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """How far one arm is above another, pair by pair.

    Attributes:
        pairs: First less second, one a shared seed.
        mean: Of the pairs.
        low: Where the 95 % t interval of the mean begins; None with one pair, which proves nothing.
        high: Where it ends; None likewise. Where all pairs are equal the interval has no width.
        p: Of the exact two-sided sign-flip test on the mean: the share of all 2^n choices of signs
            of the pairs whose mean is as far from zero. Above `EXACT` pairs it is estimated from
            `DRAWS` choices with seed 0, itself counted among them. None with one pair.
        equivalent_p: Of two one-sided t tests against -margin and +margin (Schuirmann 1987), the
            larger: small where the difference lies within the margin. Where all pairs are equal,
            which leaves t without a scale, that of the one-sided sign-flip test, 2^-n inside the
            margin and 1 outside. None with one pair.
        margin: What counts as no difference.
    """

    pairs: tuple[float, ...]
    mean: float
    low: float | None
    high: float | None
    p: float | None
    equivalent_p: float | None
    margin: float = MARGIN

    @property
    def exact(self) -> bool:
        """Whether `p` counts every choice of signs."""
        return len(self.pairs) <= EXACT


def compare(first: Sequence[float], second: Sequence[float], margin: float = MARGIN) -> Difference:
    """How far `first` is above `second`.

    Args:
        first: One measurement a seed.
        second: Of the other arm, with the same seeds in the same order.
        margin: Above zero; a difference nearer to zero counts as none.

    Raises:
        StudyError: There are no pairs, values without partners, values that are no numbers, or no
            margin.
    """
    if len(first) != len(second) or not len(first):
        raise StudyError(
            f"{len(first)} and {len(second)} values make no pairs; give both arms one for every "
            "shared seed, and at least one"
        )
    pairs = np.round(np.asarray(first, np.float64) - np.asarray(second, np.float64), _DECIMALS)
    if not np.isfinite(pairs).all() or not margin > 0:
        raise StudyError(
            f"the differences {pairs.tolist()} cannot be judged at a margin of {margin}; all must "
            "be numbers, and the margin above zero"
        )
    told = tuple(pairs.tolist())
    mean = float(pairs.mean())
    if len(pairs) == 1:
        return Difference(told, mean, None, None, None, None, margin)
    low, high = _interval(pairs)
    return Difference(told, mean, low, high, _sign_flip(pairs), _equivalence(pairs, margin), margin)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """The p of several tests, adjusted so that all together err as seldom as one (Holm 1979).

    Args:
        p_values: In any order.

    Returns:
        As many, in the same order, none of them smaller, at most 1.
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    raised = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(raised, 1)
    return tuple(adjusted.tolist())


def _interval(pairs: Floats) -> tuple[float, float]:
    """The 95 % t interval of the mean of two or more pairs."""
    mean = float(pairs.mean())
    if np.ptp(pairs) == 0:
        return mean, mean
    half = float(stats.t.ppf(0.975, len(pairs) - 1)) * float(stats.sem(pairs))
    return mean - half, mean + half


def _sign_flip(pairs: Floats) -> float:
    """The share of choices of signs whose sum is as far from zero as that of the pairs."""
    tie = _TIE * float(np.abs(pairs).sum())
    reached = abs(float(pairs.sum())) - tie
    if len(pairs) <= EXACT:
        sums = pairs[:1]  # its other sign gives the same sums mirrored
        for pair in pairs[1:]:
            sums = np.concatenate([sums + pair, sums - pair])
        return float((np.abs(sums) >= reached).mean())
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (DRAWS, len(pairs)))
    found = int((np.abs(signs @ pairs) >= reached).sum())
    return (found + 1) / (DRAWS + 1)


def _equivalence(pairs: Floats, margin: float) -> float:
    """The larger p of the two one-sided tests that the mean is above -margin, and below it."""
    mean, freedom = float(pairs.mean()), len(pairs) - 1
    if np.ptp(pairs) == 0:
        return 0.5 ** len(pairs) if abs(mean) < margin else 1.0
    error = float(stats.sem(pairs))
    return float(stats.t.sf((margin - abs(mean)) / error, freedom))
