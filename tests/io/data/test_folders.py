"""A person's own class folders: decoded once, rightly, and refused in one sentence."""

import os
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from deconvviz.errors import DataError
from deconvviz.io.data import draw_shapes, load_dataset

from .conftest import write_folders


def load(folder, split="all", **options):
    return load_dataset("folder", split, data_dir=folder, progress=False, **options)


def test_png_folders_give_the_very_pixels_sorted_by_class_and_name(folders, shapes):
    dataset = load(folders)
    order = shapes.labels.sort(stable=True).indices
    assert torch.equal(dataset.images, shapes.images[order])
    assert torch.equal(dataset.labels, shapes.labels[order])
    assert dataset.classes == shapes.classes
    assert dataset.title == "folder pictures"
    assert dataset.fingerprint == shapes.subset(order).fingerprint


def test_jpeg_folders_give_what_pillow_gives(tmp_path, shapes):
    dataset = load(write_folders(tmp_path / "jpeg", shapes, ".jpg"))
    files = sorted((tmp_path / "jpeg").glob("*/*.jpg"))
    for file, pixels in zip(files, dataset.images, strict=True):
        with Image.open(file) as image:
            assert np.array_equal(np.asarray(image), pixels.permute(1, 2, 0).numpy())


def test_second_load_decodes_nothing_and_is_the_same(folders, decodes):
    first = load(folders)
    assert decodes() == 30
    second = load(folders)
    assert decodes() == 30
    assert torch.equal(first.images, second.images)
    assert first.fingerprint == second.fingerprint


def test_a_copy_elsewhere_is_the_same_content(folders, tmp_path, decodes):
    first = load(folders)
    shutil.copytree(folders, tmp_path / "copy")
    assert load(tmp_path / "copy").fingerprint == first.fingerprint
    assert decodes() == 30


def test_one_changed_byte_is_noticed_even_at_the_same_size_and_time(folders, cache):
    file = min(folders.glob("*/*.png"))
    Image.new("RGB", (16, 16), (10, 20, 30)).save(file, "BMP")
    first = load(folders)
    before, content = file.stat(), bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    second = load(folders)
    assert (first.images != second.images).sum() == 1
    assert len(list((cache / "decoded").iterdir())) == 2


def test_renamed_pictures_are_other_content(folders):
    first = load(folders).fingerprint
    (folders / "ring").rename(folders / "annulus")
    assert load(folders).fingerprint != first


def test_a_damaged_cache_is_rebuilt(folders, cache, decodes):
    first = load(folders)
    (file,) = (cache / "decoded").iterdir()
    file.write_bytes(file.read_bytes()[:-1])
    assert torch.equal(load(folders).images, first.images)
    file.write_bytes(b"\0" + file.read_bytes()[1:])
    assert torch.equal(load(folders).images, first.images)
    assert load(folders).fingerprint == first.fingerprint


def test_pixels_that_are_mapped_are_the_same(folders, monkeypatch):
    held = load(folders)
    monkeypatch.setattr("deconvviz.io.data.cache._MAX_IN_MEMORY", held.images.nbytes - 1)
    mapped = load(folders)
    assert torch.equal(held.images, mapped.images)
    assert held.fingerprint == mapped.fingerprint


def test_many_blocks_are_joined_in_order(tmp_path):
    many = draw_shapes(150, size=8)
    dataset = load(write_folders(tmp_path / "many", many))
    assert torch.equal(dataset.images, many.images[many.labels.sort(stable=True).indices])


def test_grey_is_the_luma_of_pillow_and_grey_files_may_become_colour(tmp_path, folders):
    grey = load(folders, channels=1)
    for file, pixels in zip(sorted(folders.glob("*/*.png")), grey.images, strict=True):
        with Image.open(file) as image:
            assert np.array_equal(np.asarray(image.convert("L")), pixels[0].numpy())
    copies = load(write_folders(tmp_path / "grey", grey))
    assert torch.equal(copies.images, grey.images.expand(-1, 3, -1, -1))


