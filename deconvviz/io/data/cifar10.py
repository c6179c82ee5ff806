"""CIFAR-10 (Krizhevsky 2009), in its original form or as class folders of pictures."""

from pathlib import PurePosixPath

from deconvviz.io.data.published import Published

__all__ = ["CIFAR10", "CLASSES"]

CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
"""CIFAR-10's classes in its own order, which is alphabetical too."""

CIFAR10 = Published(
    name="cifar10",
    title="CIFAR-10",
    door="CIFAR10",
    files=PurePosixPath("cifar-10-batches-py"),
    form=(3, 32, 32),
    classes=CLASSES,
    pictures={"train": 50_000, "test": 10_000},
    as_folders=True,
)
