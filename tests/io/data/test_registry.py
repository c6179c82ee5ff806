"""Data sets by name."""

import pytest

from deconvviz.errors import DataError
from deconvviz.io.data import LOADERS, draw_shapes, load_dataset


def test_unknown_names_are_told_what_there_is():
    with pytest.raises(DataError, match="no data set `cifar`; there are cifar10, cifar100, fash"):
        load_dataset("cifar")


def test_another_set_joins_by_one_line(monkeypatch):
    monkeypatch.setitem(LOADERS, "tiny", lambda request: draw_shapes(3, channels=request.channels))
    assert load_dataset("tiny", channels=2).images.shape == (3, 2, 32, 32)


@pytest.mark.parametrize("name", LOADERS)
def test_sizes_that_no_picture_has_are_refused(name):
    for size in (0, -1, 7):
        with pytest.raises(DataError, match=f"pictures of {size} pixels are too small; ask for"):
            load_dataset(name, size=size)


@pytest.mark.parametrize("name", ["photos", "shapes"])
def test_all_is_both_splits(name):
    train, test, both = (load_dataset(name, split) for split in ("train", "test", "all"))
    assert both.images[: len(train)].equal(train.images)
    assert both.images[len(train) :].equal(test.images)
    assert len(both) == len(train) + len(test)
