"""CIFAR-100: its classes and its fine labels, from both of its forms."""

import pytest
import torch

from deconvviz.errors import DataError
from deconvviz.io.data import Dataset, draw_shapes, load_dataset
from deconvviz.io.data.torchvision_datasets import CIFAR100
from tests.originals import pixels, write_cifar100

from .conftest import write_folders


def load(split="train", **options):
    return load_dataset("cifar100", split, progress=False, **options)


def test_class_order_is_alphabetical():
    assert list(CIFAR100.classes) == sorted(set(CIFAR100.classes))
    assert len(CIFAR100.classes) == 100


@pytest.mark.parametrize("below", ["", "cifar100"])
def test_original_files_give_fine_labels(tmp_path, monkeypatch, below):
    write_cifar100(tmp_path / below, monkeypatch)
    train, test = load(data_dir=tmp_path), load("test", data_dir=tmp_path)
    assert [train.classes[label] for label in train.labels] == ["apple", "worm", "baby", "bear"]
    assert test.classes[test.labels[0]] == "aquarium_fish"
    assert test.images.flatten(1).numpy().tobytes() == pixels(1, (4, 3072)).tobytes()
    assert (test.title, len(test.classes)) == ("CIFAR-100", 100)


def test_class_folders_may_have_one_that_is_called_train(tmp_path):
    pictures = Dataset(draw_shapes(100).images, torch.arange(100), CIFAR100.classes, "")
    write_folders(tmp_path / "train", pictures)
    dataset = load(data_dir=tmp_path)
    assert torch.equal(dataset.images, pictures.images)
    assert dataset.title == "CIFAR-100, 100 of 50000 pictures"
    (tmp_path / "train" / "train").rename(tmp_path / "train" / "tram")
    with pytest.raises(DataError, match="CIFAR-100's 100 class folders: missing train, unexpected"):
        load(data_dir=tmp_path)
