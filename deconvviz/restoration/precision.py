"""Average precision of detections."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Objects(NamedTuple):
    """Objects of one picture.

    Attributes:
        labels: (K,) int64.
        boxes: (K, 4): top, left, bottom, right in pixels.
        scores: (K,), how sure a detector is; ones for true objects.
    """

    labels: Tensor
    boxes: Tensor
    scores: Tensor


def box_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """(K, L) intersections over unions of (K, 4) and (L, 4) boxes."""
    low = torch.maximum(boxes[:, None, :2], others[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], others[None, :, 2:])
    both = (high - low).clamp(min=0).prod(-1)
    areas = [(one[:, 2:] - one[:, :2]).prod(-1) for one in (boxes, others)]
    return both / (areas[0][:, None] + areas[1][None] - both)


def average_precision(
    found: Sequence[Objects], true: Sequence[Objects], label: int, overlap: float = 0.5
) -> float:
    """Area under the curve of precision over recall of one class, as in Pascal VOC from 2010 on.

    Detections of all pictures are taken in the order of their scores. One is right if the object of
    its class that it overlaps most, of those not taken yet, overlaps it by at least `overlap`.
    Precision is made to fall monotonically.

    Args:
        found: Detections of each picture.
        true: Its objects.
        label: The class.
        overlap: Least intersection over union.

    Returns:
        In [0, 1]; NaN if there is no object of the class.
    """
    count = sum(int((one.labels == label).sum()) for one in true)
    if not count:
        return float("nan")
    scores, right = [torch.zeros(0)], [torch.zeros(0, dtype=torch.bool)]
    for ours, theirs in zip(found, true, strict=True):
        mine = ours.labels == label
        order = ours.scores[mine].argsort(descending=True, stable=True)
        scores.append(ours.scores[mine][order])
        boxes = ours.boxes[mine][order]
        right.append(_matched(boxes, theirs.boxes[theirs.labels == label], overlap))
    order = torch.cat(scores).argsort(descending=True, stable=True)
    hits = torch.cat(right)[order].double().cumsum(0)
    precision = hits / torch.arange(1, len(hits) + 1)
    recall = hits / count
    falling = precision.flip(0).cummax(0).values.flip(0) if len(hits) else precision
    steps = recall.diff(prepend=recall.new_zeros(1))
    return float((falling * steps).sum())


def _matched(boxes: Tensor, objects: Tensor, overlap: float) -> Tensor:
    """Which of (K, 4) boxes, the surest first, are right; each object counts once."""
    right = torch.zeros(len(boxes), dtype=torch.bool)
    if not len(objects):
        return right
    overlaps = box_iou(boxes, objects)
    for row in range(len(boxes)):
        best = int(overlaps[row].argmax())
        if overlaps[row, best] >= overlap:
            right[row] = True
            overlaps[:, best] = -1
    return right


def mean_average_precision(
    found: Sequence[Objects], true: Sequence[Objects], classes: int, overlap: float = 0.5
) -> float:
    """Mean of `average_precision` over the classes that occur."""
    each = [average_precision(found, true, label, overlap) for label in range(classes)]
    return float(torch.tensor(each, dtype=torch.float64).nanmean())
