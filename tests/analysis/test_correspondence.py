"""Correspondence, held against networks and pictures whose parts truly correspond, or do not."""

import json

import pytest
import torch
from torch import nn

from deconvviz.analysis.correspondence import (
    CorrespondenceOptions,
    _elsewhere,
    _together,
    correspondence,
)
from deconvviz.analysis.parts import MarkedPictures, draw_faces
from deconvviz.errors import PictureError, SettingError, UnknownLayerError
from deconvviz.io.bundle import Bundle
from deconvviz.io.zoo import load

PART = 5
MIX = CorrespondenceOptions(layers=("mix",), random_masks=60)


class Linear(nn.Module):
    """Features: random mixtures of the sums of three colours, wherever these are."""

    def __init__(self, features=400):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1, bias=False)
        self.relu = nn.ReLU()
        self.flatten = nn.Flatten()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.mix = nn.Linear(3, features)
        with torch.no_grad():
            self.conv.weight.copy_(torch.eye(3)[:, :, None, None])

    def forward(self, x):
        return self.mix(self.flatten(self.pool(self.conv(x))))


def same_part(count=6, seed=0):
    """Positive and negative noise; the part is one colour, at a place of its own."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(count, 3, 24, 24, generator=generator)
    corners = torch.randint(0, 24 - PART, (count, 2), generator=generator).tolist()
    boxes = [(top, left, top + PART, left + PART) for top, left in corners]
    for image, (top, left, bottom, right) in zip(images, boxes, strict=True):
        image[:, top:bottom, left:right] = torch.tensor([3.0, -1.0, 2.0])[:, None, None]
    return MarkedPictures(images, {"part": boxes}, "noise")


@pytest.fixture(scope="module")
def bundle():
    torch.manual_seed(0)
    return Bundle.of(Linear(), (3, 24, 24))


def test_a_part_that_is_the_same_in_all_pictures_has_distance_zero(bundle):
    found = correspondence(
        bundle, same_part(), CorrespondenceOptions(layers=("mix",), random_masks=50)
    )
    assert found.distance.shape == (1, 1, 15)
    assert not found.distance.any()
    assert found.unchanged.item() == 0
    # The sums of noise under two masks are independent normal vectors, and a random mixture of each
    # falls on the same side for angle / pi of the mixtures: one half on average.
    assert found.random.mean() == pytest.approx(0.5, abs=0.08)
    assert found.chance.item() == pytest.approx(1 / 51)
    assert found.moved.mean() > 0.2  # lower, because masks that move little still hide the part
    assert "(below 95% of these: part)" in found.summary()


def test_parts_that_have_nothing_in_common_are_like_random_masks(bundle):
    marked = same_part()
    noise = torch.randn(6, 3, 24, 24, generator=torch.Generator().manual_seed(9))
    found = correspondence(bundle, MarkedPictures(noise, marked.parts, "noise"), MIX)
    mean, deviation = found.random.mean(), found.random.std()
    assert abs(found.score.item() - mean) < 3.5 * deviation
    assert found.chance.item() > 0.01


def test_one_picture_at_a_time_by_hand():
    """The demo network with hooks, a mask and a pair after the other."""
    bundle = load("demo-accurate")
    marked = draw_faces(3, bundle.preprocessing)
    layers = ("stage2.relu1", "stage3.relu2", "head.logits")
    found = correspondence(bundle, marked, CorrespondenceOptions(layers=layers, random_masks=2))
    kept = {}
    hooks = [
        bundle.model.get_submodule(name).register_forward_hook(
            lambda _, __, out, name=name: kept.update({name: out.detach().clone()})
        )
        for name in layers
    ]
    changes = {}
    for part, boxes in marked.parts.items():
        for image, (top, left, bottom, right) in zip(marked.images, boxes, strict=True):
            masked = image.clone()
            masked[:, top:bottom, left:right] = 0
            bundle.model(image[None])
            before = dict(kept)
            bundle.model(masked[None])
            for name in layers:
                change = (before[name] - kept[name]).flatten()
                change[change.abs() < 1e-5 * before[name].max()] = 0
                changes.setdefault((part, name), []).append(change.sign())
    for p, part in enumerate(marked.parts):
        for nth, name in enumerate(layers):
            a, b, c = changes[part, name]
            pairs = [(one != other).float().mean() for one, other in ((a, b), (a, c), (b, c))]
            torch.testing.assert_close(
                found.distance[p, nth], torch.stack(pairs), atol=2e-3, rtol=0
            )
            zeros = torch.stack([(sign == 0).float().mean() for sign in (a, b, c)]).mean()
            assert found.unchanged[p, nth] == pytest.approx(float(zeros), abs=2e-3)
    for hook in hooks:
        hook.remove()


def test_two_features_that_stay_as_they_are_agree():
    """A network that sees the left half only: a mask on the right changes nothing."""
    torch.manual_seed(0)
    bundle = Bundle.of(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()), (3, 24, 24))
    images = torch.randn(2, 3, 24, 24)
    images[:, :, :, 12:] = 0  # as the mask itself
    boxes = [(0, 14, 5, 20), (9, 13, 12, 16)]
    options = CorrespondenceOptions(layers=("1",), random_masks=3)
    found = correspondence(bundle, MarkedPictures(images, {"none": boxes}, ""), options)
    assert found.score.item() == 0
    assert found.unchanged.item() == 1


def test_random_masks_lie_inside_and_reach_every_place():
    boxes = torch.tensor([[0, 0, 3, 5], [2, 2, 10, 4]])
    drawn = _elsewhere(boxes, (10, 8), 3000, torch.Generator().manual_seed(0))
    assert drawn.min() == 0
    assert torch.equal(
        drawn[..., 2:] - drawn[..., :2], torch.tensor([[3, 5], [8, 2]]).expand(3000, 2, 2)
    )
    assert set(drawn[:, 0, 0].tolist()) == set(range(8))
    assert set(drawn[:, 0, 1].tolist()) == set(range(4))
    assert set(drawn[:, 1, 0].tolist()) == set(range(3))
    assert torch.bincount(drawn[:, 0, 1]).min() > 3000 / 4 * 0.8


def test_masks_that_move_alike_keep_their_distances_and_reach_every_edge():
    boxes = torch.tensor([[1, 2, 4, 7], [2, 3, 9, 5]])
    drawn = _together(boxes, (10, 8), 500, torch.Generator().manual_seed(0))
    assert torch.equal(drawn[:, 1] - drawn[:, 0], (boxes[1] - boxes[0]).expand(500, 4))
    steps = {tuple(step) for step in (drawn[:, 0, :2] - boxes[0, :2]).tolist()}
    assert steps == {(down, right) for down in (-1, 0, 1) for right in (-2, -1, 0, 1)}


def test_what_lies_alike_is_no_correspondence_by_that_alone():
    """Noise, and a mask at one place of all pictures: alike beside random masks, not beside moved.

    Each feature sees one pixel, so that only masks that overlap change the same features.
    """
    bundle = Bundle.of(nn.Sequential(nn.Conv2d(1, 1, 1)), (1, 24, 24))
    noise = torch.randn(5, 1, 24, 24, generator=torch.Generator().manual_seed(2))
    marked = MarkedPictures(noise, {"place": [(8, 8, 13, 13)] * 5}, "noise")
    found = correspondence(bundle, marked, CorrespondenceOptions(layers=("0",), random_masks=60))
    assert found.chance.item() == pytest.approx(1 / 61)
    assert found.moved_chance.item() > 0.05
    assert "below 95% of these: none" in found.summary()


def test_it_is_the_same_at_every_call_and_is_written(tmp_path):
    bundle = load("demo")
    faces = draw_faces(3, bundle.preprocessing)
    one, other = (
        correspondence(bundle, faces, CorrespondenceOptions(random_masks=4), seed=5)
        for _ in range(2)
    )
    assert torch.equal(one.random, other.random)
    assert one.layers == ("stage3.bn2", "head")  # before it is rectified, and the logits
    numbers, picture = one.save(tmp_path)
    stored = json.loads(numbers.read_text())
    assert (len(stored["score"]), len(stored["score"][0])) == (4, 2)
    assert picture.stat().st_size > 1000


def test_wrong_options_and_pictures_are_refused(bundle):
    marked = same_part(2)
    with pytest.raises(SettingError, match="random_masks"):
        CorrespondenceOptions(random_masks=0)
    with pytest.raises(UnknownLayerError, match="conv9"):
        correspondence(bundle, marked, CorrespondenceOptions(layers=("conv9",)))
    grey = MarkedPictures(torch.zeros(2, 1, 24, 24), marked.parts, "")
    with pytest.raises(PictureError, match="3 channels"):
        correspondence(bundle, grey)
