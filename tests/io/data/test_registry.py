"""Data sets by name."""

from pathlib import Path

import pytest

from deconvviz.errors import DataError
from deconvviz.io.data import DATASETS, DatasetEntry, draw_shapes, load_dataset, load_for
from deconvviz.io.data.dataset import LoadOptions


def test_unknown_names_are_answered_with_what_there_is():
    with pytest.raises(DataError, match="no data set `cifar`; there are cifar10, cifar100, mnist"):
        load_dataset("cifar")


def test_a_data_set_joins_by_one_line(monkeypatch):
    """It is loaded with every option, and listed by the command."""
    from typer.testing import CliRunner

    from deconvviz.cli import app

    received = []

    def load(options):
        received.append(options)
        return draw_shapes(3, channels=options.channels_or(5))

    entry = DatasetEntry(load, "a few shapes", splits=())
    monkeypatch.setitem(DATASETS, "tiny", entry)
    options = {"size": 9, "channels": 2, "download": True, "progress": False}
    dataset = load_dataset("tiny", "val", data_dir="x", **options)
    assert (dataset.images.shape, dataset.source) == ((3, 2, 32, 32), "tiny/val")
    assert load_dataset("tiny").images.shape[1] == 5
    assert received == [
        LoadOptions("val", Path("x"), **options),
        LoadOptions("train", None, None, None, False, True),
    ]
    listed = CliRunner().invoke(app, ["datasets"]).output
    assert all(name in listed and one.description in listed for name, one in DATASETS.items())


def test_the_help_of_data_names_no_data_set():
    """So that the registry is the only list of them."""
    from deconvviz.cli.base import _HELP

    assert "datasets" in _HELP["data"]
    assert not any(name in _HELP["data"] for name in DATASETS)


@pytest.mark.parametrize("size", [0, -1, 7, 10**6])
def test_sizes_that_no_picture_has_are_refused(size):
    with pytest.raises(DataError, match="size must be from 8 to 4096"):
        load_dataset("shapes", size=size)


@pytest.mark.parametrize("name", sorted(set(DATASETS) - {"folder"}))
def test_unknown_splits_are_refused(name):
    with pytest.raises(DataError, match=f"{name} has no split `val`; it has train, test and all"):
        load_dataset(name, "val")


@pytest.mark.parametrize("name", ["photos", "shapes"])
def test_all_is_both_splits(name):
    train, test, both = (load_dataset(name, split) for split in ("train", "test", "all"))
    assert both.images[: len(train)].equal(train.images)
    assert both.images[len(train) :].equal(test.images)
    assert len(both) == len(train) + len(test)
    assert [one.source for one in (train, both)] == [f"{name}/train", f"{name}/all"]
    assert train.subset([0]).source == ""


def test_a_data_set_is_loaded_in_a_networks_size():
    assert load_for((1, 48, 48), "shapes", "test").images.shape[1:] == (1, 48, 48)
    with pytest.raises(DataError, match="CIFAR-10 was not found"):  # its own size is not refused
        load_for((3, 64, 64), "cifar10")
