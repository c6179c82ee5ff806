"""The batches of a run: drawn, augmented, normalised and optionally mixed."""

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

import torch
from torch import Tensor

from deconvviz.io.data import Dataset, normalise
from deconvviz.processes import ProcessGroup
from deconvviz.training.adversary import random_directions
from deconvviz.training.losses import mix_targets
from deconvviz.training.recipe import Recipe


class Batch(NamedTuple):
    """The input of one step.

    Attributes:
        progress: Fraction of all steps done after this one.
        images: (N, C, H, W), augmented and normalised; the labelled ones come first.
        targets: (L,) classes of the first L, or (L, K) class probabilities where they are mixed.
        teacher_view: Another view of the same N pictures, never mixed, for a mean teacher.
        clean: `images` without noise and, for a decoder that inpaints, without cutout.
        directions: Random displacements of the labelled pictures, for an adversary.
    """

    progress: float
    images: Tensor
    targets: Tensor
    teacher_view: Tensor | None = None
    clean: Tensor | None = None
    directions: Tensor | None = None


class BatchLoader:
    """A run's pictures on the device, and the batches of each epoch.

    All random numbers of an epoch follow from the seed and its number. The augmentation of a
    labelled picture does not depend on whether there are unlabelled ones: runs of one seed are
    pairs.

    Args:
        data: The labelled pictures; their mean and deviation normalise all.
        unlabelled: Pictures without labels.
        recipe: The options of the run.
        device: Device that stores the pictures.
        processes: The processes that share each batch.
    """

    def __init__(
        self,
        data: Dataset,
        unlabelled: Dataset | None,
        recipe: Recipe,
        device: torch.device,
        processes: ProcessGroup,
    ) -> None:
        self.data = data.to(device)
        self.unlabelled = unlabelled.to(device) if unlabelled else None
        self.recipe, self.device, self.processes = recipe, device, processes
        self.mean, self.std = data.channel_statistics()
        self.steps = recipe.steps_per_epoch or len(data) // recipe.batch_size
        # A picture mirrored in one pass is not in the next (Jordan 2024): both sides count equally.
        bits = torch.randint(2, (len(data),), generator=_generator(recipe.seed))
        self.mirrored = bits.bool().to(device)

    def batches(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, counted from 1: of each, this process's part."""
        recipe, total = self.recipe, self.steps
        seed = recipe.seed * 100_003 + epoch
        # One generator for each purpose, so that an option that draws more changes no other draw.
        # They follow from seed and epoch alone: a resumed run needs no saved generator states.
        labelled, others, views, noise, adversary = (
            _generator(seed + i * 2**40, self.device) for i in range(5)
        )
        mixing = Random(seed)  # noqa: S311  not for cryptography
        order = _order(len(self.data), total * recipe.batch_size, labelled)
        count = recipe.unlabelled_batch
        rest = _order(len(self.unlabelled), total * count, others) if self.unlabelled else order
        for step in range(total):
            index = order[step * recipe.batch_size :][: recipe.batch_size]
            # drawn where epochs are no passes
            mirrored = None if recipe.steps_per_epoch else (self.mirrored ^ bool(epoch % 2))[index]
            stacks = self._views(self.data.images[index], labelled, views, mirrored)
            if self.unlabelled:
                chosen = self.unlabelled.images[rest[step * count :][:count]]
                more = self._views(chosen, others, views)
                stacks = [torch.cat(both) for both in zip(stacks, more, strict=True)]
            seen, *extra = [normalise(stack, self.mean, self.std) for stack in stacks]
            images, targets = self._mixed(seen, self._part(self.data.labels[index]), mixing)
            clean = extra[0] if recipe.inpaints else images if recipe.noise else None
            teacher_view = extra[-1] if recipe.consistency_weight else None
            # each process draws the random numbers of all, and takes its part
            count_all, shape = len(images) * self.processes.size, images.shape[1:]
            if recipe.noise:
                drawn = torch.randn(count_all, *shape, generator=noise, device=self.device)
                images = images + recipe.noise * self._part(drawn)
            directions = None
            if recipe.adversary.needs_random:
                whole = (recipe.batch_size, *shape)
                directions = self._part(random_directions(whole, recipe.adversary, adversary))
            progress = ((epoch - 1) * total + step + 1) / (total * recipe.epochs)
            yield Batch(progress, images, targets, teacher_view, clean, directions)

    def _views(
        self,
        images: Tensor,
        generator: torch.Generator,
        views: torch.Generator,
        mirrored: Tensor | None = None,
    ) -> list[Tensor]:
        """This process's part of pictures, augmented: input, without cutout, another view.

        Each process augments all pictures, so that together they see what one alone would.
        """
        augment = self.recipe.augmentation
        whole = augment.transform(images, generator, mirrored)
        stacks = [augment.cut_out(whole, generator)]
        if self.recipe.inpaints:
            stacks.append(whole)
        if self.recipe.consistency_weight:
            stacks.append(augment(images, views))
        return [self._part(stack) for stack in stacks]

    def _part(self, batch: Tensor) -> Tensor:
        return batch[self.processes.rank :: self.processes.size]

    def _mixed(self, images: Tensor, labels: Tensor, mixing: Random) -> tuple[Tensor, Tensor]:
        """Labelled pictures mixed in pairs, and all targets."""
        if not self.recipe.mixup:
            return images, labels
        weight = mixing.betavariate(self.recipe.mixup, self.recipe.mixup)
        count = len(labels)
        partner = torch.tensor(mixing.sample(range(count), count), device=labels.device)
        mixed = weight * images[:count] + (1 - weight) * images[:count][partner]
        targets = mix_targets(labels, labels[partner], weight, len(self.data.classes))
        return torch.cat([mixed, images[count:]]), targets


def _order(pictures: int, count: int, generator: torch.Generator) -> Tensor:
    """`count` indices of pictures, each pass over them in a new order."""
    passes = max(1, -(-count // pictures))
    device = generator.device
    orders = [torch.randperm(pictures, generator=generator, device=device) for _ in range(passes)]
    return torch.cat(orders)[:count]


def _generator(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)
