"""Detection: drawn shapes over photographs, found by heat maps of their centres."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from deconvviz.io.data import Dataset, load_dataset, normalise, train_test_split
from deconvviz.io.data.shapes import CLASSES, inside
from deconvviz.restoration.precision import Objects, mean_average_precision
from deconvviz.restoration.recipe import RestorationRecipe
from deconvviz.restoration.task import Batch, Task, drawn, generators

MOST = 5
"""Shapes of a picture, at most; those that would touch an earlier one are left out."""
RADII = (7.0, 16.0)
"""Smallest and largest radius in pixels."""
HELD_OUT = 500
_BLOCK = 100
_KEPT = 30  # detections of a picture


class Scene(NamedTuple):
    """Pictures with shapes.

    Attributes:
        images: (N, 3, H, W) float32 in [0, 1].
        shapes: (N, MOST, 4): class, centre y and x, and radius in pixels; class -1 is none.
    """

    images: Tensor
    shapes: Tensor


class Detection(Task[Dataset]):
    """Centres, classes and sizes of shapes over photographs.

    Args:
        recipe: The options of the run.
        training: Photographs to draw over; others for every picture.
        held_out: Photographs to validate on.
    """

    values = ("train_loss", "train_heat", "train_offset", "train_radius")
    classes = CLASSES
    channels = 3
    mean, std = (0.45,) * 3, (0.25,) * 3

    def __init__(self, recipe: RestorationRecipe, training: Dataset, held_out: Dataset) -> None:
        super().__init__(recipe, training, held_out)
        self.stride: int = self.architecture.stride  # type: ignore[attr-defined]  # a `Detector`
        side = recipe.patch
        self.validation = scenes(held_out.images, side, torch.Generator().manual_seed(0))

    @classmethod
    def load(cls, recipe: RestorationRecipe) -> "Detection":
        """The task on photos20."""
        whole = load_dataset("photos20", "train", progress=False)
        return cls(recipe, *train_test_split(whole, HELD_OUT))

    @property
    def title(self) -> str:
        """Name of the photographs, and what is drawn over them."""
        return f"shapes over {self.training.title}"

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Newly drawn pictures, and their shapes; see `Task`."""
        ordering, drawing = generators(self.recipe.seed, epoch, 2)
        for chosen in drawn(len(self.training), self.recipe, ordering):
            made = scenes(self.training.images[chosen], self.recipe.patch, drawing)
            yield Batch(self.inputs(made.images), made.shapes)

    def inputs(self, images: Tensor) -> Tensor:
        """Pixels in [0, 1] as the network takes them."""
        return normalise(images, self.mean, self.std)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Focal loss of the heat maps, and absolute errors of offset and log radius at centres."""
        maps = model(batch.inputs).float()
        return torch.stack(detection_losses(maps, batch.targets, len(CLASSES), self.stride))

    def validate(self, model: nn.Module) -> Mapping[str, float]:
        """Mean average precision on shapes over held-out photographs."""
        return precisions(model, self.validation, self.stride, self.inputs(self.validation.images))


def precisions(model: nn.Module, scene: Scene, stride: int, inputs: Tensor) -> dict[str, float]:
    """Mean average precision at overlaps of 0.5 and 0.75.

    Args:
        model: A detector in evaluation mode.
        scene: The pictures' shapes.
        stride: Side of a cell of the detector's output.
        inputs: The pictures as the network takes them.
    """
    device = next(model.parameters()).device
    found: list[Objects] = []
    with torch.inference_mode():
        for block in torch.split(inputs, _BLOCK):
            found += detections(model(block.to(device)).float().cpu(), len(CLASSES), stride)
    true = [objects(one) for one in scene.shapes]
    return {
        f"ap{int(100 * overlap)}": round(
            mean_average_precision(found, true, len(CLASSES), overlap), 5
        )
        for overlap in (0.5, 0.75)
    }


def objects(shapes: Tensor) -> Objects:
    """The true objects of one picture, from its (MOST, 4) shapes."""
    there = shapes[shapes[:, 0] >= 0]
    labels, centres, radii = there[:, 0].long(), there[:, 1:3], there[:, 3:]
    return Objects(labels, torch.cat([centres - radii, centres + radii], 1), torch.ones(len(there)))


def detection_losses(
    maps: Tensor, shapes: Tensor, classes: int, stride: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The sum of three losses, and each, over the number of shapes.

    Args:
        maps: (N, classes + 3, h, w), as a `Detector` gives them.
        shapes: (N, MOST, 4), as in `Scene`.
        classes: Number of classes.
        stride: Side of a cell in pixels.
    """
    picture, which = (shapes[..., 0] >= 0).nonzero(as_tuple=True)
    there = shapes[picture, which]
    label, centre, radius = there[:, 0].long(), there[:, 1:3], there[:, 3]
    cell = (centre / stride).long()
    row, column = cell.unbind(1)
    count = max(1, len(there))
    target = heat_map(shapes, classes, maps.shape[-2:], stride)
    target[picture, label, row, column] = 1
    heat = focal_loss(maps[:, :classes], target) / count
    found = maps[picture, classes:, row, column]
    offset = functional.l1_loss(found[:, :2], centre / stride - cell - 0.5, reduction="sum") / count
    size = functional.l1_loss(found[:, 2], radius.log(), reduction="sum") / count
    return heat + offset + size, heat, offset, size


