"""MNIST and Fashion-MNIST: grey pictures from idx files, found wherever they may lie."""

import gzip

import numpy as np
import pytest
import torch

from deconvviz.errors import DataError
from deconvviz.io.data import load_dataset
from deconvviz.io.data.torchvision_datasets import FASHION_MNIST, MNIST
from tests.originals import pixels, write_idx, write_mnist

FOLDER = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}


@pytest.mark.parametrize("name", FOLDER)
def test_pictures_are_grey_of_28_pixels_with_their_own_labels(tmp_path, name):
    write_mnist(tmp_path, FOLDER[name])
    train = load_dataset(name, data_dir=tmp_path)
    assert np.array_equal(train.images.numpy()[:, 0], pixels(0, (5, 28, 28)))
    assert train.labels.tolist() == [0, 1, 2, 3, 4]
    assert load_dataset(name, "test", data_dir=tmp_path).labels.tolist() == [7, 8, 9]
    assert len(load_dataset(name, "all", data_dir=tmp_path)) == 8


def test_classes_and_titles(tmp_path):
    for name, folder in FOLDER.items():
        write_mnist(tmp_path, folder)
        dataset = load_dataset(name, data_dir=tmp_path)
        assert dataset.title == ("MNIST" if name == "mnist" else "Fashion-MNIST")
        assert dataset.classes == (MNIST if name == "mnist" else FASHION_MNIST).classes
    from torchvision.datasets import FashionMNIST

    assert list(FASHION_MNIST.classes) == FashionMNIST.classes


def test_asked_for_three_channels_the_grey_one_is_repeated(tmp_path):
    write_mnist(tmp_path)
    grey, colour = (load_dataset("mnist", data_dir=tmp_path, channels=c) for c in (1, 3))
    assert torch.equal(colour.images, grey.images.expand(-1, 3, -1, -1))
    with pytest.raises(DataError, match="got 2"):
        load_dataset("mnist", data_dir=tmp_path, channels=2)


def test_the_cache_and_the_environment_are_looked_at(tmp_path, cache, monkeypatch):
    write_mnist(cache / "mnist")
    assert len(load_dataset("mnist", "test")) == 3
    monkeypatch.setenv("DECONVVIZ_DATA", str(tmp_path / "named"))
    assert len(load_dataset("mnist", "test")) == 3
    with pytest.raises(DataError) as refusal:
        load_dataset("fashion-mnist")
    sentence = f"Fashion-MNIST was not found in {tmp_path / 'named'}, {cache}; download it "
    assert str(refusal.value).startswith(sentence)
    assert "folder with FashionMNIST/raw in --data-dir or DECONVVIZ_DATA" in str(refusal.value)


def test_class_folders_are_not_read(tmp_path):
    (tmp_path / "train" / "0").mkdir(parents=True)
    with pytest.raises(DataError, match="MNIST was not found"):
        load_dataset("mnist", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("train-images-idx3-ubyte", pixels(0, (5, 27, 28))),
        ("train-images-idx3-ubyte", pixels(0, (4, 28, 28))),
        ("train-labels-idx1-ubyte", np.array([0, 1, 2, 3, 10], np.uint8)),
    ],
)
def test_files_of_another_shape_are_refused(tmp_path, file, content):
    write_idx(write_mnist(tmp_path) / file, content)
    sentence = r"MNIST/raw holds \d pictures of .* labels up to \d+, which is not MNIST; remove it"
    with pytest.raises(DataError, match=sentence):
        load_dataset("mnist", data_dir=tmp_path)


def pack(path):
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


@pytest.mark.parametrize("packed", ["*", "train-*", "t10k-labels*"])
def test_files_are_read_as_published_too(tmp_path, packed):
    folder = write_mnist(tmp_path)
    plain = load_dataset("mnist", "all", data_dir=tmp_path)
    for path in list(folder.glob(packed)):
        pack(path)
    before = sorted(folder.iterdir())
    assert load_dataset("mnist", "all", data_dir=tmp_path).fingerprint == plain.fingerprint
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: b"no" + data])
def test_a_damaged_packed_file_is_refused(tmp_path, damage):
    path = write_mnist(tmp_path) / "train-images-idx3-ubyte"
    pack(path)
    packed = path.with_name(f"{path.name}.gz")
    packed.write_bytes(damage(packed.read_bytes()))
    with pytest.raises(DataError, match="raw is incomplete or damaged; remove it"):
        load_dataset("mnist", data_dir=tmp_path)


def test_other_sizes_are_refused(tmp_path):
    write_mnist(tmp_path)
    with pytest.raises(DataError, match="MNIST's pictures are 28 pixels wide, not 32; leave the"):
        load_dataset("mnist", data_dir=tmp_path, size=32)
