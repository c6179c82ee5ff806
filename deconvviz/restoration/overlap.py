"""How well a map of classes agrees with the true one: intersection over union."""

import torch
from torch import Tensor
from torch.nn import functional


def confusion(predicted: Tensor, true: Tensor, classes: int) -> Tensor:
    """Count the pixels of each true class (rows) that got each class (columns).

    Args:
        predicted: Any shape, integers in [0, classes).
        true: The same shape; pixels of `classes` or more have no class and do not count.
        classes: Number of classes.

    Returns:
        (classes, classes) int64.
    """
    known = true < classes
    pairs = true[known].long() * classes + predicted[known].long()
    return torch.bincount(pairs, minlength=classes**2).view(classes, classes)


def class_iou(counts: Tensor) -> Tensor:
    """(classes,) float64: pixels right over pixels that are or were called the class.

    Args:
        counts: Confusion matrix of all pictures together. A class that never occurs is NaN.
    """
    right = counts.diagonal().double()
    return right / (counts.sum(0) + counts.sum(1) - counts.diagonal()).double()


def mean_iou(counts: Tensor) -> float:
    """Mean of `class_iou` over the classes that occur."""
    return float(class_iou(counts).nanmean())


def near_boundary(mask: Tensor, distance: int) -> Tensor:
    """Pixels of a region that are within `distance` of its outline, or of the picture's border.

    Args:
        mask: (..., H, W) bool.
        distance: In pixels, of the larger of both coordinates.
    """
    side = 2 * distance + 1
    outside = functional.pad(~mask, (distance,) * 4, value=True).float()
    flat = outside.reshape(-1, 1, *outside.shape[-2:])
    reached = functional.max_pool2d(flat, side, stride=1).view(mask.shape)
    return mask & reached.bool()


def boundary_counts(predicted: Tensor, true: Tensor, classes: int, distance: int = 2) -> Tensor:
    """Intersections and unions of the outlines of each class, for `boundary_iou`.

    Cheng, Girshick, Dollár, Berg & Kirillov (2021), arXiv:2103.16562: of the pixels near the
    outline of the true region, and of those near that of the predicted one, the intersection over
    the union. Pixels without a class are in no region.

    Args:
        predicted: (N, H, W) integers in [0, classes).
        true: (N, H, W); values of `classes` or more are no class.
        classes: Number of classes.
        distance: How near, in pixels; 2 are 0.7 % of the diagonal of 240x180.

    Returns:
        (2, classes) int64, summed over the pictures.
    """
    known = true < classes
    found = []
    for one in range(classes):
        ours, theirs = (near_boundary((m == one) & known, distance) for m in (predicted, true))
        found.append(torch.stack([(ours & theirs).sum(), (ours | theirs).sum()]))
    return torch.stack(found, 1)


def boundary_iou(counts: Tensor) -> float:
    """Mean over the classes that occur, from the sum of `boundary_counts` over all pictures."""
    both, either = counts.double()
    return float((both / either).nanmean())
