"""Merging accumulators equals adding all at once."""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deconvviz.atlas.accumulator import Accumulator

EMPTY = partial(Accumulator.empty, channels=5, k=4, dtype=torch.float64, classes=3)


def maps(count, seed):
    """Whole numbers over four positions, so that many are equal, and means and sums are exact."""
    generator = torch.Generator().manual_seed(seed)
    shape = (count, 5, 2, 2)
    return torch.randint(-3, 6, shape, generator=generator).double()


def accumulated(parts, first=0):
    made = EMPTY()
    for part in parts:
        made.add(part, first, torch.arange(first, first + len(part)) % 3)
        first += len(part)
    return made


def same(one, other):
    theirs = other.tensors()
    return all(torch.equal(tensor, theirs[name]) for name, tensor in one.tensors().items())


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(0, 1000))
def test_cutting_the_data_up_changes_nothing(sizes, seed):
    whole = maps(sum(sizes), seed)
    expected = accumulated([whole])
    parts = whole.split(sizes)
    assert same(accumulated(parts), expected)
    merged, first = EMPTY(), 0
    for part in parts:
        merged.merge(accumulated([part], first))
        first += len(part)
    assert same(merged, expected)
    backwards = EMPTY()
    for part in reversed(parts):
        first -= len(part)
        backwards.merge(accumulated([part], first))
    assert same(backwards, expected)


def test_its_tensors_make_it_again():
    made = accumulated([maps(10, 0)])
    assert same(Accumulator(made.tensors()), made)
    assert set(made.tensors()) > {"value", "picture", "y", "x", "total", "histogram"}


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_layout_in_memory_does_not_matter(layout):
    one = maps(10, 1)
    assert same(accumulated([one.contiguous(memory_format=layout)]), accumulated([one]))
