"""Two arms compared over the seeds that both have: mean difference, interval, exact p, equivalence.

Seeds are what varies, so a run of one arm is compared with the run of the other that had the same
labelled pictures, initial weights and augmentation. Fewer than five pairs take the deviation that
is pooled over all arms of the study.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from deconvviz.errors import StudyError
from deconvviz.study.pooling import FEW, Pool

MARGIN = 0.003
"""Differences of accuracy within this much of zero, 0.3 points, count as none."""
EXACT = 20
"""Largest number of pairs for which every choice of signs is counted."""
RESAMPLES = 100_000
"""Choices of signs drawn for more pairs, with seed 0."""
_DECIMALS = 12  # of differences: 0.3 - 0.2 and 0.2 - 0.1 are the same number


@dataclass(frozen=True)
class PairedDifference:
    """Difference of two arms, pair by pair.

    Attributes:
        pairs: First minus second, one per shared seed.
        mean: Mean of the pairs.
        low: Lower end of the 95 % t interval of the mean; None with one pair, which proves nothing.
        high: Upper end; None with one pair. If all pairs are equal, and nothing is pooled, the
            interval has no width.
        p: p value of the exact two-sided sign-flip test of the mean: the share of all 2^n choices
            of signs of the pairs whose mean is as far from zero. Above `EXACT` pairs it is
            estimated from `RESAMPLES` choices. None with one pair.
        equivalent_p: The larger p value of two one-sided t tests against -margin and +margin
            (Schuirmann 1987): small if the difference lies within the margin. If all pairs are
            equal, which leaves t without a scale, that of the one-sided sign-flip test: 2^-n inside
            the margin and 1 outside. None with one pair, or without a margin.
        margin: Largest difference that counts as none; None if none was declared.
        degrees: Degrees of freedom of t; None with one pair.
        pooled: Whether the deviation is that of all arms (`pooling.pool`), not of these pairs.
    """

    pairs: tuple[float, ...]
    mean: float
    low: float | None
    high: float | None
    p: float | None
    equivalent_p: float | None
    margin: float | None = MARGIN
    degrees: int | None = None
    pooled: bool = False


def compare(
    first: Sequence[float],
    second: Sequence[float],
    margin: float | None = MARGIN,
    pool: Pool | None = None,
) -> PairedDifference:
    """The paired difference of `first` minus `second`.

    Args:
        first: One measurement per seed.
        second: Measurements of the other arm, with the same seeds in the same order.
        margin: Positive; a difference nearer to zero counts as none. None tests no equivalence.
        pool: Deviation of all arms, which fewer than `FEW` pairs take if more is known of it than
            of theirs. Pairs that are all zero do not: there the second arm is the first one by
            another name.

    Raises:
        StudyError: There are no pairs, values without partners, values that are NaN or infinite, or
            a margin that is not positive.
    """
    if len(first) != len(second) or not len(first):
        raise StudyError(
            f"{len(first)} and {len(second)} values make no pairs; give both arms one for every "
            "shared seed, and at least one"
        )
    pairs = np.round(np.asarray(first, np.float64) - np.asarray(second, np.float64), _DECIMALS)
    if not np.isfinite(pairs).all() or (margin is not None and not margin > 0):
        raise StudyError(
            f"the differences must be finite and the margin > 0, got {pairs.tolist()} and {margin}"
        )
    count, mean, values = len(pairs), float(pairs.mean()), tuple(pairs.tolist())
    if count == 1:
        return PairedDifference(values, mean, None, None, None, None, margin)
    deviation, degrees = float(pairs.std(ddof=1)) if np.ptp(pairs) else 0.0, count - 1
    pooled = pool is not None and count < FEW and pool.degrees > degrees and pool.deviation > 0
    if pool is not None and pooled and pairs.any():
        deviation, degrees = pool.deviation, pool.degrees
    error = deviation / math.sqrt(count)
    half = float(stats.t.ppf(0.975, degrees)) * error
    equivalent = None if margin is None else _equivalence(mean, error, degrees, count, margin)
    return PairedDifference(
        pairs=values,
        mean=mean,
        low=mean - half,
        high=mean + half,
        p=_sign_flip(pairs),
        equivalent_p=equivalent,
        margin=margin,
        degrees=degrees,
        pooled=degrees >= count,
    )


def _equivalence(mean: float, error: float, degrees: int, count: int, margin: float) -> float:
    """The larger p of two one-sided t tests; without a scale that of the signs alone."""
    if not error:
        return 0.5**count if abs(mean) < margin else 1.0
    return float(stats.t.sf((margin - abs(mean)) / error, degrees))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjust p values of several tests, so that together they err as seldom as one (Holm 1979).

    As many are returned, in the same order, none of them smaller, at most 1.
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    raised = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(raised, 1)
    return tuple(adjusted.tolist())


def _sign_flip(pairs: NDArray[np.float64]) -> float:
    """The share of choices of signs whose sum is as far from zero as that of the pairs."""
    whole = np.rint(pairs * 10**_DECIMALS)  # sums of whole numbers: equal ones are exactly equal
    test = stats.permutation_test(
        (whole,),
        lambda signed, axis: signed.sum(axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf if len(pairs) <= EXACT else RESAMPLES,
        batch=10_000,
        rng=np.random.default_rng(0),
    )
    return float(test.pvalue)
