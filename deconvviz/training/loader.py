"""The batches of a run: drawn, augmented, normalised and, where asked for, blended."""

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

import torch
from torch import Tensor

from deconvviz.io.data import Dataset, normalise
from deconvviz.processes import ProcessGroup
from deconvviz.training.adversary import random_directions
from deconvviz.training.losses import blended
from deconvviz.training.recipe import Recipe

__all__ = ["Batch", "BatchLoader"]


class Batch(NamedTuple):
    """What one step learns from.

    Attributes:
        progress: The share of all steps done when this one is.
        images: (N, C, H, W), augmented and normalised; those with labels come first.
        targets: (L,) classes of the first L, or (L, K) shares of them where they are blended.
        second: Another view of the same N pictures, never blended; None without a teacher.
        whole: `images` without noise and, where a decoder is to fill them, with the parts that are
            hidden; None where they are no others.
        directions: Random displacements of `images` for an adversary that wants them.
    """

    progress: float
    images: Tensor
    targets: Tensor
    second: Tensor | None = None
    whole: Tensor | None = None
    directions: Tensor | None = None


class BatchLoader:
    """A run's pictures on the device, and what each epoch makes of them.

    All random numbers of an epoch follow from the seed and its number. What a picture with a label
    goes through does not depend on whether there are others without: runs of one seed are pairs.

    Args:
        data: The pictures with labels; also gives mean and deviation.
        more: Those without, or None.
        recipe: How they are used.
        device: Where they are kept.
        processes: The processes that share each batch.
    """

    def __init__(
        self,
        data: Dataset,
        more: Dataset | None,
        recipe: Recipe,
        device: torch.device,
        processes: ProcessGroup,
    ) -> None:
        self.data = data.to(device)
        self.more = more.to(device) if more else None
        self.recipe, self.device, self.processes = recipe, device, processes
        self.mean, self.std = data.channel_statistics()
        self.teaches = bool(recipe.consistency_weight)
        self.fills = bool(recipe.deconv_weight) and recipe.decoder.inpaint
        self.steps = recipe.steps_per_epoch or len(data) // recipe.batch_size
        bits = torch.randint(2, (len(data),), generator=_generator(recipe.seed))
        self.mirrored = bits.bool().to(device)  # in even passes; the others in odd ones

    def batches(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, counted from 1; of each, this process's part."""
        recipe, total = self.recipe, self.steps
        seed = recipe.seed * 100_003 + epoch
        # of pictures with labels, of others, of second views, of noise, of an adversary: all
        # private to this run
        own, others, again, loud, hostile = (
            _generator(seed + i * 2**40, self.device) for i in range(5)
        )
        shares = Random(seed)  # noqa: S311  of blended pictures, which are no secret
        order = _order(len(self.data), total * recipe.batch_size, own)
        count = recipe.unlabelled_batch
        rest = _order(len(self.more), total * count, others) if self.more else order
        for step in range(total):
            index = order[step * recipe.batch_size :][: recipe.batch_size]
            views = self._views(self.data.images[index], own, again, self._mirrored(index, epoch))
            if self.more:
                chosen = rest[step * count :][:count]
                more = self._views(self.more.images[chosen], others, again)
                views = [torch.cat(both) for both in zip(views, more, strict=True)]
            seen = [normalise(view, self.mean, self.std) for view in views]
            labels = self._mine(self.data.labels[index])
            given, targets = self._blended(seen[0], labels, shares)
            whole = seen[1] if self.fills else given if recipe.noise else None
            progress = ((epoch - 1) * total + step + 1) / (total * recipe.epochs)
            second = seen[-1] if self.teaches else None
            noisy = self._noisy(given, loud)
            directions = self._directions(noisy[: len(targets)], hostile)
            yield Batch(progress, noisy, targets, second, whole, directions)

    def _mirrored(self, index: Tensor, epoch: int) -> Tensor | None:
        """Which pictures are mirrored in this pass; drawn anew where an epoch is no pass."""
        return None if self.recipe.steps_per_epoch else (self.mirrored ^ bool(epoch % 2))[index]

    def _views(
        self,
        images: Tensor,
        generator: torch.Generator,
        again: torch.Generator,
        mirrored: Tensor | None = None,
    ) -> list[Tensor]:
        """This process's part of pictures, augmented: as they are learnt from, whole, once more.

        Each process augments all, so that together they learn from what one alone would.
        """
        vary = self.recipe.augmentation
        whole = vary.vary(images, generator, mirrored)
        views = [vary.hide(whole, generator)]
        if self.fills:
            views.append(whole)
        if self.teaches:
            views.append(vary(images, again))
        return [self._mine(view) for view in views]

    def _mine(self, batch: Tensor) -> Tensor:
        return batch[self.processes.rank :: self.processes.size]

    def _noisy(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Pictures with noise, where that is asked for; each process draws that of all."""
        if not self.recipe.noise:
            return images
        shape = (len(images) * self.processes.size, *images.shape[1:])
        noise = torch.randn(shape, generator=generator, device=images.device)
        return images + self.recipe.noise * self._mine(noise)

    def _directions(self, images: Tensor, generator: torch.Generator) -> Tensor | None:
        """Random displacements of pictures with labels; each process draws those of all."""
        if not self.recipe.adversary.needs_random:
            return None
        shape = (len(images) * self.processes.size, *images.shape[1:])
        return self._mine(random_directions(shape, self.recipe.adversary, generator))

    def _blended(self, images: Tensor, labels: Tensor, shares: Random) -> tuple[Tensor, Tensor]:
        """Pictures with labels blended in pairs, where that is asked for, and all their targets."""
        if not self.recipe.mixup:
            return images, labels
        share = shares.betavariate(self.recipe.mixup, self.recipe.mixup)
        count = len(labels)
        partner = torch.tensor(shares.sample(range(count), count), device=labels.device)
        both = share * images[:count] + (1 - share) * images[:count][partner]
        targets = blended(labels, labels[partner], share, len(self.data.classes))
        return torch.cat([both, images[count:]]), targets


def _order(pictures: int, wanted: int, generator: torch.Generator) -> Tensor:
    """`wanted` places of pictures, each pass over them in an order of its own."""
    passes = max(1, -(-wanted // pictures))
    device = generator.device
    orders = [torch.randperm(pictures, generator=generator, device=device) for _ in range(passes)]
    return torch.cat(orders)[:wanted]


def _generator(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)
