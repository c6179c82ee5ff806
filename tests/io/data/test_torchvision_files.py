"""Original files read by torchvision, with small stand-ins in the published format."""

import urllib.request
from urllib.error import URLError

import numpy as np
import pytest

from deconvviz.errors import DataError
from deconvviz.io.data.published import read_torchvision
from tests.originals import pixels, write_cifar10, write_cifar100, write_idx, write_mnist


@pytest.fixture
def batches(tmp_path, monkeypatch):
    return write_cifar10(tmp_path, monkeypatch)


def test_cifar10_is_read_in_order_without_a_warning(batches):
    images, labels = read_torchvision("CIFAR10", batches.parent, train=True, download=False)
    assert images.shape == (20, 3, 32, 32)
    assert labels.tolist() == [label for seed in range(5) for label in (seed, 1, 2, 3)]
    assert np.array_equal(images[16:].reshape(4, 3072), pixels(4, (4, 3072)))
    _, labels = read_torchvision("CIFAR10", batches.parent, train=False, download=False)
    assert labels.tolist() == [5, 1, 2, 3]


def test_cifar100_gives_its_fine_labels(tmp_path, monkeypatch):
    write_cifar100(tmp_path, monkeypatch)
    images, labels = read_torchvision("CIFAR100", tmp_path, train=False, download=False)
    assert labels.tolist() == [1, 99, 2, 3]
    assert np.array_equal(images.reshape(4, 3072), pixels(1, (4, 3072)))


@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST"])
def test_idx_files_are_read_as_grey_pictures(tmp_path, name):
    write_mnist(tmp_path, name)
    for train, count, labels in ((True, 5, [0, 1, 2, 3, 4]), (False, 3, [7, 8, 9])):
        images, found = read_torchvision(name, tmp_path, train=train, download=False)
        assert np.array_equal(images[:, 0], pixels(int(not train), (count, 28, 28)))
        assert (images.shape, found.tolist()) == ((count, 1, 28, 28), labels)


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_damaged_batches_are_refused_before_they_are_unpickled(batches, damage):
    file = batches / "data_batch_3"
    file.unlink() if damage == "missing" else file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError, match="cifar-10-batches-py is incomplete or damaged"):
        read_torchvision("CIFAR10", batches.parent, train=True, download=False)


@pytest.mark.parametrize("damage", ["missing", "empty", "header", "cut", "text", "shape", "type"])
@pytest.mark.parametrize("download", [False, True])
def test_damaged_idx_files_are_refused(tmp_path, monkeypatch, damage, download):
    monkeypatch.setattr(urllib.request, "urlopen", _unreachable)
    folder = write_mnist(tmp_path)
    file = folder / "train-images-idx3-ubyte"
    content = file.read_bytes()
    if damage == "missing":
        file.unlink()
    elif damage == "shape":
        write_idx(file, pixels(0, (5, 28)))
    elif damage == "type":
        file.write_bytes(content[:2] + bytes([10]) + content[3:])
    else:
        kept = {"empty": b"", "header": content[:10], "cut": content[:-100], "text": b"<html>" * 9}
        file.write_bytes(kept[damage])
    unreachable = download and damage == "missing"
    with pytest.raises(DataError, match="no route" if unreachable else "damaged") as refusal:
        read_torchvision("MNIST", tmp_path, train=True, download=download)
    assert "\n" not in str(refusal.value)


def _unreachable(*_args, **_kwargs):
    raise URLError("no route to host")


@pytest.mark.parametrize("name", ["CIFAR10", "CIFAR100", "MNIST", "FashionMNIST"])
def test_no_network_is_one_sentence(tmp_path, monkeypatch, name):
    monkeypatch.setattr(urllib.request, "urlopen", _unreachable)
    with pytest.raises(DataError, match=f"{name} to .*no route to host.*--data-dir") as refusal:
        read_torchvision(name, tmp_path / "new", train=True, download=True)
    assert "\n" not in str(refusal.value)
