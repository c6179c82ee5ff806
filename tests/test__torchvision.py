"""The door to torchvision, with batches in the form of 2009 written here."""

import hashlib
import pickle
import urllib.request
from urllib.error import URLError

import numpy as np
import pytest

from deconvviz._torchvision import cifar10
from deconvviz.errors import DataError

BATCHES = {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}


@pytest.fixture
def batches(tmp_path, monkeypatch):
    """`cifar-10-batches-py` with four pictures a file, and torchvision's checksums set to it."""
    from torchvision.datasets import CIFAR10

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    checksums = {}
    for seed, name in enumerate([*BATCHES["train"], *BATCHES["test"]]):
        pixels = np.random.default_rng(seed).integers(0, 256, (4, 3072), dtype=np.uint8)
        checksums[name] = write(folder / name, {"data": pixels, "labels": [seed, 1, 2, 3]})
    meta = write(folder / "batches.meta", {"label_names": ["a", "b"]})
    for split, names in BATCHES.items():
        monkeypatch.setattr(CIFAR10, f"{split}_list", [[name, checksums[name]] for name in names])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": meta})
    return folder


def write(path, content):
    """Pickle as Python 2 did: dtypes then held 0 and 1 where they hold False and True now."""
    stored = pickle.dumps(content, protocol=2).replace(b"\x89\x88\x87R", b"K\x00K\x01\x87R")
    path.write_bytes(stored)
    return hashlib.md5(stored).hexdigest()


def test_batches_of_2009_are_read_in_order_without_a_warning(batches):
    pixels, labels = cifar10(batches.parent, train=True, download=False)
    assert pixels.shape == (20, 32, 32, 3)
    assert labels == [label for seed in range(5) for label in (seed, 1, 2, 3)]
    rows = np.random.default_rng(4).integers(0, 256, (4, 3072), dtype=np.uint8)
    assert np.array_equal(pixels[16:].transpose(0, 3, 1, 2).reshape(4, 3072), rows)
    assert cifar10(batches.parent, train=False, download=False)[1] == [5, 1, 2, 3]


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_damaged_batches_are_refused_before_they_are_unpickled(batches, damage):
    file = batches / "data_batch_3"
    file.unlink() if damage == "missing" else file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError, match=r"cifar-10-batches-py is incomplete or damaged .*download"):
        cifar10(batches.parent, train=True, download=False)


def test_no_network_is_one_sentence(tmp_path, monkeypatch):
    def unreachable(*_args, **_kwargs):
        raise URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    with pytest.raises(DataError, match=r"could not be brought .*no route to host.*--data-dir or"):
        cifar10(tmp_path / "new", train=True, download=True)
