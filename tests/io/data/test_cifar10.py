"""CIFAR-10: found in every place and form, and missed in one sentence."""

import numpy as np
import pytest
import torch
from PIL import Image

from deconvviz.errors import DataError
from deconvviz.io.data import Dataset, draw_shapes, load_dataset, published
from deconvviz.io.data.torchvision_datasets import CIFAR10

from .conftest import write_folders


def load(split="train", **options):
    return load_dataset("cifar10", split, progress=False, **options)


@pytest.fixture
def pictures():
    """Twenty pictures like those of CIFAR-10."""
    return Dataset(draw_shapes(20).images, torch.arange(20) % 10, CIFAR10.classes, "")


@pytest.fixture
def copy(tmp_path, pictures):
    root = tmp_path / "copy"
    write_folders(root / "train", pictures)
    write_folders(root / "test", pictures.subset(range(10)))
    return root


@pytest.fixture
def original(monkeypatch, pictures):
    """Where torchvision was sent, by a stand-in that needs no files."""
    calls: list[dict[str, object]] = []

    def read(name, root, *, train, download):
        assert name == "CIFAR10"
        calls.append({"root": root, "train": train, "download": download})
        return pictures.images, pictures.labels

    monkeypatch.setattr(published, "read_torchvision", read)
    return calls


def test_class_order_is_alphabetical():
    assert list(CIFAR10.classes) == sorted(CIFAR10.classes)
    assert len(CIFAR10.classes) == 10


def test_class_folders_give_labels_in_cifar10s_order(copy, pictures):
    train, test = load(data_dir=copy), load("test", data_dir=copy)
    order = pictures.labels.sort(stable=True).indices
    assert torch.equal(train.images, pictures.images[order])
    assert train.labels.tolist() == [label for label in range(10) for _ in range(2)]
    assert test.labels.tolist() == list(range(10))
    assert train.classes == CIFAR10.classes


@pytest.mark.parametrize("place", ["data_dir", "environment", "cache"])
@pytest.mark.parametrize("below", ["", "cifar10"])
def test_class_folders_are_found_in_every_place(place, below, copy, cache, tmp_path, monkeypatch):
    root = cache if place == "cache" else tmp_path / "data"
    (root / below).parent.mkdir(parents=True, exist_ok=True)
    copy.rename(root / below)
    if place == "environment":
        monkeypatch.setenv("DECONVVIZ_DATA", str(root))
    assert len(load(data_dir=root if place == "data_dir" else None)) == 20


@pytest.mark.parametrize("below", ["", "cifar10", "cifar-10-batches-py"])
def test_original_is_found_one_level_down_or_named_itself(below, original, tmp_path, pictures):
    root = tmp_path / "data"
    batches = root / ("cifar10" if below == "cifar10" else "") / "cifar-10-batches-py"
    batches.mkdir(parents=True)
    named = batches if below == "cifar-10-batches-py" else root
    dataset = load("test", data_dir=named)
    assert original == [{"root": batches.parent, "train": False, "download": False}]
    assert torch.equal(dataset.images, pictures.images)
    assert dataset.images.is_contiguous()
    assert (dataset.title, dataset.classes) == ("CIFAR-10", CIFAR10.classes)
    assert torch.equal(dataset.labels, pictures.labels)


def test_original_is_preferred_and_a_named_place_is_the_only_one(original, copy, cache, tmp_path):
    (copy / "cifar-10-batches-py").mkdir()
    assert load(data_dir=copy).title == "CIFAR-10"
    (cache / "cifar-10-batches-py").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"was not found in .*empty; download it"):
        load(data_dir=tmp_path / "empty")


def test_download_goes_to_the_cache_or_the_named_folder(original, cache, tmp_path):
    load(download=True)
    load(download=True, data_dir=tmp_path / "here")
    assert [call["root"] for call in original] == [cache / "cifar10", tmp_path / "here"]
    assert all(call["download"] for call in original)


def test_what_is_there_is_not_downloaded(original, copy):
    assert len(load(data_dir=copy, download=True)) == 20
    assert original == []