def heat_map(shapes: Tensor, classes: int, size: torch.Size, stride: int) -> Tensor:
    """(N, classes, h, w): Gaussians around the centres, of a third of the radius.

    Where several reach, the largest counts. Cells are `stride` pixels wide.
    """
    axes = [(torch.arange(side, device=shapes.device) + 0.5) * stride for side in size]
    down = axes[0][:, None] - shapes[..., 1, None, None]
    across = axes[1][None, :] - shapes[..., 2, None, None]
    deviation = shapes[..., 3, None, None] / 3
    bumps = (-(down.square() + across.square()) / (2 * deviation.square())).exp()  # (N, MOST, h, w)
    whose = shapes[..., 0].long()[:, :, None] == torch.arange(classes, device=shapes.device)
    # a picture's shapes one after the other, so that no map of all of them for each class is made
    heat = torch.zeros(len(shapes), classes, *size, device=shapes.device)
    for one in range(shapes.shape[1]):
        heat = torch.maximum(heat, bumps[:, one, None] * whose[:, one, :, None, None])
    return heat


def focal_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Sum of the penalty-reduced focal loss (Law & Deng 2018, arXiv:1808.01244).

    Cells whose target is 1 should be 1; others should be 0, and the less so the nearer they are.
    """
    centre = target == 1
    right = functional.logsigmoid(logits) * (1 - logits.sigmoid()).square()
    wrong = functional.logsigmoid(-logits) * logits.sigmoid().square() * (1 - target) ** 4
    return -torch.where(centre, right, wrong).sum()


def detections(maps: Tensor, classes: int, stride: int) -> list[Objects]:
    """The highest local maxima of the heat maps of each picture.

    Args:
        maps: (N, classes + 3, h, w), as a `Detector` gives them.
        classes: Number of classes.
        stride: Side of a cell in pixels.
    """
    heat = maps[:, :classes].sigmoid()
    peaks = heat * (heat == functional.max_pool2d(heat, 3, stride=1, padding=1))
    scores, places = peaks.flatten(1).topk(min(_KEPT, peaks[0].numel()))
    width = maps.shape[-1]
    label, place = places // heat[0, 0].numel(), places % heat[0, 0].numel()
    picture = torch.arange(len(maps))[:, None].expand_as(place)
    row, column = place // width, place % width
    found = maps[picture, classes:, row, column]
    cells = torch.stack([row, column], 2) + 0.5 + found[..., :2]
    centres, radii = cells * stride, found[..., 2:].exp()
    boxes = torch.cat([centres - radii, centres + radii], 2)
    return [Objects(*one) for one in zip(label, boxes, scores, strict=True)]


def scenes(photographs: Tensor, side: int, generator: torch.Generator) -> Scene:
    """Draw shapes over crops of photographs.

    Args:
        photographs: (N, 3, H, W) uint8, at least `side` high and wide.
        side: Side of the pictures.
        generator: Source of crops, shapes, places, sizes, angles and colours.
    """
    height, width = photographs.shape[-2:]
    tops, lefts = (
        torch.randint(one - side + 1, (len(photographs),), generator=generator).tolist()
        for one in (height, width)
    )
    images = torch.stack(
        [
            one[:, top : top + side, left : left + side]
            for one, top, left in zip(photographs, tops, lefts, strict=True)
        ]
    )
    shapes = placed(len(images), side, generator)
    return Scene(drawn_over(images.float() / 255, shapes, generator), shapes)


def placed(count: int, side: int, generator: torch.Generator) -> Tensor:
    """(count, MOST, 4) shapes, whole and apart from each other; class -1 where one would touch."""
    low, high = RADII
    radius = torch.rand(count, MOST, generator=generator) * (high - low) + low
    free = (side - 2 * radius)[..., None]
    centre = torch.rand(count, MOST, 2, generator=generator) * free + radius[..., None]
    label = torch.randint(len(CLASSES), (count, MOST), generator=generator)
    # The first is always there; as many of the others as were drawn.
    wanted = torch.randint(1, MOST + 1, (count, 1), generator=generator)
    there = torch.arange(MOST) < wanted
    apart = torch.cdist(centre, centre) > radius[:, :, None] + radius[:, None, :]
    for one in range(1, MOST):
        clear = (apart[:, one, :one] | ~there[:, :one]).all(1)
        there[:, one] &= clear
    return torch.cat([torch.where(there, label, -1)[..., None], centre, radius[..., None]], 2)


def drawn_over(images: Tensor, shapes: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures with their shapes, in colours that differ from what they cover.

    Args:
        images: (N, 3, H, W) in [0, 1].
        shapes: (N, MOST, 4), as in `Scene`.
        generator: Source of angles and colours.
    """
    height, width = images.shape[-2:]
    row, column = torch.arange(height) + 0.5, torch.arange(width) + 0.5
    for label, y, x, radius in shapes.permute(1, 2, 0):
        angle = (torch.rand(len(images), 1, 1, generator=generator) - 0.5) * 0.8
        apart = torch.rand(len(images), 3, 1, 1, generator=generator) * 0.3 + 0.35
        there = (label >= 0)[:, None, None]
        size = radius[:, None, None]
        right = (column[None, None, :] - x[:, None, None]) / size
        down = (row[None, :, None] - y[:, None, None]) / size
        turned = right * angle.cos() + down * angle.sin(), down * angle.cos() - right * angle.sin()
        depth = inside(label.long().clamp(min=0), *turned)
        cover = ((depth * size + 0.5).clamp(0, 1) * there)[:, None]  # one pixel of transition
        # As far as possible from the mean of what it covers, in every channel.
        under = (images * cover).sum((2, 3), keepdim=True) / cover.sum((2, 3), keepdim=True).clamp(
            min=1
        )
        images = torch.lerp(images, ((under + apart) % 1).expand_as(images), cover)
    return images
