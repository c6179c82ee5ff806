"""MNIST's digits and Fashion-MNIST's clothes: grey pictures of 28 pixels.

LeCun, Bottou, Bengio & Haffner (1998); Xiao, Rasul & Vollgraf (2017), arXiv:1708.07747.
"""

from dataclasses import replace
from pathlib import PurePosixPath

from deconvviz.io.data.published import PublishedDataset

MNIST = PublishedDataset(
    name="mnist",
    title="MNIST",
    torchvision="MNIST",
    folder=PurePosixPath("MNIST/raw"),
    shape=(1, 28, 28),
    classes=tuple("0123456789"),
    counts={"train": 60_000, "test": 10_000},
    class_folders=False,
)

# fmt: off
FASHION_MNIST = replace(
    MNIST,
    name="fashion-mnist",
    title="Fashion-MNIST",
    torchvision="FashionMNIST",
    folder=PurePosixPath("FashionMNIST/raw"),
    classes=(
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
        "Ankle boot",
    ),
)
# fmt: on
