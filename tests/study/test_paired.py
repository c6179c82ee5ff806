"""Paired comparison, against scipy, arithmetic by hand, and what must hold for any pairs."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from deconvviz.errors import StudyError
from deconvviz.study import paired
from deconvviz.study.paired import MARGIN, compare, holm

HUNDREDTHS = st.integers(-300, 300).map(lambda n: n / 10_000)  # accuracies on 10 000 pictures
PAIRS = st.lists(HUNDREDTHS, min_size=2, max_size=9)


def over_zero(pairs, **options):
    return compare(pairs, [0.0] * len(pairs), **options)


def test_three_pairs_by_hand():
    found = compare([0.61, 0.62, 0.66], [0.60, 0.60, 0.63])
    assert found.pairs == (0.01, 0.02, 0.03)
    assert found.mean == pytest.approx(0.02)
    half = 4.302653 * 0.01 / math.sqrt(3)  # t of two degrees of freedom, from a table
    assert (found.low, found.high) == pytest.approx((0.02 - half, 0.02 + half))
    assert found.p == 2 / 8  # of +++ and --- alone is the mean as far from zero


@settings(max_examples=30, deadline=None)
@given(PAIRS.filter(lambda pairs: np.ptp(pairs) > 0), st.sampled_from([MARGIN, 0.01]))
def test_equivalence_and_interval_are_students_t_written_out(pairs, margin):
    n, mean, error = len(pairs), np.mean(pairs), np.std(pairs, ddof=1) / math.sqrt(len(pairs))
    found = over_zero(pairs, margin=margin)
    half = stats.t.ppf(0.975, n - 1) * error
    assert (found.low, found.high) == pytest.approx((mean - half, mean + half))
    assert found.equivalent_p == pytest.approx(stats.t.sf((margin - abs(mean)) / error, n - 1))


@settings(max_examples=40, deadline=None)
@given(PAIRS)
def test_p_counts_every_choice_of_signs_in_whole_numbers(pairs):
    whole = [round(10_000 * pair) for pair in pairs]
    signs = list(itertools.product((-1, 1), repeat=len(whole)))
    sums = [abs(sum(s * d for s, d in zip(choice, whole, strict=True))) for choice in signs]
    assert over_zero(pairs).p == np.mean([total >= abs(sum(whole)) for total in sums])


@settings(max_examples=30, deadline=None)
@given(PAIRS, st.floats(0.1, 0.9))
def test_what_holds_for_any_pairs(pairs, level):
    second = [level] * len(pairs)
    first = [level + pair for pair in pairs]
    found, turned = compare(first, second), compare(second, first)
    assert found.p == turned.p
    assert found.p >= 2 / 2 ** len(pairs)
    assert found.p == over_zero(pairs).p  # rounding of accuracies breaks no ties
    assert found.equivalent_p == pytest.approx(turned.equivalent_p)
    assert (found.low, found.mean, found.high) == pytest.approx(
        (-turned.high, -turned.mean, -turned.low)
    )
    assert found.low <= found.mean <= found.high


def test_one_pair_proves_nothing():
    found = compare([0.7], [0.5])
    assert found.mean == pytest.approx(0.2)
    assert (found.low, found.high, found.p, found.equivalent_p) == (None,) * 4


@pytest.mark.parametrize("shift", [0.0, 0.0012, -0.02])
def test_equal_pairs_give_numbers(shift):
    """t has no scale here: the signs alone speak, and two pairs never say much."""
    for count in (2, 6):
        found = compare([0.6 + shift] * count, [0.6] * count)
        assert found.low == found.high == found.mean == pytest.approx(shift)
        assert found.p == (2 / 2**count if shift else 1)
        assert found.equivalent_p == (2**-count if abs(shift) < MARGIN else 1)


def test_many_pairs_are_drawn_and_agree_with_the_count(monkeypatch):
    pairs = np.random.default_rng(0).normal(0.002, 0.01, 13).tolist()
    counted = over_zero(pairs).p
    monkeypatch.setattr(paired, "EXACT", 12)
    drawn = over_zero(pairs)
    deviation = math.sqrt(counted * (1 - counted) / paired.RESAMPLES)
    assert drawn.p == pytest.approx(counted, abs=5 * deviation)
    assert drawn == over_zero(pairs)


def test_drawn_p_is_never_zero():
    assert over_zero([0.01] * 40).p == pytest.approx(2 / (paired.RESAMPLES + 1))


def test_holm_by_hand():
    # sorted 0.005 x4, 0.01 x3, 0.03 x2, 0.04 x1 (raised to what is before it)
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([]) == ()
    assert holm([0.9, 0.8]) == (1, 1)


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_keeps_order_and_lowers_nothing(p_values):
    adjusted = holm(p_values)
    assert all(p <= q <= 1 for p, q in zip(p_values, adjusted, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert np.all(np.diff(np.asarray(adjusted)[order]) >= 0)
    # rejections one at a time, as Holm states it
    alpha, left, rejected = 0.05, sorted(p_values), 0
    while rejected < len(left) and left[rejected] * (len(left) - rejected) <= alpha:
        rejected += 1
    assert sum(p <= alpha for p in adjusted) == rejected


@pytest.mark.parametrize(
    ("first", "second", "margin"),
    [
        ([], [], MARGIN),
        ([1, 2], [1], MARGIN),
        ([math.nan, 1], [0, 0], MARGIN),
        ([math.inf, 1], [0, 0], MARGIN),
        ([1, 1], [0, 0], 0),
        ([1, 1], [0, 0], math.nan),
    ],
)
def test_what_cannot_be_compared_is_refused(first, second, margin):
    with pytest.raises(StudyError, match=r"pairs|finite"):
        compare(first, second, margin)
