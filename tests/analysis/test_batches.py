"""Batches that cover every picture once."""

import pytest

from deconvviz.analysis.batches import _PIXELS, batches


@pytest.mark.parametrize("size", [(8, 8), (32, 48), (224, 224), (4000, 4000)])
@pytest.mark.parametrize("count", [0, 1, 7, 1000])
def test_every_picture_is_in_one_batch_and_no_batch_is_large(count, size):
    slices = list(batches(count, size))
    assert [row for rows in slices for row in range(count)[rows]] == list(range(count))
    for rows in slices:
        pictures = rows.stop - rows.start
        assert pictures == 1 or pictures * size[0] * size[1] <= _PIXELS


def test_each_batch_is_told_when_it_is_done():
    told = []
    list(batches(1000, (32, 32), "looking", progress=lambda *step: told.append(step)))
    assert told == [("looking", done, 1000) for done in (256, 512, 768, 1000)]
