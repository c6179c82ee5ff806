"""CamVid: its files, its division, and the classes of its pixels."""

import numpy as np
import pytest
import torch
from PIL import Image

from deconvviz.errors import DataError
from deconvviz.io.data.camvid import CLASSES, COLOURS, COUNTS, VOID, Scenes, load_camvid


def write(folder, name, mask):
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.repeat(mask[:, :, None] * 20, 3, 2).astype(np.uint8)
    Image.fromarray(pixels).save(folder / f"{name}.jpg", quality=100)
    Image.fromarray(mask).save(folder / f"{name}.png")


@pytest.fixture
def masks():
    flat = np.arange(16 * 16, dtype=np.uint8).reshape(16, 16)
    return [flat // 64, np.where(flat < 32, 3, VOID).astype(np.uint8)]


def test_pictures_and_masks_are_read_in_pairs(tmp_path, masks):
    for name, mask in zip("ba", masks, strict=True):
        write(tmp_path / "camvid" / "val", name, mask)
    scenes = load_camvid("val", tmp_path)
    assert scenes.images.shape == (2, 3, 16, 16)
    assert torch.equal(scenes.masks, torch.from_numpy(np.stack(masks[::-1])))
    assert scenes.title == "CamVid val, 2 of 101 pictures"
    # the picture of each mask has its brightness
    near = (scenes.images[:, 0].float() / 20 - scenes.masks).abs()
    assert near.max() < 0.3


def test_frequencies_are_over_the_pictures_that_have_the_class(masks):
    scenes = Scenes(torch.zeros(2, 3, 16, 16).byte(), torch.from_numpy(np.stack(masks)), "two")
    # class 3 is a quarter of the first picture, and all that is known of the second
    expected = [1 / 4, 1 / 4, 1 / 4, (64 + 32) / (256 + 32)]
    assert scenes.frequencies().tolist() == pytest.approx([*expected, *[0] * 7])


def test_other_masks_are_another_data_set(masks):
    first = Scenes(torch.zeros(2, 3, 16, 16).byte(), torch.from_numpy(np.stack(masks)), "two")
    other = Scenes(first.images, first.masks.flip(0), "two")
    assert first.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: (folder / "a.png").unlink(), "a mask NAME.png for every picture"),
        (lambda folder: write(folder, "c", np.zeros((8, 16), np.uint8)), "several sizes"),
        (lambda folder: write(folder, "c", np.full((16, 16), 12, np.uint8)), "the value 12"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, masks, damage, reason):
    for name, mask in zip("ab", masks, strict=True):
        write(tmp_path / "train", name, mask)
    damage(tmp_path / "train")
    with pytest.raises(DataError, match=reason):
        load_camvid("train", tmp_path)


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(DataError, match="CamVid was not found"):
        load_camvid("test", tmp_path)
    with pytest.raises(DataError, match="no split `all`; it has train, val, test"):
        load_camvid("all", tmp_path)


def test_every_class_has_its_colour():
    assert len(set(COLOURS)) == len(COLOURS) == len(CLASSES) == VOID


@pytest.mark.data
@pytest.mark.parametrize("split", COUNTS)
def test_the_real_one_is_whole(folder_with, split):
    scenes = load_camvid(split, folder_with("camvid"))
    assert scenes.images.shape == (COUNTS[split], 3, 180, 240)
    assert scenes.title == f"CamVid {split}"
    assert (scenes.frequencies() > 0).all()
