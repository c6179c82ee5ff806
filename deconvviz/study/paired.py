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
        high: Upper end; None with one pair. If all pairs are equal the interval has no width.
        p: p value of the exact two-sided sign-flip test of the mean: the share of all 2^n choices
            of signs of the pairs whose mean is as far from zero. Above `EXACT` pairs it is
            estimated from `RESAMPLES` choices. None with one pair.
        equivalent_p: The larger p value of two one-sided t tests against -margin and +margin
            (Schuirmann 1987): small if the difference lies within the margin. If all pairs are
            equal, which leaves t without a scale, that of the one-sided sign-flip test: 2^-n inside
            the margin and 1 outside. None with one pair.
        margin: Largest difference that counts as none.
    """

    pairs: tuple[float, ...]
    mean: float
    low: float | None
    high: float | None
    p: float | None
    equivalent_p: float | None
    margin: float = MARGIN


def compare(
    first: Sequence[float], second: Sequence[float], margin: float = MARGIN
) -> PairedDifference:
    """The paired difference of `first` minus `second`.

    Args:
        first: One measurement per seed.
        second: Measurements of the other arm, with the same seeds in the same order.
        margin: Positive; a difference nearer to zero counts as none.

    Raises:
        StudyError: There are no pairs, values without partners, values that are NaN or infinite, or
            no margin.
    """
    if len(first) != len(second) or not len(first):
        raise StudyError(
            f"{len(first)} and {len(second)} values make no pairs; give both arms one for every "
            "shared seed, and at least one"
        )
    pairs = np.round(np.asarray(first, np.float64) - np.asarray(second, np.float64), _DECIMALS)
    if not np.isfinite(pairs).all() or not margin > 0:
        raise StudyError(
            f"the differences must be finite and the margin > 0, got {pairs.tolist()} and {margin}"
        )
    mean, values = float(pairs.mean()), tuple(pairs.tolist())
    if len(pairs) == 1:
        return PairedDifference(values, mean, None, None, None, None, margin)
    low = high = mean
    equivalent = 0.5 ** len(pairs) if abs(mean) < margin else 1.0
    if np.ptp(pairs) > 0:
        low, high = map(float, stats.ttest_1samp(pairs, 0).confidence_interval(0.95))
        above = stats.ttest_1samp(pairs, -margin, alternative="greater").pvalue
        below = stats.ttest_1samp(pairs, margin, alternative="less").pvalue
        equivalent = float(max(above, below))
    return PairedDifference(values, mean, low, high, _sign_flip(pairs), equivalent, margin)


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
