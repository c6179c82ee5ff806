"""The pooled deviation, against the formula of a whole table and against chance itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deconvviz.study.paired import compare
from deconvviz.study.pooling import pool


def table(arms, seeds, deviation=0.01, seed=0):
    """Arms by blocks: arms and blocks of any height, and chance of one deviation."""
    rng = np.random.default_rng(seed)
    heights = rng.normal(0.6, 0.1, (arms, 1)) + rng.normal(0, 0.05, (1, seeds))
    return heights + rng.normal(0, deviation, (arms, seeds))


def values(measured, arms=None):
    arms = arms or range(len(measured))
    return {(a, b): v for a, row in zip(arms, measured, strict=True) for b, v in enumerate(row)}


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 7), st.integers(2, 5), st.integers(0, 1000))
def test_a_whole_table_leaves_what_its_means_leave(arms, seeds, seed):
    measured = table(arms, seeds, seed=seed)
    left = measured - measured.mean(0) - measured.mean(1, keepdims=True) + measured.mean()
    found = pool(values(measured))
    if not found.apart:
        degrees = (arms - 1) * (seeds - 1)
        assert found.degrees == degrees
        assert found.deviation == pytest.approx(np.sqrt(2 * (left**2).sum() / degrees))


def test_two_arms_are_their_own_pool():
    measured = table(2, 3)
    found = pool(values(measured))
    assert found.degrees == 2
    assert found.deviation == pytest.approx((measured[1] - measured[0]).std(ddof=1))


def test_blocks_that_an_arm_lacks_are_fitted_and_not_filled():
    """Against the residual of a regression that is solved by its normal equations."""
    measured = values(table(4, 4))
    for key in ((1, 0), (2, 3), (3, 1)):
        del measured[key]
    design = np.array([[*(a == i for i in range(4)), *(b == j for j in range(1, 4))]
                       for a, b in measured], float)  # fmt: skip
    y = np.array(list(measured.values()))
    left = y - design @ np.linalg.solve(design.T @ design, design.T @ y)
    found = pool(measured)
    assert found.degrees == len(y) - 7
    assert found.deviation == pytest.approx(np.sqrt(2 * (left @ left) / (len(y) - 7)))


def test_nothing_to_pool_is_none():
    assert pool({}) is None
    assert pool({("a", 0): 0.5, ("b", 0): 0.6}) is None


def test_constant_differences_have_no_deviation_and_nobody_stands_apart():
    measured = np.array([[0.5, 0.6, 0.7]]) + np.array([[0.0], [0.013], [-0.0271]])
    assert pool(values(measured)).deviation == 0
    assert pool(values(measured)).apart == ()


def test_intervals_of_three_pairs_hold_the_truth_as_often_as_they_say():
    """Nineteen of twenty, though all differences share one base; and none of the arms differ."""
    rng, inside, widths, own = np.random.default_rng(1), [], [], []
    for _ in range(400):
        measured = rng.normal(0, 0.01, (6, 3)) + rng.normal(0, 0.05, (1, 3))
        pooled = pool(values(measured))
        for arm in range(1, 6):
            if {0, arm}.isdisjoint(pooled.apart):
                found = compare(measured[arm], measured[0], pool=pooled)
                inside.append(found.low <= 0 <= found.high)
                widths.append(found.high - found.low)
            alone = compare(measured[arm], measured[0])
            own.append(alone.high - alone.low)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.02)
    assert np.std(widths) < np.std(own) / 3  # far less at the mercy of luck


def test_arms_alike_seldom_stand_apart_and_a_wild_one_does():
    apart = [bool(pool(values(table(8, 3, seed=seed))).apart) for seed in range(100)]
    assert np.mean(apart) < 0.15  # 0.05 is what chance may do
    measured = table(8, 3)
    measured[4] += [0.3, -0.2, 0.1]
    found = pool(values(measured))
    assert found.apart == (4,)
    rest = pool(values(np.delete(measured, 4, 0), [0, 1, 2, 3, 5, 6, 7]))
    assert (found.deviation, found.degrees) == (rest.deviation, rest.degrees)
