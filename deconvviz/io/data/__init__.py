"""Labelled pictures as uint8 tensors in memory, or mapped from disk, with class names.

`load_dataset` loads a named data set, `Augmentation` varies batches of it on their device, and
`normalise` makes them a network's input.
"""

from deconvviz.io.data.augment import Augmentation, normalise
from deconvviz.io.data.cache import cache_folder
from deconvviz.io.data.dataset import (
    Dataset,
    at_most,
    concat,
    stratified_subset,
    train_test_split,
    with_label_noise,
)
from deconvviz.io.data.registry import DATASETS, DatasetEntry, load_dataset, load_for
from deconvviz.io.data.shapes import draw_shapes

__all__ = [
    "DATASETS",
    "Augmentation",
    "Dataset",
    "DatasetEntry",
    "at_most",
    "cache_folder",
    "concat",
    "draw_shapes",
    "load_dataset",
    "load_for",
    "normalise",
    "stratified_subset",
    "train_test_split",
    "with_label_noise",
]
