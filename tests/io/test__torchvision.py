"""The door to torchvision, with small stand-ins in the very form of the published files."""

import urllib.request
from urllib.error import URLError

import numpy as np
import pytest
import torch

from deconvviz.errors import DataError
from deconvviz.io._torchvision import published, randaugment
from deconvviz.io.data import draw_shapes
from tests.originals import pixels, write_cifar10, write_cifar100, write_idx, write_mnist


@pytest.fixture
def batches(tmp_path, monkeypatch):
    return write_cifar10(tmp_path, monkeypatch)


def test_batches_of_2009_are_read_in_order_without_a_warning(batches):
    images, labels = published("CIFAR10", batches.parent, train=True, download=False)
    assert images.shape == (20, 32, 32, 3)
    assert labels == [label for seed in range(5) for label in (seed, 1, 2, 3)]
    assert np.array_equal(images[16:].transpose(0, 3, 1, 2).reshape(4, 3072), pixels(4, (4, 3072)))
    assert published("CIFAR10", batches.parent, train=False, download=False)[1] == [5, 1, 2, 3]


def test_cifar100_gives_its_fine_labels(tmp_path, monkeypatch):
    write_cifar100(tmp_path, monkeypatch)
    images, labels = published("CIFAR100", tmp_path, train=False, download=False)
    assert labels == [1, 99, 2, 3]
    assert np.array_equal(images.transpose(0, 3, 1, 2).reshape(4, 3072), pixels(1, (4, 3072)))


@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST"])
def test_idx_files_are_read_as_grey_pictures(tmp_path, name):
    write_mnist(tmp_path, name)
    images, labels = published(name, tmp_path, train=True, download=False)
    assert np.array_equal(images[..., 0], pixels(0, (5, 28, 28)))
    assert (images.shape, labels) == ((5, 28, 28, 1), [0, 1, 2, 3, 4])
    images, labels = published(name, tmp_path, train=False, download=False)
    assert np.array_equal(images[..., 0], pixels(1, (3, 28, 28)))
    assert labels == [7, 8, 9]


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_damaged_batches_are_refused_before_they_are_unpickled(batches, damage):
    file = batches / "data_batch_3"
    file.unlink() if damage == "missing" else file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError, match=r"cifar-10-batches-py is incomplete or damaged .*download"):
        published("CIFAR10", batches.parent, train=True, download=False)


@pytest.mark.parametrize("damage", ["missing", "empty", "header", "cut", "text", "form", "type"])
@pytest.mark.parametrize("download", [False, True])
def test_damaged_idx_files_are_refused(tmp_path, monkeypatch, damage, download):
    monkeypatch.setattr(urllib.request, "urlopen", _unreachable)
    folder = write_mnist(tmp_path)
    file = folder / "train-images-idx3-ubyte"
    content = file.read_bytes()
    if damage == "missing":
        file.unlink()
    elif damage == "form":
        write_idx(file, pixels(0, (5, 28)))
    elif damage == "type":
        file.write_bytes(content[:2] + bytes([10]) + content[3:])
    else:
        kept = {"empty": b"", "header": content[:10], "cut": content[:-100], "text": b"<html>" * 9}
        file.write_bytes(kept[damage])
    sentence = (
        r"MNIST could not be brought to .*no route to host.*--data-dir or"
        if download and damage == "missing"
        else r"MNIST/raw is incomplete or damaged .*; remove it and download it again \(--download"
    )
    with pytest.raises(DataError, match=sentence) as refusal:
        published("MNIST", tmp_path, train=True, download=download)
    assert "\n" not in str(refusal.value)


def _unreachable(*_args, **_kwargs):
    raise URLError("no route to host")


@pytest.mark.parametrize("name", ["CIFAR10", "CIFAR100", "MNIST", "FashionMNIST"])
def test_no_network_is_one_sentence(tmp_path, monkeypatch, name):
    monkeypatch.setattr(urllib.request, "urlopen", _unreachable)
    sentence = f"{name} could not be brought .*no route to host.*--data-dir or"
    with pytest.raises(DataError, match=sentence) as refusal:
        published(name, tmp_path / "new", train=True, download=True)
    assert "\n" not in str(refusal.value)


def test_randaugment_varies_each_picture_and_leaves_the_global_generator_alone():
    images = draw_shapes(1).images.expand(40, -1, -1, -1)
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    varied = randaugment(images, 9, seed=1)
    assert torch.equal(torch.rand(3), wanted)
    assert (varied.shape, varied.dtype) == (images.shape, torch.uint8)
    assert len({picture.numpy().tobytes() for picture in varied}) > 25
    assert torch.equal(varied, randaugment(images, 9, seed=1))
    assert not torch.equal(varied, randaugment(images, 9, seed=2))