def test_missing_data_says_where_it_looked_and_how_to_get_it(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("DECONVVIZ_DATA", str(tmp_path / "named"))
    with pytest.raises(DataError) as refusal:
        load()
    sentence = str(refusal.value)
    assert f"CIFAR-10 was not found in {tmp_path / 'named'}, {cache};" in sentence
    for way in ("--download", "--data-dir", "DECONVVIZ_DATA"):
        assert way in sentence
    assert "\n" not in sentence


def test_missing_and_unexpected_classes_are_named(copy):
    (copy / "train" / "cat").rename(copy / "train" / "lynx")
    with pytest.raises(DataError, match="10 class folders: missing cat, unexpected lynx"):
        load(data_dir=copy)
    for number in range(12):
        (copy / "test" / f"x{number:02d}").mkdir()
        Image.new("RGB", (32, 32)).save(copy / "test" / f"x{number:02d}" / "0.png")
    with pytest.raises(DataError, match=r"missing none, unexpected x00, .*, x04 and 7 more"):
        load("test", data_dir=copy)


def test_missing_test_folder_is_named(copy):
    (copy / "test").rename(copy / "tests")
    with pytest.raises(DataError, match="has no folder `test`; CIFAR-10 has train and test"):
        load("test", data_dir=copy)


def test_pictures_of_another_size_are_not_cifar10(tmp_path):
    small = Dataset(draw_shapes(10, size=16).images, torch.arange(10), CIFAR10.classes, "")
    write_folders(tmp_path / "small" / "train", small)
    with pytest.raises(
        DataError, match="pictures of 16x16, and CIFAR-10's are 32x32; load them as"
    ):
        load(data_dir=tmp_path / "small")
    with pytest.raises(DataError, match="are 32 pixels wide, not 64; leave the size out"):
        load(data_dir=tmp_path / "small", size=64)


def test_channels_that_it_has_not(copy):
    with pytest.raises(DataError, match="got 2"):
        load(data_dir=copy, channels=2)


def test_grey_is_the_same_from_both_forms(copy, original, tmp_path, pictures):
    (tmp_path / "cifar-10-batches-py").mkdir()
    from_files, from_batches = (load(data_dir=p, channels=1) for p in (copy, tmp_path))
    order = pictures.labels.sort(stable=True).indices
    assert torch.equal(from_files.images, from_batches.images[order])


@pytest.mark.parametrize(
    ("suffixes", "title"),
    [
        ([".png"], "CIFAR-10, 10 of 50000 pictures"),
        ([".jpg", ".jpeg", ".JPG"], "CIFAR-10, JPEG copy, 10 of 50000 pictures"),
        ([".jpg", ".png"], "CIFAR-10, mixed copy, 10 of 50000 pictures"),
    ],
)
def test_title_says_which_copy_and_how_much_of_it(tmp_path, suffixes, title):
    for number, name in enumerate(CIFAR10.classes):
        folder = tmp_path / "part" / "train" / name
        folder.mkdir(parents=True)
        Image.new("RGB", (32, 32)).save(folder / f"0{suffixes[number % len(suffixes)]}")
    assert load(data_dir=tmp_path / "part").title == title


@pytest.mark.data
@pytest.mark.parametrize(("split", "pictures"), [("train", 50_000), ("test", 10_000)])
def test_real_pictures_are_all_there(data_dir, split, pictures):
    dataset = load(split, data_dir=data_dir)
    assert dataset.images.shape == (pictures, 3, 32, 32)
    assert dataset.labels.bincount().tolist() == [pictures // 10] * 10
    assert dataset.classes == CIFAR10.classes
    assert dataset.title in ("CIFAR-10", "CIFAR-10, JPEG copy")
    mean, std = dataset.channel_statistics()
    np.testing.assert_allclose(mean, (0.491, 0.482, 0.447), atol=0.005)
    np.testing.assert_allclose(std, (0.247, 0.243, 0.262), atol=0.005)
