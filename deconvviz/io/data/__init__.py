"""Labelled pictures as one form: uint8 tensors in memory, or mapped from disk, with class names.

`load_dataset` brings a named set into that form, `Augmentation` varies batches of it on their own
device, and `normalise` makes them a network's input.
"""

from deconvviz.io.data.augment import Augmentation, normalise
from deconvviz.io.data.cache import cache_folder
from deconvviz.io.data.dataset import Dataset, held_out, joined
from deconvviz.io.data.labels import labelled, with_label_noise
from deconvviz.io.data.registry import AUGMENTATIONS, LOADERS, PUBLISHED, load_dataset
from deconvviz.io.data.request import Loader, Request
from deconvviz.io.data.shapes import draw_shapes

__all__ = [
    "AUGMENTATIONS",
    "LOADERS",
    "PUBLISHED",
    "Augmentation",
    "Dataset",
    "Loader",
    "Request",
    "cache_folder",
    "draw_shapes",
    "held_out",
    "joined",
    "labelled",
    "load_dataset",
    "normalise",
    "with_label_noise",
]
