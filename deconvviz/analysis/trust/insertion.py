"""Insertion and deletion: do the pixels that a picture points at carry the unit's activation?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from deconvviz.analysis.trust.subject import Subject
from deconvviz.deconv.unit_activation import UnitActivation

__all__ = ["Curve", "Curves", "insertion_and_deletion"]

_PIXELS = 2**17  # of the images that go through the network at once, so that maps stay small


@dataclass(frozen=True, eq=False)
class Curve:
    """The activation while pixels are inserted, or deleted.

    Attributes:
        share: (S + 1,) how much of the window was changed so far, from 0 to 1.
        value: (S + 1,) the units' activation then, over their activation in the picture.
        area: Under the curve. Of insertion the larger the better, of deletion the smaller.
        random: (R, S + 1) the same for pixels in random orders.
        chance: The mean area of the random orders.
        spread: Their standard deviation.
    """

    share: Tensor
    value: Tensor
    area: float
    random: Tensor
    chance: float
    spread: float


@dataclass(frozen=True, eq=False)
class Curves:
    """Both curves of one order of pixels."""

    insertion: Curve
    deletion: Curve


def insertion_and_deletion(
    subject: Subject, scores: Sequence[Tensor], steps: int, draws: int, generator: torch.Generator
) -> Iterator[Curves]:
    """Insert the pixels of the window from the highest score down into a blank, or delete them.

    Petsiuk et al. (2018), RISE, arXiv:1806.07421, section 3.3, with the unit's own activation in
    place of a class's probability. The blank is zero in normalised units: the training pictures'
    mean colour, for deletion as for insertion. Pixels outside the window stay as they are; units of
    a convolutional layer do not see them. Equal scores are taken in random order.

    The chance level is that of random orders. A random order read backwards is one too, so the same
    ones serve for both curves, and both have the same mean area.

    Args:
        subject: What is examined.
        scores: Of each method (h, w): how much it credits each pixel. For a projection a that is
            a times x summed over the channels, its first-order share in the activation.
        steps: So many points of a curve, or one a pixel where there are fewer.
        draws: How many random orders.
        generator: Draws them.

    Yields:
        Curves of each of the scores, in order; the random ones are the same for all.
    """
    unit = UnitActivation(subject.net.model, subject.recording.tape, subject.selection)
    count = subject.patch[0].numel()
    counts = _counts(count, min(steps, count))
    share = counts / count
    random = torch.stack(
        [
            _values(subject, unit, torch.randperm(count, generator=generator) < counts[:, None])
            for _ in range(draws)
        ]
    )
    for score in scores:
        rank = _ranks(score, generator)
        inserted = _values(subject, unit, rank < counts[:, None])
        deleted = _values(subject, unit, rank >= counts[:, None])
        yield Curves(_curve(share, inserted, random), _curve(share, deleted, random.flip(1)))


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


def _values(subject: Subject, unit: UnitActivation, kept: Tensor) -> Tensor:
    """(N,) relative activations in pictures of which (N, P) pixels of the window are kept."""
    masks = kept.to(subject.image.device).view(-1, 1, *subject.patch.shape[1:])
    at_once = max(1, _PIXELS // subject.image[0, 0].numel())
    with torch.no_grad():
        values = [
            unit(subject.with_patches(subject.patch * m)) for m in torch.split(masks, at_once)
        ]
    return torch.cat(values).double().cpu() / subject.activation


def _curve(share: Tensor, value: Tensor, random: Tensor) -> Curve:
    areas = torch.trapezoid(random, share.double())
    area = float(torch.trapezoid(value, share.double()))
    return Curve(share, value, area, random, float(areas.mean()), float(areas.std()))
