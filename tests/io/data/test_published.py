"""Published sets: found in every place and form, and those of another set passed over.

What each of them is, and what it refuses, is in the tests of cifar10, cifar100 and mnist.
"""

from pathlib import PurePosixPath

import pytest
import torch

from deconvviz.errors import DataError
from deconvviz.io.data import Dataset, draw_shapes, published
from deconvviz.io.data.dataset import LoadOptions
from deconvviz.io.data.published import PublishedDataset

from .conftest import write_folders

TWO = PublishedDataset(
    name="two",
    title="Two",
    torchvision="Two",
    folder=PurePosixPath("Two/raw"),
    shape=(3, 32, 32),
    classes=("left", "right"),
    counts={"train": 4, "test": 2},
    class_folders=True,
)


@pytest.fixture
def read(monkeypatch):
    """Where torchvision was sent, by a stand-in that needs no files."""
    homes = []

    def reader(name, root, *, train, download):
        homes.append(root)
        images = draw_shapes(4 if train else 2).images
        return images, torch.arange(len(images)) % 2

    monkeypatch.setattr(published, "read_torchvision", reader)
    return homes


def request(place=None, split="train", **changes):
    options = {"size": None, "channels": None, "download": False}
    return LoadOptions(split, place, **{**options, "progress": False, **changes})


@pytest.mark.parametrize("named", ["", "Two", "Two/raw"])
@pytest.mark.parametrize("below", ["", "two"])
def test_any_folder_on_the_way_to_the_files_may_be_named(tmp_path, read, below, named):
    (tmp_path / below / "Two" / "raw").mkdir(parents=True)
    assert len(TWO.load(request(tmp_path / below / named))) == 4
    assert read == [tmp_path / below]


def test_a_folder_that_only_ends_alike_is_not_it(tmp_path, read):
    (tmp_path / "raw").mkdir()
    (tmp_path / "Two").mkdir()
    for place in (tmp_path / "raw", tmp_path / "Two", tmp_path):
        with pytest.raises(
            DataError, match=r"Two was not found in .*; download it .*Two/raw or tr"
        ):
            TWO.load(request(place))
    assert read == []


def test_class_folders_of_another_set_are_passed_over(tmp_path, read, cache, monkeypatch):
    """DECONVVIZ_DATA may name another set's folder, and this one lie in the cache."""
    pictures = draw_shapes(4).images
    other = Dataset(pictures, torch.arange(4) % 2, ("up", "down"), "")
    write_folders(tmp_path / "other" / "train", other)
    monkeypatch.setenv("DECONVVIZ_DATA", str(tmp_path / "other"))
    with pytest.raises(DataError, match="Two was not found"):
        TWO.load(request())
    own = Dataset(pictures, torch.arange(4) % 2, TWO.classes, "")
    write_folders(cache / "two" / "train", own)
    assert TWO.load(request()).title == "Two"
    assert read == []
    write_folders(tmp_path / "other" / "train", own)
    with pytest.raises(DataError, match="Two's 2 class folders: missing none, unexpected down, up"):
        TWO.load(request())


def test_what_torchvision_reads_must_have_the_stated_shape(tmp_path, read, monkeypatch):
    wrong = PublishedDataset(**{**TWO.__dict__, "shape": (1, 32, 32)})
    (tmp_path / "Two" / "raw").mkdir(parents=True)
    with pytest.raises(DataError, match=r"holds 4 pictures of \(3, 32, 32\) and 4 .* is not Two; "):
        wrong.load(request(tmp_path))
