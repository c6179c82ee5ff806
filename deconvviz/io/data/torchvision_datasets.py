"""The data sets that torchvision downloads and reads; classes are in the order of the labels.

CIFAR-10 and CIFAR-100 with its fine labels (Krizhevsky 2009), as published or as class folders.
MNIST (LeCun, Bottou, Bengio & Haffner 1998) and Fashion-MNIST (Xiao, Rasul & Vollgraf 2017,
arXiv:1708.07747), as published.
"""

from dataclasses import replace
from pathlib import PurePosixPath

from deconvviz.io.data.published import PublishedDataset

# fmt: off
CIFAR10 = PublishedDataset(
    name="cifar10",
    title="CIFAR-10",
    torchvision="CIFAR10",
    folder=PurePosixPath("cifar-10-batches-py"),
    shape=(3, 32, 32),
    classes=(
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    ),
    counts={"train": 50_000, "test": 10_000},
    class_folders=True,
    origin=(
        "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009; published "
        "without a licence, to be cited as said; `--data cifar10 --download` gets it"
    ),
)

CIFAR100 = replace(
    CIFAR10,
    name="cifar100",
    origin=CIFAR10.origin.replace("cifar10", "cifar100"),
    title="CIFAR-100",
    torchvision="CIFAR100",
    folder=PurePosixPath("cifar-100-python"),
    classes=(
        "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle",
        "bottle", "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle",
        "caterpillar", "cattle", "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch",
        "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest", "fox",
        "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion",
        "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom",
        "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree",
        "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road",
        "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake",
        "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank",
        "telephone", "television", "tiger", "tractor", "train", "trout", "tulip", "turtle",
        "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
    ),
)

MNIST = PublishedDataset(
    name="mnist",
    title="MNIST",
    torchvision="MNIST",
    folder=PurePosixPath("MNIST/raw"),
    shape=(1, 28, 28),
    classes=tuple("0123456789"),
    counts={"train": 60_000, "test": 10_000},
    class_folders=False,
    origin=(
        "Y. LeCun, L. Bottou, Y. Bengio & P. Haffner, Gradient-based learning applied to document "
        "recognition, 1998; its files state no terms; `--data mnist --download` gets it"
    ),
)

FASHION_MNIST = replace(
    MNIST,
    name="fashion-mnist",
    origin="",
    title="Fashion-MNIST",
    torchvision="FashionMNIST",
    folder=PurePosixPath("FashionMNIST/raw"),
    classes=(
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
        "Ankle boot",
    ),
)
# fmt: on
