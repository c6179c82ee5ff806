"""The picture sets of restoration benchmarks."""

import numpy as np
import pytest
import torch
from PIL import Image

from deconvviz.errors import DataError
from deconvviz.io.data.benchmarks import BENCHMARKS, PictureSet, joined, load_pictures


@pytest.fixture
def set5(tmp_path):
    """A folder with five pictures of different sizes, and their pixels."""
    folder = tmp_path / "restoration" / "set5"
    folder.mkdir(parents=True)
    made = []
    for i in range(5):
        made.append(np.random.default_rng(i).integers(0, 256, (10 + i, 12, 3), np.uint8))
        Image.fromarray(made[-1]).save(folder / f"{i}.webp", lossless=True)
    return tmp_path, made


def test_pictures_are_those_of_the_files_in_their_order(set5, monkeypatch):
    root, made = set5
    monkeypatch.setenv("DECONVVIZ_DATA", str(root))
    for loaded in (load_pictures("set5"), load_pictures("set5", root / "restoration")):
        assert loaded.names == ("0", "1", "2", "3", "4")
        for pixels, wanted in zip(loaded.pictures, made, strict=True):
            assert np.array_equal(pixels.permute(1, 2, 0).numpy(), wanted)


def test_a_missing_or_incomplete_set_is_told(set5):
    root, _ = set5
    with pytest.raises(DataError, match=r"T91 .*was not found.*DECONVVIZ_DATA"):
        load_pictures("t91", root)
    (root / "restoration" / "set5" / "0.webp").unlink()
    with pytest.raises(DataError, match="holds 4 pictures; Set5 has 5"):
        load_pictures("set5", root)
    with pytest.raises(DataError, match="there are t91"):
        load_pictures("set6", root)


def test_the_fingerprint_is_of_sizes_and_pixels():
    pixels = torch.arange(12, dtype=torch.uint8)
    shapes = (1, 3, 4), (1, 4, 3), (1, 3, 4)
    one, turned, changed = (PictureSet("x", (pixels.view(shape),), ("a",)) for shape in shapes)
    changed = PictureSet("x", (changed.pictures[0].flip(-1),), ("a",))
    assert len({one.fingerprint, turned.fingerprint, changed.fingerprint}) == 3


def test_held_out_pictures_and_the_rest_make_the_whole():
    pictures = tuple(torch.full((1, 8, 8), i, dtype=torch.uint8) for i in range(7))
    whole = PictureSet("x", pictures, tuple("abcdefg"))
    rest, held_out = whole.held_out(3)
    assert held_out.names == ("c", "f")
    assert rest.names == ("a", "b", "d", "e", "g")
    assert int(held_out.pictures[1][0, 0, 0]) == 5
    both = joined(rest, held_out)
    assert len(both) == 7
    assert both.title == "x and x"


@pytest.mark.data
@pytest.mark.parametrize("name", BENCHMARKS)
def test_the_real_sets_are_whole(name, folder_with):
    loaded = load_pictures(name, folder_with("restoration"))
    assert {len(one) for one in loaded.pictures} == {BENCHMARKS[name].channels}
