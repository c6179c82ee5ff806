"""Average precision, against a slow definition and what can be known."""

import math

import numpy as np
import pytest
import torch

from deconvviz.restoration.precision import (
    Objects,
    average_precision,
    box_iou,
    mean_average_precision,
)


def of(*boxes, labels=None, scores=None):
    count = len(boxes)
    return Objects(
        torch.tensor(labels or [0] * count),
        torch.tensor(boxes, dtype=torch.float32).view(-1, 4),
        torch.tensor(scores or [1.0] * count),
    )


def random_pictures(seed, count=20):
    """True boxes, and detections: some near them, some not."""
    generator = np.random.default_rng(seed)
    true, found = [], []
    for _ in range(count):
        corners = generator.uniform(0, 60, (4, 2))
        boxes = np.c_[corners, corners + generator.uniform(8, 20, (4, 2))]
        labels = generator.integers(0, 2, 4).tolist()
        moved = np.r_[boxes + generator.normal(0, 1.5, boxes.shape), boxes + 15, boxes + 1]
        scores = generator.uniform(0.1, 1, 12).tolist()
        true.append(of(*boxes.tolist(), labels=labels))
        found.append(of(*moved.tolist(), labels=labels * 3, scores=scores))
    return found, true


def slow(found, true, label, overlap):
    """Recall by recall: the best precision of any threshold that reaches it."""
    rows = [
        (float(score), picture, box)
        for picture, one in enumerate(found)
        for of_class, box, score in zip(*one, strict=True)
        if of_class == label
    ]
    rows.sort(key=lambda row: -row[0])
    total = sum(int((one.labels == label).sum()) for one in true)
    taken, hits, curve = set(), 0, []
    for number, (_, picture, box) in enumerate(rows, 1):
        best, best_iou = None, overlap
        for at in range(len(true[picture].labels)):
            if true[picture].labels[at] != label or (picture, at) in taken:
                continue
            iou = float(box_iou(box[None], true[picture].boxes[at][None]))
            if iou >= best_iou:
                best, best_iou = (picture, at), iou
        if best:
            taken.add(best)
            hits += 1
        curve.append((hits / total, hits / number))
    recalls = sorted({recall for recall, _ in curve if recall})
    area, before = 0.0, 0.0
    for recall in recalls:
        area += (recall - before) * max(p for r, p in curve if r >= recall)
        before = recall
    return area


@pytest.mark.parametrize("overlap", [0.5, 0.75])
@pytest.mark.parametrize("seed", [0, 1])
def test_it_is_the_area_that_a_slow_definition_gives(seed, overlap):
    found, true = random_pictures(seed)
    each = [average_precision(found, true, label, overlap) for label in (0, 1)]
    assert each == pytest.approx([slow(found, true, label, overlap) for label in (0, 1)])
    assert 0 < min(each) < max(each) < 1
    assert mean_average_precision(found, true, 2, overlap) == pytest.approx(np.mean(each))


def test_overlaps_of_boxes():
    ours = torch.tensor([[0.0, 0, 10, 10]])
    others = torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30], [2, 2, 4, 4]])
    assert box_iou(ours, others)[0].tolist() == pytest.approx([1, 50 / 150, 0, 4 / 100])


def test_all_found_is_one_and_none_is_nothing():
    true = [of((0, 0, 9, 9), (20, 20, 30, 30)), of()]
    assert average_precision(true, true, 0) == 1
    assert average_precision([of(), of()], true, 0) == 0
    assert math.isnan(average_precision(true, true, 1))
    assert mean_average_precision(true, true, 2) == 1


def test_an_object_that_is_found_twice_counts_once():
    true = [of((0, 0, 9, 9), (20, 20, 30, 30))]
    twice = of((0, 0, 9, 9), (0, 0, 9, 9), (20, 20, 30, 30), scores=[0.9, 0.8, 0.7])
    # precisions 1, 1/2, 2/3 at recalls 1/2, 1/2, 1
    assert average_precision([twice], true, 0) == pytest.approx(1 / 2 + 1 / 2 * 2 / 3)


def test_false_detections_that_are_less_sure_cost_nothing():
    true = [of((0, 0, 9, 9))]
    for scores, expected in ([0.9, 0.1], 1.0), ([0.1, 0.9], 0.5):
        found = of((0, 0, 9, 9), (50, 50, 60, 60), scores=scores)
        assert average_precision([found], true, 0) == pytest.approx(expected)
