"""Small stand-ins for published data sets, in the files of the originals."""

import hashlib
import pickle
import struct

import numpy as np

CIFAR10_FILES = {"train": [f"data_batch_{n}" for n in range(1, 6)], "test": ["test_batch"]}
CIFAR100_FILES = {"train": ["train"], "test": ["test"]}


def write_cifar10(root, monkeypatch):
    """`cifar-10-batches-py` with four pictures a file, and torchvision's checksums set to it."""
    from torchvision.datasets import CIFAR10

    def batch(seed):
        return {"data": pixels(seed, (4, 3072)), "labels": [seed, 1, 2, 3]}

    meta = {"label_names": ["a", "b"]}
    return _write_cifar(root, monkeypatch, CIFAR10, CIFAR10_FILES, batch, meta)


def write_cifar100(root, monkeypatch):
    """`cifar-100-python` with four pictures a file; its coarse labels differ from the fine ones."""
    from torchvision.datasets import CIFAR100

    def batch(seed):
        labels = {"fine_labels": [seed, 99, 2, 3], "coarse_labels": [0, 0, 0, 0]}
        return {"data": pixels(seed, (4, 3072)), **labels}

    meta = {"fine_label_names": ["a", "b"], "coarse_label_names": ["c"]}
    return _write_cifar(root, monkeypatch, CIFAR100, CIFAR100_FILES, batch, meta)


def write_mnist(root, name="MNIST"):
    """`NAME/raw` with five training and three test pictures in idx files."""
    folder = root / name / "raw"
    folder.mkdir(parents=True)
    for seed, (part, count) in enumerate({"train": 5, "t10k": 3}.items()):
        images, labels = pixels(seed, (count, 28, 28)), np.arange(count, dtype=np.uint8) + 7 * seed
        write_idx(folder / f"{part}-images-idx3-ubyte", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte", labels)
    return folder


def write_idx(path, array):
    """The format of LeCun's files: a type, the number of axes, their lengths, then the bytes."""
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(head + array.tobytes())


def pixels(seed, shape):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def _write_cifar(root, monkeypatch, kind, files, batch, meta):
    folder = root / kind.base_folder
    folder.mkdir(parents=True)
    names = [*files["train"], *files["test"]]
    checksums = {name: _write(folder / name, batch(seed)) for seed, name in enumerate(names)}
    for split, parts in files.items():
        monkeypatch.setattr(kind, f"{split}_list", [[name, checksums[name]] for name in parts])
    stored = _write(folder / kind.meta["filename"], meta)
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": stored})
    return folder


def _write(path, content):
    """Pickle as Python 2 did: dtypes then held 0 and 1 where they hold False and True now."""
    stored = pickle.dumps(content, protocol=2).replace(b"\x89\x88\x87R", b"K\x00K\x01\x87R")
    path.write_bytes(stored)
    return hashlib.md5(stored).hexdigest()
