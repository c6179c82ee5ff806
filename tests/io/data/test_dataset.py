"""The one form of a data set: its content's name, its statistics, its parts."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from deconvviz.errors import DataError
from deconvviz.io.data import Dataset, concat, draw_shapes, train_test_split
from deconvviz.io.data.dataset import stratified_split


def dataset(count=7, channels=3, height=4, width=5, classes=("a", "b", "c")):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(
        256, (count, channels, height, width), dtype=torch.uint8, generator=generator
    )
    return Dataset(images, torch.arange(count) % len(classes), classes, "noise")


def test_fingerprint_names_the_content_only():
    one = dataset()
    assert len(one.fingerprint) == 64
    assert Dataset(one.images, one.labels, one.classes, "other").fingerprint == one.fingerprint
    everything = one.subset(range(len(one)))
    assert everything.fingerprint == one.fingerprint
    strided = one.images.to(memory_format=torch.channels_last)
    assert Dataset(strided, one.labels, one.classes, "").fingerprint == one.fingerprint


def test_fingerprint_changes_with_one_pixel_label_name_or_shape():
    one = dataset()
    pixel, label = one.images.clone(), one.labels.clone()
    pixel[-1, -1, -1, -1] ^= 1
    label[-1] = 1
    others = [
        Dataset(pixel, one.labels, one.classes, ""),
        Dataset(one.images, label, one.classes, ""),
        Dataset(one.images, one.labels, ("a", "b", "d"), ""),
        Dataset(one.images.transpose(2, 3), one.labels, one.classes, ""),
        Dataset(one.images.view(7, 3, 5, 4), one.labels, one.classes, ""),
        one.subset([1, 0, 2, 3, 4, 5, 6]),
    ]
    assert len({one.fingerprint, *(other.fingerprint for other in others)}) == 7


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channel_statistics_are_those_of_all_pixels_in_float64(channels, monkeypatch):
    monkeypatch.setattr("deconvviz.io.data.dataset._BLOCK_BYTES", 100)  # several blocks, one short
    one = dataset(channels=channels)
    mean, std = one.channel_statistics()
    pixels = one.images.numpy().astype(np.float64) / 255
    np.testing.assert_allclose(mean, pixels.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std, pixels.std(axis=(0, 2, 3)), rtol=1e-12)


def test_statistics_of_a_constant_have_no_deviation():
    black = Dataset(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.zeros(2).long(), ("a",), "")
    assert black.channel_statistics() == ((0.0,) * 3, (0.0,) * 3)


def test_subset_keeps_the_order_that_was_asked_for():
    one = dataset()
    part = one.subset(torch.tensor([5, 0, 5]))
    assert torch.equal(part.images, one.images[[5, 0, 5]])
    assert part.labels.tolist() == [2, 0, 2]
    assert (part.classes, part.title, len(part)) == (one.classes, one.title, 3)


def test_a_large_subset_is_on_disk_and_the_same(monkeypatch):
    monkeypatch.setattr("deconvviz.io.data.dataset._BLOCK_BYTES", 100)
    one = dataset()
    held = one.subset([6, 2, 3, 0, 1])
    monkeypatch.setattr("deconvviz.io.data.cache._MAX_IN_MEMORY", 0)
    part = one.subset([6, 2, 3, 0, 1])
    assert torch.equal(part.images, one.images[[6, 2, 3, 0, 1]])
    assert part.fingerprint == held.fingerprint


@pytest.mark.parametrize(
    ("images", "labels", "sentence"),
    [
        (torch.zeros(2, 3, 4, 4), torch.zeros(2).long(), "must be uint8 of shape .N, C, H, W."),
        (torch.zeros(2, 4, 4).byte(), torch.zeros(2).long(), "got .2, 4, 4. torch.uint8"),
        (torch.zeros(2, 3, 4, 4).byte(), torch.zeros(3).long(), "labels must be int64"),
        (torch.zeros(2, 3, 4, 4).byte(), torch.zeros(2), "got .2,. torch.float32"),
        (torch.zeros(2, 3, 4, 4).byte(), torch.tensor([0, 2]), "from 0 to 1"),
    ],
)
def test_wrong_shapes_and_types_are_refused(images, labels, sentence):
    with pytest.raises(DataError, match=sentence):
        Dataset(images, labels, ("a", "b"), "")


@given(
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=8).filter(lambda sizes: sum(sizes) > 1),
    data=st.data(),
)
def test_parts_are_disjoint_complete_and_in_proportion(sizes, data):
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))]
    count = data.draw(st.integers(1, len(labels) - 1))
    remaining, out = stratified_split(labels, count, seed=0)
    assert len(out) == count
    assert sorted(remaining.tolist() + out.tolist()) == list(range(len(labels)))
    taken = torch.bincount(labels[out], minlength=len(sizes))
    quota = torch.tensor(sizes).double() * count / len(labels)
    assert (taken - quota).abs().max() < 1


def test_held_out_pictures_depend_on_the_seed_alone():
    one = draw_shapes(60, size=8)
    remaining, out = train_test_split(one, 0.2, seed=1)
    assert (len(remaining), len(out)) == (48, 12)
    assert out.labels.bincount().tolist() == [2] * 6
    assert train_test_split(one, 12, seed=1)[1].fingerprint == out.fingerprint
    assert train_test_split(one, 12, seed=2)[1].fingerprint != out.fingerprint


@pytest.mark.parametrize("share", [0, 0.0, 1.0, 60, -3])
def test_both_parts_must_keep_pictures(share):
    with pytest.raises(DataError, match="of 60 pictures leaves a part empty"):
        train_test_split(draw_shapes(60, size=8), share)


@pytest.mark.gpu
def test_on_the_gpu_fingerprint_and_statistics_are_the_same():
    one = dataset()
    there = one.to("cuda")
    assert there.images.is_cuda
    assert there.labels.is_cuda
    assert there.fingerprint == one.fingerprint
    assert there.channel_statistics() == one.channel_statistics()
    assert torch.equal(there.subset([3, 1]).images.cpu(), one.images[[3, 1]])


@pytest.mark.parametrize("limit", [0, 2**30], ids=["mapped", "in-memory"])
def test_joined_sets_are_one_after_the_other(limit, monkeypatch):
    monkeypatch.setattr("deconvviz.io.data.cache._MAX_IN_MEMORY", limit)
    one, two = dataset(5), dataset(7).subset([6, 2, 0])
    both = concat(one, two)
    assert torch.equal(both.images, torch.cat([one.images, two.images]))
    assert torch.equal(both.labels, torch.cat([one.labels, two.labels]))


def test_sets_of_different_sizes_or_classes_are_not_concat():
    for other in (dataset(height=8), dataset(classes=("a", "b"))):
        with pytest.raises(DataError, match="cannot concatenate"):
            concat(dataset(), other)
