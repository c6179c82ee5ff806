"""Agreement of maps of classes, against plain loops and SciPy's erosion."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from deconvviz.restoration.overlap import (
    boundary_counts,
    boundary_iou,
    class_iou,
    confusion,
    mean_iou,
    near_boundary,
)

CLASSES = 4


@pytest.fixture
def maps():
    """Blotches of four classes, void of value 7 in the true ones, and predictions near them."""
    generator = np.random.default_rng(0)
    fields = ndimage.gaussian_filter(generator.normal(size=(3, CLASSES, 24, 31)), (0, 0, 2, 2))
    moved = fields + 0.3 * ndimage.gaussian_filter(generator.normal(size=fields.shape), 1)
    true, predicted = fields.argmax(1), moved.argmax(1)
    true[:, 5:8, 3:20] = 7
    return torch.from_numpy(predicted), torch.from_numpy(true)


def test_iou_is_that_of_sets_of_pixels(maps):
    predicted, true = maps
    counts = confusion(predicted, true, CLASSES)
    assert counts.sum() == (true < CLASSES).sum()
    expected = []
    for one in range(CLASSES):
        ours, theirs = set(), set()
        for at in np.ndindex(*true.shape):
            if true[at] < CLASSES:
                if predicted[at] == one:
                    ours.add(at)
                if true[at] == one:
                    theirs.add(at)
        expected.append(len(ours & theirs) / len(ours | theirs))
    assert class_iou(counts).tolist() == pytest.approx(expected)
    assert mean_iou(counts) == pytest.approx(np.mean(expected))


def test_rows_of_the_confusion_are_true_classes():
    counts = confusion(torch.tensor([1, 1, 0]), torch.tensor([0, 0, 0]), 2)
    assert counts.tolist() == [[1, 2], [0, 0]]


def test_a_class_that_never_occurs_does_not_count():
    same = torch.tensor([[[0, 0, 2, 2]]])
    assert mean_iou(confusion(same, same, 3)) == 1
    assert class_iou(confusion(same, same, 3))[1].isnan()


@pytest.mark.parametrize("distance", [1, 2, 3])
def test_near_the_outline_is_what_erosion_takes_away(maps, distance):
    for mask in maps[1][0] == torch.arange(CLASSES)[:, None, None]:
        square = np.ones((3, 3), bool)
        eroded = ndimage.binary_erosion(mask.numpy(), square, iterations=distance)
        assert torch.equal(near_boundary(mask, distance), mask & ~torch.from_numpy(eroded))


def test_boundary_iou_is_that_of_the_eroded_rims(maps):
    predicted, true = (m.numpy() for m in maps)
    square, expected = np.ones((3, 3), bool), []
    for one in range(CLASSES):
        both = either = 0
        for ours, theirs in zip(predicted, true, strict=True):
            masks = (ours == one) & (theirs < CLASSES), theirs == one
            rims = [m & ~ndimage.binary_erosion(m, square, iterations=2) for m in masks]
            both += (rims[0] & rims[1]).sum()
            either += (rims[0] | rims[1]).sum()
        expected.append(both / either)
    counts = boundary_counts(*maps, CLASSES)
    assert boundary_iou(counts) == pytest.approx(np.mean(expected))


def test_right_insides_with_wrong_outlines_have_the_lower_boundary_iou():
    true = torch.zeros(1, 40, 40, dtype=torch.int64)
    true[:, 8:32, 8:32] = 1
    smaller = torch.zeros_like(true)
    smaller[:, 10:30, 10:30] = 1
    inside = mean_iou(confusion(smaller, true, 2))
    assert boundary_iou(boundary_counts(smaller, true, 2)) < inside
    assert boundary_iou(boundary_counts(true, true, 2)) == 1
