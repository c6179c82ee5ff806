"""Label noise: exactly as many as asked for, any place and any other class as likely."""

import math

import pytest
import torch

from deconvviz.errors import DataError, SettingError
from deconvviz.io.data import Dataset, draw_shapes, stratified_subset, with_label_noise


def blank(labels, classes=5):
    images = torch.zeros(len(labels), 1, 1, 1, dtype=torch.uint8)
    return Dataset(images, labels, tuple("abcdefgh"[:classes]), "blank")


@pytest.mark.parametrize(("share", "changed"), [(0.1, 10), (0.4, 41), (0.995, 102), (0.001, 0)])
def test_exactly_the_share_is_changed_and_no_picture(share, changed):
    shapes = draw_shapes(103, size=8)
    noisy = with_label_noise(shapes, share, seed=1)
    assert (noisy.labels != shapes.labels).sum() == changed
    assert noisy.images is shapes.images


def test_places_and_new_classes_are_uniform():
    clean = blank(torch.arange(50_000) % 5)
    noisy = with_label_noise(clean, 0.4, seed=2).labels
    table = torch.bincount(clean.labels * 5 + noisy, minlength=25).view(5, 5).double()
    assert table.diagonal().sum() == 30_000
    wrong = table[~torch.eye(5, dtype=torch.bool)]  # 1000 expected in each of 20 cells
    assert ((wrong - 1000) ** 2 / 1000).sum() < 43.8  # chi-squared of 19 degrees: 999 of 1000
    changed = (noisy != clean.labels).view(10, -1).sum(1).double()  # 2000 expected in each tenth
    assert (changed - 2000).abs().max() < 160


def test_a_seed_changes_the_same_labels_and_another_seed_others():
    shapes = draw_shapes(200, size=8)
    first, again, other = (with_label_noise(shapes, 0.3, seed).labels for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_title_says_so_where_a_label_is_wrong():
    shapes = draw_shapes(20, size=8)
    assert with_label_noise(shapes, 0.25).title == "shapes, 25 % of labels wrong"
    assert with_label_noise(shapes, 0.0).title == "shapes"


@pytest.mark.parametrize("share", [-0.1, 1, 1.5, math.nan])
def test_shares_that_cannot_be_are_refused(share):
    with pytest.raises(SettingError, match="label noise must be"):
        with_label_noise(draw_shapes(6), share)


def test_one_class_has_no_other():
    with pytest.raises(DataError, match="two classes or more"):
        with_label_noise(blank(torch.zeros(4, dtype=torch.int64), classes=1), 0.5)


def test_labels_are_known_of_so_many_pictures_of_all_classes_alike():
    whole = draw_shapes(60, seed=0)
    some = stratified_subset(whole, 12, seed=3)
    counts = torch.bincount(some.labels, minlength=len(whole.classes))
    assert len(some) == 12
    assert counts.max() - counts.min() <= 1
    assert some.fingerprint == stratified_subset(whole, 12, seed=3).fingerprint
    assert some.fingerprint != stratified_subset(whole, 12, seed=4).fingerprint
    assert stratified_subset(whole, 60) is whole


@pytest.mark.parametrize("count", [0, -1, 61])
def test_more_labels_than_pictures_are_refused(count):
    with pytest.raises(DataError, match=f"ask for 1 to 60 of them, got {count}"):
        stratified_subset(draw_shapes(60, seed=0), count)
