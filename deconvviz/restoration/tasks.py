"""What a network is trained to undo: its data, its batches, its loss, its figures of merit."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from deconvviz.errors import SettingError
from deconvviz.io.checkpoint import DataRecord
from deconvviz.io.data.benchmarks import PictureSet, load_pictures
from deconvviz.networks import architecture
from deconvviz.restoration.degradations import cropped, reduced, resize
from deconvviz.restoration.losses import PICTURE_LOSSES
from deconvviz.restoration.metrics import luma, psnr
from deconvviz.restoration.recipe import RestorationRecipe

HELD_OUT_EVERY = 18
"""Of the training pictures, every 18th is held out: 5 of T91, 22 of Train400."""
REDUCED_COPIES = (1.0, 0.9, 0.8, 0.7, 0.6)
"""Factors on the sides of the copies that patches are cut from (Dong et al. 2016)."""


class Batch(NamedTuple):
    """The input of one step.

    Attributes:
        inputs: (N, C, H, W) float32.
        targets: What the network should answer.
    """

    inputs: Tensor
    targets: Tensor


class Task(ABC):
    """A task with its data in memory.

    Args:
        recipe: The options of the run.
    """

    values: tuple[str, ...] = ("train_loss",)
    """Names of what `loss` returns, for `metrics.jsonl`."""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    """Per input channel, of pixels in [0, 1]: the network's input is (pixel - mean) / std."""
    classes: tuple[str, ...] = ()
    """Class names of a network that answers with classes."""

    def __init__(self, recipe: RestorationRecipe) -> None:
        self.recipe = recipe
        self.architecture = architecture(recipe.network)

    @property
    @abstractmethod
    def data(self) -> DataRecord:
        """Title and fingerprint of the training data."""

    @property
    @abstractmethod
    def pictures(self) -> int:
        """Number of training pictures."""

    @property
    def channels(self) -> int:
        """Input channels of the network."""
        return self.recipe.channels

    @abstractmethod
    def batches(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, counted from 1, drawn from the seed and its number alone."""

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """(K,) values to average over an epoch, as `values` names them, the loss first."""

    @abstractmethod
    def validate(self, model: nn.Module) -> Mapping[str, float]:
        """Named figures of `model`, in evaluation mode, on pictures held out of the training."""


class Pair(NamedTuple):
    """A picture before and after, float32 in [0, 1]; the second may be larger by a factor."""

    inputs: Tensor
    targets: Tensor


class PatchTask(Task):
    """A task on patches of pictures, mirrored and turned at random.

    Args:
        recipe: The options of the run.
        training: Pictures to cut patches from.
        held_out: Pictures to validate on.
    """

    def __init__(
        self, recipe: RestorationRecipe, training: PictureSet, held_out: PictureSet
    ) -> None:
        super().__init__(recipe)
        self.training, self.held_out = training, held_out
        self.pairs = [
            pair
            for pair in map(self.prepare, self.copies())
            if min(pair.inputs.shape[-2:]) >= recipe.patch
        ]
        if not self.pairs:
            raise SettingError(f"no training picture is as large as a patch of {recipe.patch}")
        places = [(h - recipe.patch + 1) * (w - recipe.patch + 1) for h, w in self._sizes()]
        self._shares = torch.tensor(places, dtype=torch.float64)

    @property
    def data(self) -> DataRecord:
        """Title and fingerprint of the training data."""
        return {"title": self.training.title, "fingerprint": self.training.fingerprint}

    @property
    def pictures(self) -> int:
        """Number of training pictures."""
        return len(self.training)

    def copies(self) -> Sequence[Tensor]:
        """The training pictures and copies of them reduced by Pillow, (C, H, W) uint8."""
        return [
            one if factor == 1 else resize(one, *(round(factor * s) for s in one.shape[-2:]))
            for one in self.training.pictures
            for factor in REDUCED_COPIES
        ]

    @abstractmethod
    def prepare(self, pixels: Tensor) -> Pair:
        """What patches are cut from, of a picture (C, H, W) uint8; computed once."""

    def degrade(self, inputs: Tensor, targets: Tensor, generator: torch.Generator) -> Batch:  # noqa: ARG002
        """A batch of cut patches as the network gets them: noise, for example."""
        return Batch(inputs, targets)

    def batches(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch; see `Task`."""
        recipe = self.recipe
        cutting, degrading = (
            torch.Generator().manual_seed(recipe.seed * 100_003 + epoch + i * 2**40)
            for i in range(2)
        )
        size = (recipe.steps_per_epoch, recipe.batch_size)
        count = size[0] * size[1]
        chosen = torch.multinomial(self._shares, count, replacement=True, generator=cutting)
        places = torch.rand(count, 2, generator=cutting, dtype=torch.float64)
        turns = torch.randint(8, (count,), generator=cutting)
        order = zip(chosen.tolist(), places.tolist(), turns.tolist(), strict=True)
        for _ in range(size[0]):
            cut = [self._patch(*next(order)) for _ in range(size[1])]
            inputs, targets = (torch.stack(side) for side in zip(*cut, strict=True))
            yield self.degrade(inputs, targets, degrading)

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


class SuperResolution(PatchTask):
    """Undo the reduction of a picture: luma of the small one in, luma of the large one out."""

    mean, std = (0.0,), (1.0,)

    @classmethod
    def load(cls, recipe: RestorationRecipe) -> "SuperResolution":
        """The task on T91, every 18th picture held out."""
        return cls(recipe, *load_pictures("t91").held_out(HELD_OUT_EVERY))

    def prepare(self, pixels: Tensor) -> Pair:
        """Luma of a picture reduced in 8 bits of RGB, and of the picture."""
        scale = self.architecture.enlarges
        large = cropped(pixels, scale)
        return Pair(*(luma(one.float()) / 255 for one in (reduced(large, scale), large)))

    def validate(self, model: nn.Module) -> Mapping[str, float]:
        """Mean PSNR of luma, borders of the scale cut."""
        scale = self.architecture.enlarges
        pairs = [self.prepare(one) for one in self.held_out.pictures]
        found = [psnr(answer(model, one.inputs) * 255, one.targets * 255, scale) for one in pairs]
        return {"psnr": round(sum(found) / len(found), 4)}


@torch.inference_mode()
def answer(model: nn.Module, pixels: Tensor) -> Tensor:
    """What a network answers to one picture (C, H, W), clipped to [0, 1], on the CPU."""
    device = next(model.parameters()).device
    restored: Tensor = model(pixels[None].to(device))[0].float().clamp(0, 1).cpu()
    return restored
