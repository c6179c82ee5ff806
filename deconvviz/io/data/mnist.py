"""Two sets of grey pictures of 28 pixels, in the form in which both were published.

MNIST's digits (LeCun, Bottou, Bengio & Haffner 1998) and Fashion-MNIST's clothes (Xiao, Rasul &
Vollgraf 2017, arXiv:1708.07747).
"""

from pathlib import PurePosixPath

from deconvviz.io.data.published import Published

__all__ = ["CLOTHES", "DIGITS", "FASHION_MNIST", "MNIST"]

DIGITS = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
"""MNIST's classes."""

CLOTHES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
"""Fashion-MNIST's classes in its own order."""

MNIST = Published(
    name="mnist",
    title="MNIST",
    door="MNIST",
    files=PurePosixPath("MNIST/raw"),
    form=(1, 28, 28),
    classes=DIGITS,
    pictures={"train": 60_000, "test": 10_000},
    as_folders=False,
)

FASHION_MNIST = Published(
    name="fashion-mnist",
    title="Fashion-MNIST",
    door="FashionMNIST",
    files=PurePosixPath("FashionMNIST/raw"),
    form=(1, 28, 28),
    classes=CLOTHES,
    pictures={"train": 60_000, "test": 10_000},
    as_folders=False,
)
