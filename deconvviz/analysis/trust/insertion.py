"""Insertion and deletion: do the pixels that a projection marks carry the unit's activation?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from deconvviz.analysis.trust.target import Target
from deconvviz.deconv.unit_activation import UnitActivation

_PIXELS = 2**17  # in one forward pass, so that maps stay small


@dataclass(frozen=True, eq=False)
class PerturbationCurve:
    """The activation while pixels are inserted, or deleted.

    Attributes:
        share: (S + 1,) share of the window's pixels that are changed, from 0 to 1.
        value: (S + 1,) activation relative to the activation in the unchanged picture.
        area: Area under the curve; large is good for insertion, small for deletion.
        random: (R, S + 1) values for pixels in random orders.
        chance: Mean area of the random orders.
        spread: Standard deviation of the areas of random orders.
    """

    share: Tensor
    value: Tensor
    area: float
    random: Tensor
    chance: float
    spread: float


@dataclass(frozen=True, eq=False)
class InsertionDeletion:
    """Both curves of one order of pixels.

    Attributes:
        insertion: Pixels inserted into a blank, highest score first.
        deletion: Pixels deleted in the same order.
    """

    insertion: PerturbationCurve
    deletion: PerturbationCurve


def insertion_and_deletion(
    target: Target, scores: Sequence[Tensor], steps: int, orders: int, generator: torch.Generator
) -> Iterator[InsertionDeletion]:
    """Insert the pixels of the window from the highest score down into a blank, or delete them.

    Petsiuk et al. (2018), RISE, arXiv:1806.07421, section 3.3, with the unit's own activation in
    place of a class's probability. The blank is zero in normalised units: the training pictures'
    mean colour, for deletion as for insertion. Pixels outside the window stay as they are; units of
    a convolutional layer do not see them. Equal scores are taken in random order.

    The chance level is that of random orders. A random order read backwards is one too, so the same
    ones serve for both curves, and both have the same mean area.

    Each of `scores` is (h, w); for a projection it is the projection times the picture, summed over
    the channels: the first-order share. A curve has `steps` points, at most one per pixel.

    Yields:
        InsertionDeletion for each map of scores; the random orders are the same for all.
    """
    unit = UnitActivation(target.net.model, target.recording.tape, target.selection)
    count = target.patch[0].numel()
    counts = _counts(count, min(steps, count))
    share = counts / count
    random = torch.stack(
        [
            _values(target, unit, torch.randperm(count, generator=generator) < counts[:, None])
            for _ in range(orders)
        ]
    )
    for score in scores:
        rank = _ranks(score, generator)
        inserted = _values(target, unit, rank < counts[:, None])
        deleted = _values(target, unit, rank >= counts[:, None])
        yield InsertionDeletion(
            _curve(share, inserted, random), _curve(share, deleted, random.flip(1))
        )


def _counts(pixels: int, steps: int) -> Tensor:
    """(S + 1,) numbers of pixels from none to all, as far apart as can be, the same backwards."""
    up = torch.arange(steps + 1) * pixels // steps
    return torch.where(torch.arange(steps + 1) * 2 <= steps, up, pixels - up.flip(0))


def _ranks(score: Tensor, generator: torch.Generator) -> Tensor:
    """(P,) the place of each pixel in the order of falling scores."""
    flat = score.flatten().double().cpu()
    mixed = torch.randperm(len(flat), generator=generator)
    order = mixed[flat[mixed].argsort(descending=True, stable=True)]
    return order.argsort()


def _values(target: Target, unit: UnitActivation, kept: Tensor) -> Tensor:
    """(N,) relative activations in pictures of which (N, P) pixels of the window are kept."""
    masks = kept.to(target.image.device).view(-1, 1, *target.patch.shape[1:])
    at_once = max(1, _PIXELS // target.image[0, 0].numel())
    with torch.no_grad():
        values = [unit(target.with_patches(target.patch * m)) for m in torch.split(masks, at_once)]
    return torch.cat(values).double().cpu() / target.activation


def _curve(share: Tensor, value: Tensor, random: Tensor) -> PerturbationCurve:
    areas = torch.trapezoid(random, share.double())
    area = float(torch.trapezoid(value, share.double()))
    return PerturbationCurve(share, value, area, random, float(areas.mean()), float(areas.std()))
