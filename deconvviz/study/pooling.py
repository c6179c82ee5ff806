"""The deviation of a difference, pooled over all arms of a study.

Three pairs know their own deviation badly: by luck they agree, and then their interval is far too
narrow. All arms together know it better, if it is the same for all of them.
"""

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

FEW = 5
"""With fewer pairs than this a difference takes the pooled deviation."""
_APART = 0.05  # significance level at which an arm counts as one that varies more than the others
_ROUNDING = 1e-12  # of a value: a smaller residual is none

Values = Mapping[tuple[Hashable, Hashable], float]


@dataclass(frozen=True)
class Pool:
    """The deviation of a paired difference between any two arms.

    Attributes:
        deviation: Standard deviation of a difference of two runs of one block.
        degrees: Its degrees of freedom.
        apart: Arms that vary more than the others; they are not pooled.
    """

    deviation: float
    degrees: int
    apart: tuple[Any, ...] = ()


def pool(values: Values) -> Pool | None:
    """Pool what the runs of an arm vary by once their blocks are accounted for.

    The model of randomised blocks: a run is the mean of its arm, plus what its block (its labels
    and seed) does to all arms alike, plus chance. The variance of a difference is twice that of
    chance, which the residual of the least-squares fit estimates with as many degrees of freedom as
    are left. (The mean of the pairs' own variances estimates the same. But all pairs share the
    runs of the base, so they know less than their number says.)

    An arm that varies more than the others would spoil the pool: the arm without which the
    residual falls most is left out if the F test of the two fits, times the number of arms, has
    p below 0.05; then the next.

    Args:
        values: (arm, block) -> measured value.

    Returns:
        None if no degree of freedom is left.
    """
    kept, apart = dict(values), []
    while (worst := _stands_apart(kept)) is not None:
        apart.append(worst)
        kept = _without(kept, worst)
    squares, degrees = _residual(kept)
    return Pool(math.sqrt(2 * squares / degrees), degrees, tuple(apart)) if degrees else None


def _stands_apart(values: Values) -> Hashable | None:
    """The arm that varies most, if it varies more than the others do."""
    squares, degrees = _residual(values)
    arms = list(dict.fromkeys(arm for arm, _ in values))
    found = []
    for arm in arms:
        rest, left = _residual(_without(values, arm))
        own = degrees - left
        if left and own:
            ratio = (squares - rest) / own / (rest / left) if rest else math.inf * squares
            found.append((len(arms) * float(stats.f.sf(ratio, own, left)), arm))
    least = min(found, key=lambda one: one[0], default=(1.0, None))
    return least[1] if least[0] < _APART else None


def _without(values: Values, arm: Hashable) -> dict[tuple[Hashable, Hashable], float]:
    return {key: value for key, value in values.items() if key[0] != arm}


def _residual(values: Values) -> tuple[float, int]:
    """Squares that arms and blocks leave unexplained, and their degrees of freedom."""
    if not values:
        return 0.0, 0
    measured = np.asarray(list(values.values()), np.float64)
    columns = [
        np.asarray([key[part] == level for key in values], np.float64)
        for part in (0, 1)
        for level in dict.fromkeys(key[part] for key in values)
    ]
    design = np.stack(columns, 1)
    fitted, _, rank, _ = np.linalg.lstsq(design, measured, rcond=None)
    left = measured - design @ fitted
    left[np.abs(left) < _ROUNDING * max(1.0, float(np.abs(measured).max()))] = 0
    return float(left @ left), len(measured) - int(rank)
