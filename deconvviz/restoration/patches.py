"""Tasks on patches of pictures: cut at random, mirrored and turned, and then degraded."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from deconvviz.errors import SettingError
from deconvviz.io.data.benchmarks import PictureSet
from deconvviz.restoration.degradations import resize
from deconvviz.restoration.losses import PICTURE_LOSSES
from deconvviz.restoration.recipe import RestorationRecipe
from deconvviz.restoration.task import Batch, Task, generators

REDUCED_COPIES = (1.0, 0.9, 0.8, 0.7, 0.6)
"""Factors on the sides of the copies that patches are cut from (Dong et al. 2016)."""


class Pair(NamedTuple):
    """A picture as the network gets it, and as it was; the second may be larger by a factor."""

    inputs: Tensor
    targets: Tensor


class PatchTask(Task[PictureSet]):
    """A task on patches of pictures, mirrored and turned at random.

    Args:
        recipe: The options of the run.
        training: Pictures to cut patches from.
        held_out: Pictures to validate on.
    """

    def __init__(
        self, recipe: RestorationRecipe, training: PictureSet, held_out: PictureSet
    ) -> None:
        super().__init__(recipe, training, held_out)
        self.pairs = [
            pair
            for pair in map(self.prepare, self.copies())
            if min(pair.inputs.shape[-2:]) >= recipe.patch
        ]
        if not self.pairs:
            raise SettingError(f"no training picture is as large as a patch of {recipe.patch}")
        places = [(h - recipe.patch + 1) * (w - recipe.patch + 1) for h, w in self._sizes()]
        self._shares = torch.tensor(places, dtype=torch.float64)

    def copies(self) -> Sequence[Tensor]:
        """The training pictures and reduced copies of the larger ones, (C, H, W) uint8."""
        return [
            one if factor == 1 else resize(one, *(round(factor * s) for s in one.shape[-2:]))
            for one in self.training.pictures
            for factor in REDUCED_COPIES
        ]

    @abstractmethod
    def prepare(self, pixels: Tensor) -> Pair:
        """What patches are cut from, of a picture (C, H, W) uint8; computed once."""

    def degrade(self, patches: Pair, generator: torch.Generator) -> Batch:  # noqa: ARG002
        """A batch from cut patches, (N, C, H, W) each: noise is added, for example."""
        return Batch(*patches)

    def batches(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch; see `Task`."""
        recipe = self.recipe
        cutting, degrading = generators(recipe.seed, epoch, 2)
        size = (recipe.steps_per_epoch, recipe.batch_size)
        count = size[0] * size[1]
        chosen = torch.multinomial(self._shares, count, replacement=True, generator=cutting)
        places = torch.rand(count, 2, generator=cutting, dtype=torch.float64)
        turns = torch.randint(8, (count,), generator=cutting)
        order = zip(chosen.tolist(), places.tolist(), turns.tolist(), strict=True)
        for _ in range(size[0]):
            cut = [self._patch(*next(order)) for _ in range(size[1])]
            stacked = Pair(*(torch.stack(side) for side in zip(*cut, strict=True)))
            yield self.degrade(stacked, degrading)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """The recipe's loss between what the network answers and the target."""
        output = model(batch.inputs).float()
        return PICTURE_LOSSES[self.recipe.loss](output, batch.targets)[None]

    def _sizes(self) -> Iterator[tuple[int, int]]:
        for pair in self.pairs:
            height, width = pair.inputs.shape[-2:]
            yield height, width

    def _patch(self, index: int, place: Sequence[float], turn: int) -> Pair:
        """A patch at a fraction `place` of the free positions, in one of eight positions."""
        pair, side = self.pairs[index], self.recipe.patch
        height, width = pair.inputs.shape[-2:]
        top, left = int(place[0] * (height - side + 1)), int(place[1] * (width - side + 1))
        return Pair(
            *(turned(_window(one, top, left, side, one.shape[-1] // width), turn) for one in pair)
        )


def _window(one: Tensor, top: int, left: int, side: int, factor: int) -> Tensor:
    top, left, side = top * factor, left * factor, side * factor
    return one[..., top : top + side, left : left + side]


def turned(pixels: Tensor, turn: int) -> Tensor:
    """A square picture in position `turn` of eight: quarter turns, then mirrored ones."""
    rotated = torch.rot90(pixels, turn % 4, (-2, -1))
    return rotated.flip(-1) if turn >= 4 else rotated
