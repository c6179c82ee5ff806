"""CIFAR-10 (Krizhevsky 2009), as published or as class folders."""

from pathlib import PurePosixPath

from deconvviz.io.data.published import PublishedDataset

# fmt: off
CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)
# fmt: on
"""Classes in the order of the labels, which is alphabetical."""

CIFAR10 = PublishedDataset(
    name="cifar10",
    title="CIFAR-10",
    torchvision="CIFAR10",
    folder=PurePosixPath("cifar-10-batches-py"),
    shape=(3, 32, 32),
    classes=CLASSES,
    counts={"train": 50_000, "test": 10_000},
    class_folders=True,
)
