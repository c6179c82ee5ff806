"""Segmentation of CamVid: the class of every pixel of a street scene."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from deconvviz.io.data import normalise
from deconvviz.io.data.camvid import CLASSES, VOID, Scenes, load_camvid
from deconvviz.restoration.overlap import confusion, mean_iou
from deconvviz.restoration.recipe import RestorationRecipe
from deconvviz.restoration.task import Batch, Task, drawn, generators

_BLOCK = 8  # pictures that are segmented at a time


@dataclass(frozen=True)
class Variation:
    """How far the training pictures are varied; each value is drawn between its inverse and it."""

    zoom: float = 1.6
    aspect: float = 1.15
    gamma: float = 1.6
    brightness: float = 1.4
    tint: float = 1.15
    saturation: float = 2.0
    degrees: float = 5.0
    """Largest rotation, in each direction."""


class Segmentation(Task[Scenes]):
    """Scores of 11 classes for each pixel; trained on 367 pictures, chosen on 101.

    Args:
        recipe: The options of the run.
        training: Pictures to train on.
        held_out: Pictures to validate on.
    """

    values = ("train_loss", "train_accuracy")
    classes = CLASSES
    channels = 3

    def __init__(self, recipe: RestorationRecipe, training: Scenes, held_out: Scenes) -> None:
        super().__init__(recipe, training, held_out)
        self.mean, self.std = training.channel_statistics()
        self.weights = class_weights(training, recipe.class_weights)

    @classmethod
    def load(cls, recipe: RestorationRecipe) -> "Segmentation":
        """The task on CamVid's own division."""
        return cls(recipe, load_camvid("train"), load_camvid("val"))

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Varied views; each picture comes once before one comes twice. See `Task`."""
        ordering, varying = generators(self.recipe.seed, epoch, 2)
        for chosen in drawn(len(self.training), self.recipe, ordering):
            images, masks = views(self.training, chosen, self.recipe.patch, varying)
            yield Batch(normalise(images, self.mean, self.std), masks)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Cross-entropy, each class with its weight, and the share of pixels that are right."""
        scores = model(batch.inputs).float()
        weights = self.weights.to(scores.device)
        loss = functional.cross_entropy(scores, batch.targets, weights, ignore_index=VOID)
        known = batch.targets != VOID
        right = (scores.argmax(1) == batch.targets) & known
        return torch.stack([loss, right.sum() / known.sum()])

    def validate(self, model: nn.Module) -> Mapping[str, float]:
        """Mean intersection over union on the 101 pictures that choose."""
        predicted = segment(model, self.held_out.images, self.mean, self.std)
        counts = confusion(predicted, self.held_out.masks, len(CLASSES))
        return {"mean_iou": round(mean_iou(counts), 5)}


def class_weights(scenes: Scenes, kind: str) -> Tensor:
    """(11,) weights of the classes in the loss.

    Args:
        scenes: Training pictures.
        kind: "median", the median of the classes' frequencies over each one's own (Eigen & Fergus
            2015, arXiv:1411.4734); "sqrt-median", its square root; "none", ones.
    """
    if kind == "none":
        return torch.ones(len(CLASSES))
    frequencies = scenes.frequencies()
    present = frequencies > 0
    weights = torch.ones(len(CLASSES))  # of classes that no picture has, which never matter
    weights[present] = frequencies[present].median() / frequencies[present]
    return weights.sqrt() if kind == "sqrt-median" else weights


@torch.inference_mode()
def segment(
    model: nn.Module, images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]
) -> Tensor:
    """The most probable class of each pixel.

    Args:
        model: A segmenter whose input sides are multiples of 16.
        images: (N, 3, H, W) uint8 of any size; the last row and column are repeated up to the next
            multiple, and what is there is cut off again.
        mean: Per channel, of pixels in [0, 1].
        std: Per channel.

    Returns:
        (N, H, W) uint8.
    """
    device = next(model.parameters()).device
    height, width = images.shape[-2:]
    border = (0, -width % 16, 0, -height % 16)
    found = []
    for block in torch.split(images, _BLOCK):
        inputs = normalise(block.to(device), mean, std)
        inputs = functional.pad(inputs, border, mode="replicate")
        scores = model(inputs.contiguous(memory_format=torch.channels_last))
        found.append(scores[..., :height, :width].argmax(1).byte().cpu())
    return torch.cat(found)


def views(
    scenes: Scenes,
    indices: Tensor,
    side: int,
    generator: torch.Generator,
    variation: Variation = Variation(),
) -> tuple[Tensor, Tensor]:
    """Square views of pictures: zoomed, stretched, turned, mirrored, and of other colours.

    Args:
        scenes: Pictures and their masks.
        indices: (N,) of the pictures.
        side: Side of the views in pixels.
        generator: Source of all random numbers.
        variation: How far.

    Returns:
        (N, 3, side, side) float32 in [0, 1], and (N, side, side) int64, `VOID` outside the picture.
    """
    images = scenes.images[indices].float() / 255
    masks = scenes.masks[indices].float()[:, None]
    grid = functional.affine_grid(
        _placements(len(indices), images.shape[-2:], side, generator, variation),
        [len(indices), 3, side, side],
        align_corners=False,
    )
    seen = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    # Outside is 0, so that the classes are counted from 1 here.
    classes = functional.grid_sample(masks + 1, grid, mode="nearest", align_corners=False)[:, 0]
    classes = torch.where(classes == 0, VOID, classes.long() - 1)
    return _recoloured(seen, generator, variation), classes


def _placements(
    count: int, size: torch.Size, side: int, generator: torch.Generator, variation: Variation
) -> Tensor:
    """(count, 2, 3) maps from a view to a picture, both from -1 to 1 in x and y."""
    height, width = size

    def within(limit: float) -> Tensor:
        return _factor(limit, (count,), generator)

    zoom, aspect = within(variation.zoom), within(variation.aspect)
    across = side / width / (zoom * aspect)
    down = side / height / (zoom / aspect)
    turn = (torch.rand(count, generator=generator) * 2 - 1) * math.radians(variation.degrees)
    mirror = torch.randint(2, (count,), generator=generator) * 2.0 - 1
    maps = torch.zeros(count, 2, 3)
    # A rotation of pixels, so x and y are brought to one unit by the sides of the picture.
    maps[:, 0, 0], maps[:, 0, 1] = across * mirror * turn.cos(), -down * turn.sin() * height / width
    maps[:, 1, 0], maps[:, 1, 1] = across * mirror * turn.sin() * width / height, down * turn.cos()
    # Inside the picture where the view is the smaller one, at its centre where it is the larger.
    for row, share in enumerate((across, down)):
        place = torch.rand(count, generator=generator) * 2 - 1
        maps[:, row, 2] = place * (1 - share).clamp(min=0)
    return maps


def _recoloured(images: Tensor, generator: torch.Generator, variation: Variation) -> Tensor:
    """Other gamma, brightness, tint and saturation."""
    count = len(images)
    images = images ** _factor(variation.gamma, (count, 1, 1, 1), generator)
    images = images * _factor(variation.brightness, (count, 1, 1, 1), generator)
    images = images * _factor(variation.tint, (count, 3, 1, 1), generator)
    saturation = _factor(variation.saturation, (count, 1, 1, 1), generator)
    grey = images.mean(1, keepdim=True)
    return torch.lerp(grey, images, saturation).clamp(0, 1)


def _factor(limit: float, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Random factors from 1/limit to limit, evenly in their logarithm."""
    return ((torch.rand(shape, generator=generator) * 2 - 1) * math.log(limit)).exp()
