"""Labelled pictures as one form: uint8 tensors in memory, or mapped from disk, with class names.

`load_dataset` brings a named set into that form, `Augmentation` varies batches of it on their own
device, and `normalise` makes them a network's input.
"""

from deconvviz.data.augment import Augmentation, normalise
from deconvviz.data.cache import cache_folder
from deconvviz.data.dataset import Dataset, held_out, joined
from deconvviz.data.labels import labelled, with_label_noise
from deconvviz.data.registry import AUGMENTATIONS, LOADERS, PUBLISHED, load_dataset
from deconvviz.data.request import Loader, Request
from deconvviz.data.shapes import draw_shapes

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
