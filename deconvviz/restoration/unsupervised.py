"""Deconvolution without labels: pictures from the features of a small encoder, and what they hold.

Photographs of 20 classes at 64x64. An auto-encoder brings back pictures, half of them reduced by 4
and enlarged again; a classifier of the same encoder learns from labels, for comparison.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from deconvviz.io.data import (
    Dataset,
    load_dataset,
    normalise,
    stratified_subset,
    train_test_split,
)
from deconvviz.restoration.degradations import reduced, resize
from deconvviz.restoration.recipe import RestorationRecipe
from deconvviz.restoration.task import Batch, Task, drawn, generators
from deconvviz.training.evaluate import evaluate

SIDE, SCALE = 64, 4
HELD_OUT = 500
"""Training pictures that are held out to validate on."""
_BLOCK = 250
_SHIFT = 4  # pixels, of a classifier's pictures


def blurred(images: Tensor, scale: int = SCALE) -> Tensor:
    """Pictures reduced by `scale` and enlarged again, both bicubic and in 8 bits.

    Args:
        images: (N, C, H, W) uint8, sides multiples of `scale`.
        scale: Factor on the sides.
    """
    height, width = images.shape[-2:]
    return torch.stack([resize(reduced(one, scale), height, width) for one in images])


def photographs(split: str) -> Dataset:
    """photos20 at 64x64."""
    return load_dataset("photos20", split, size=SIDE, progress=False)


class _Photographs(Task[Dataset]):
    """Mirrored pictures, each once before one comes twice.

    Args:
        recipe: The options of the run.
        training: Pictures to train on.
        held_out: Pictures to validate on.
    """

    channels = 3

    def __init__(self, recipe: RestorationRecipe, training: Dataset, held_out: Dataset) -> None:
        super().__init__(recipe, training, held_out)
        self.mean, self.std = (0.5,) * 3, (0.25,) * 3

    def drawn(self, epoch: int) -> Iterator[tuple[Tensor, torch.Generator]]:
        """Indices of the pictures of each step, and the source of its other random numbers."""
        ordering, varying = generators(self.recipe.seed, epoch, 2)
        for chosen in drawn(len(self.training), self.recipe, ordering):
            yield chosen, varying

    def inputs(self, images: Tensor) -> Tensor:
        """Pictures, uint8 or in [0, 1], as the network takes them."""
        return normalise(images, self.mean, self.std)


class AutoEncoding(_Photographs):
    """Bring pictures back from their features; half of them, by default, were reduced by 4."""

    values = ("train_mae",)

    def __init__(self, recipe: RestorationRecipe, training: Dataset, held_out: Dataset) -> None:
        super().__init__(recipe, training, held_out)
        self.blurred = blurred(training.images) if recipe.reduced else training.images
        self.held_out_blurred = blurred(held_out.images)

    @classmethod
    def load(cls, recipe: RestorationRecipe) -> "AutoEncoding":
        """The task on photos20."""
        return cls(recipe, *train_test_split(photographs("train"), HELD_OUT))

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Pictures, some of them reduced, and what they were; see `Task`."""
        for chosen, generator in self.drawn(epoch):
            count = len(chosen)
            some = torch.rand(count, 1, 1, 1, generator=generator) < self.recipe.reduced
            mirrored = torch.rand(count, 1, 1, 1, generator=generator) < 0.5
            targets = self.training.images[chosen]
            inputs = torch.where(some, self.blurred[chosen], targets)
            both = (torch.where(mirrored, one.flip(-1), one) for one in (inputs, targets))
            yield Batch(*map(self.inputs, both))

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Mean absolute error in grey levels of 255, the measure of the text."""
        error = functional.l1_loss(model(batch.inputs).float(), batch.targets)
        return (error * self.std[0] * 255)[None]

    def validate(self, model: nn.Module) -> Mapping[str, float]:
        """Mean absolute error in grey levels, of pictures as they are and of reduced ones."""
        originals = self.held_out.images
        found = {
            name: (restored(model, given, self.mean, self.std) - originals.float()).abs().mean()
            for name, given in (("mae", originals), ("mae_reduced", self.held_out_blurred))
        }
        return {name: round(float(value), 4) for name, value in found.items()}


class Supervised(_Photographs):
    """Classify photographs by the same encoder; with few labels, of a share of them."""

    values = ("train_loss", "train_accuracy")

    @classmethod
    def load(cls, recipe: RestorationRecipe) -> "Supervised":
        """The task on photos20, or on a share of its labels with the proportions of the classes."""
        training, held_out = train_test_split(photographs("train"), HELD_OUT)
        few = max(1, round(recipe.labels * len(training)))
        return cls(recipe, stratified_subset(training, few, recipe.seed), held_out)

    def __init__(self, recipe: RestorationRecipe, training: Dataset, held_out: Dataset) -> None:
        super().__init__(recipe, training, held_out)
        self.classes = training.classes

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Mirrored and shifted pictures and their classes; see `Task`."""
        for chosen, generator in self.drawn(epoch):
            images = self.training.images[chosen]
            mirrored = torch.rand(len(chosen), 1, 1, 1, generator=generator) < 0.5
            images = torch.where(mirrored, images.flip(-1), images)
            top, left = torch.randint(2 * _SHIFT + 1, (2,), generator=generator).tolist()
            side = images.shape[-1]
            padded = functional.pad(images.float() / 255, (_SHIFT,) * 4, mode="reflect")
            images = padded[..., top : top + side, left : left + side]
            yield Batch(self.inputs(images), self.training.labels[chosen])

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Cross-entropy, and the share of pictures that are right."""
        logits = model(batch.inputs).float()
        right = (logits.argmax(1) == batch.targets).float().mean()
        return torch.stack([functional.cross_entropy(logits, batch.targets), right])

    def validate(self, model: nn.Module) -> Mapping[str, float]:
        """Accuracy on pictures held out of the training."""
        return {"accuracy": evaluate(model, self.held_out, self.mean, self.std).accuracy}


@torch.inference_mode()
def restored(
    model: nn.Module, images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]
) -> Tensor:
    """What a network makes of pictures, (N, C, H, W) float32 in 0..255, clipped but not rounded.

    Args:
        model: Takes normalised pictures and gives them back, normalised too.
        images: (N, C, H, W) uint8.
        mean: Per channel, of pixels in [0, 1].
        std: Per channel.
    """
    shift, scale = (torch.tensor(one).view(1, -1, 1, 1) for one in (mean, std))
    device = next(model.parameters()).device
    found = []
    for block in torch.split(images, _BLOCK):
        made = model(normalise(block.to(device), mean, std)).float().cpu()
        found.append((made * scale + shift).clamp(0, 1) * 255)
    return torch.cat(found)
