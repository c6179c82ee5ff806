"""Tiles of scikit-image's photographs, which need no network."""

import pytest
import torch
from skimage import data

from deconvviz.errors import DataError
from deconvviz.io.data import load_dataset


def test_every_tile_is_a_piece_of_its_photograph_and_in_one_split_only():
    coffee = data.coffee()
    rows, columns = coffee.shape[0] // 50, coffee.shape[1] // 50
    wanted = sorted(
        coffee[50 * y : 50 * y + 50, 50 * x : 50 * x + 50].transpose(2, 0, 1).tobytes()
        for y in range(rows)
        for x in range(columns)
    )
    found = []
    for split in ("train", "test"):
        photos = load_dataset("photos", split, size=50)
        tiles = photos.images[photos.labels == photos.classes.index("coffee")]
        found += [tile.numpy().tobytes() for tile in tiles]
    assert sorted(found) == wanted


def test_splits_are_a_fifth_and_the_same_at_every_call():
    train, test = load_dataset("photos"), load_dataset("photos", "test")
    assert set(train.classes) == {"astronaut", "cat", "coffee", "motorcycle", "rocket"}
    assert train.images.shape[1:] == (3, 32, 32)
    share = test.labels.bincount() / (test.labels.bincount() + train.labels.bincount())
    assert torch.allclose(share, torch.tensor(0.2), atol=0.01)
    assert load_dataset("photos", "test").fingerprint == test.fingerprint
    assert train.title == "photographs of scikit-image"


def test_grey_tiles():
    assert load_dataset("photos", size=100, channels=1).images.shape[1:] == (1, 100, 100)


def test_what_photographs_cannot_give_is_refused():
    with pytest.raises(DataError, match="no tile of 500 pixels fits in `cat`, which is 451x300"):
        load_dataset("photos", size=500)
    with pytest.raises(DataError, match="got 4"):
        load_dataset("photos", channels=4)