def test_pictures_of_different_sizes_need_a_stated_one(folders):
    odd = folders / "ring" / "0000.png"
    Image.new("RGB", (40, 24), "red").save(odd)
    sentence = r"ring/0000.png is 40 x 24 pixels and the first picture 16 x 16 pixels; state one"
    with pytest.raises(DataError, match=sentence):
        load(folders)
    dataset = load(folders, size=12)
    assert dataset.images.shape == (31, 3, 12, 12)
    red = dataset.images[10]  # after five circles and five crosses
    assert torch.equal(red, torch.tensor([255, 0, 0]).byte()[:, None, None].expand(3, 12, 12))


def test_pictures_that_are_no_squares_keep_their_form_without_a_size(tmp_path):
    (tmp_path / "wide" / "a").mkdir(parents=True)
    Image.new("RGB", (20, 10)).save(tmp_path / "wide" / "a" / "0.png")
    assert load(tmp_path / "wide").images.shape == (1, 3, 10, 20)


def test_without_split_folders_a_fifth_of_each_class_is_the_test(folders):
    train, test, whole = (load(folders, split) for split in ("train", "test", "all"))
    assert (train.labels.bincount().tolist(), test.labels.bincount().tolist()) == ([4] * 6, [1] * 6)
    pictures = [{picture.numpy().tobytes() for picture in part.images} for part in (train, test)]
    assert not pictures[0] & pictures[1]
    assert pictures[0] | pictures[1] == {picture.numpy().tobytes() for picture in whole.images}
    assert load(folders, "test").fingerprint == test.fingerprint


def test_split_folders_are_taken_as_they_are(tmp_path, shapes):
    root = tmp_path / "split"
    write_folders(root / "train", shapes)
    write_folders(root / "val", shapes.subset(range(6)))
    assert len(load(root, "train")) == 30
    assert len(load(root, "val")) == 6
    assert load(root, "test").fingerprint == load(root, "val").fingerprint
    write_folders(root / "test", shapes.subset(range(12)))
    assert len(load(root, "test")) == 12
    with pytest.raises(DataError, match=r"no split `all`; it has train, val, test"):
        load(root, "all")


def test_splits_must_have_the_same_classes(tmp_path, shapes):
    root = tmp_path / "split"
    write_folders(root / "train", shapes)
    write_folders(root / "test", shapes)
    (root / "test" / "ring").rename(root / "test" / "rings")
    with pytest.raises(DataError, match="same class folders; only one of them has ring, rings"):
        load(root, "test")


def test_hidden_and_foreign_files_are_passed_over(folders):
    first = load(folders).fingerprint
    (folders / ".trash").mkdir()
    (folders / "README.txt").write_text("about these pictures")
    (folders / "ring" / "Thumbs.db").write_bytes(b"\0")
    (folders / "ring" / "._0002.png").write_bytes(b"\0")
    assert load(folders).fingerprint == first


def test_a_damaged_picture_is_named(folders):
    file = folders / "ring" / "0002.png"
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(DataError, match=r"in .*pictures/ring, 0002.png cannot be read as PNG"):
        load(folders)
    file.write_text("no picture")
    with pytest.raises(DataError, match=r"in .*pictures/ring, 0002.png is not a PNG"):
        load(folders)
    file.unlink()
    file.mkdir()
    with pytest.raises(DataError, match=r"ring/0002.png cannot be read .*; remove or replace it"):
        load(folders)


def test_folders_without_pictures_or_classes_are_refused(folders, tmp_path):
    (folders / "spiral").mkdir()
    with pytest.raises(DataError, match=r"spiral holds no pictures .*png.*; add some, or remove"):
        load(folders)
    (folders / "spiral").rmdir()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty holds no folders; put the pictures of each class"):
        load(tmp_path / "empty")
    with pytest.raises(DataError, match="nowhere is not a folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(DataError, match="needs a folder of class folders"):
        load(None)
    with pytest.raises(DataError, match="no split `valid`; there are train, test, all"):
        load(folders, "valid")


def test_a_home_folder_is_expanded(folders, monkeypatch):
    monkeypatch.setenv("HOME", str(folders.parent))
    assert len(load("~/pictures")) == 30
