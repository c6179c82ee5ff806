"""Segmentation: what is drawn for training, and how pictures of any size are segmented."""

from dataclasses import replace

import pytest
import torch

from deconvviz.io.checkpoint import load_checkpoint
from deconvviz.io.data.camvid import VOID, Scenes
from deconvviz.networks import build
from deconvviz.restoration import RestorationRecipe, train_restoration
from deconvviz.restoration.segmentation import (
    Segmentation,
    Variation,
    class_weights,
    segment,
    views,
)
from deconvviz.training import read_metrics

STILL = Variation(zoom=1, aspect=1, gamma=1, brightness=1, tint=1, saturation=1, degrees=0)
RECIPE = RestorationRecipe(
    task="segment",
    network="segmenter:back=unet:widths=8,8,8,8",
    epochs=2,
    steps_per_epoch=20,
    batch_size=4,
    patch=32,
    lr=1e-2,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def scenes(count, seed=0, height=36, width=48):
    """Pictures whose red is bright where the class is 3, in the right half."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 100, (count, 3, height, width), generator=generator).byte()
    masks = torch.zeros(count, height, width, dtype=torch.uint8)
    masks[:, :, width // 2 :] = 3
    masks[:, : height // 4] = VOID
    images[:, 0] += (masks == 3) * 100
    return Scenes(images, masks, "halves")


def grid_colours(height, width):
    """A picture whose red and green are its column and row, and its mask as blue."""
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    mask = ((row // 5 + column // 7) % 11).byte()
    return Scenes(torch.stack([column.byte(), row.byte(), mask * 20])[None], mask[None], "grid")


@pytest.mark.parametrize("seed", range(4))
def test_a_still_view_is_a_piece_of_the_picture_or_its_mirror_image(seed):
    """The colours say from where each pixel came."""
    whole = grid_colours(40, 60)
    images, masks = views(whole, torch.tensor([0]), 16, generator(seed), STILL)
    column, row, _ = images[0] * 255
    assert (row.diff(dim=0) - 1).abs().max() < 1e-2
    assert (column.diff(dim=1).abs() - 1).abs().max() < 1e-2
    at = (row.round().long().clamp(0, 39), column.round().long().clamp(0, 59))
    # the nearest pixel of the mask, which may be either neighbour where it is halfway
    inner = ((row % 1 - 0.5).abs() > 0.1) & ((column % 1 - 0.5).abs() > 0.1)
    assert torch.equal(masks[0][inner], whole.masks[0][at].long()[inner])


def test_views_vary_and_masks_move_with_the_pixels():
    whole = grid_colours(40, 60)
    many = torch.zeros(64, dtype=torch.int64)
    moved = replace(STILL, zoom=1.6, aspect=1.15, degrees=5)
    images, masks = views(whole, many, 16, generator(), moved)
    assert len({tuple(mask.flatten().tolist()) for mask in masks}) > 60
    column, row = (images[:, :2] * 255).unbind(1)
    expected = whole.masks[0][row.round().long(), column.round().long()].long()
    inner = ((row % 1 - 0.5).abs() > 0.1) & ((column % 1 - 0.5).abs() > 0.1)
    # at the picture's border its last pixels are repeated, and the mask is void there
    inner &= masks != VOID
    assert torch.equal(masks[inner], expected[inner])
    assert inner.float().mean() > 0.5


def test_colours_vary_within_their_range():
    whole = grid_colours(40, 60)
    drawn = Variation(zoom=1, aspect=1, degrees=0)
    images, _ = views(whole, torch.zeros(9, dtype=torch.int64), 16, generator(), drawn)
    still, _ = views(whole, torch.zeros(9, dtype=torch.int64), 16, generator(), STILL)
    assert ((images - still).abs().amax((1, 2, 3)) > 0.01).all()
    assert images.min() >= 0
    assert images.max() <= 1


def test_a_view_larger_than_the_picture_is_void_outside():
    whole = Scenes(torch.zeros(1, 3, 20, 20).byte(), torch.ones(1, 20, 20).byte(), "one")
    _, masks = views(whole, torch.tensor([0]), 40, generator(), STILL)
    assert (masks[0, 10:30, 10:30] == 1).all()
    assert (masks == 1).sum() == 400
    assert (masks == VOID).sum() == 1200


def test_class_weights_are_the_median_frequency_over_each_ones_own():
    some = scenes(3)
    frequencies = some.frequencies()
    weights = class_weights(replace(some), "median")
    present = frequencies > 0
    ratio = weights[present] * frequencies[present]
    assert torch.allclose(ratio, ratio[0].expand_as(ratio))
    assert torch.allclose(class_weights(some, "sqrt-median")[present], weights[present].sqrt())
    assert class_weights(some, "none").tolist() == [1] * 11


def test_a_picture_of_any_size_is_segmented_as_its_repeated_border_says():
    model = build("segmenter:back=unet:widths=4,4,4,4", channels=3, classes=11).eval()
    some = scenes(2)
    mean, std = some.channel_statistics()
    shift, spread = (torch.tensor(one).view(3, 1, 1) for one in (mean, std))
    rows, columns = torch.arange(48).clamp(max=35), torch.arange(48)
    larger = some.images[:, :, rows][..., columns]
    with torch.no_grad():
        expected = model((larger.float() / 255 - shift) / spread).argmax(1)[:, :36]
    assert torch.equal(segment(model, some.images, mean, std), expected.byte())


def test_every_picture_comes_once_before_one_comes_twice():
    some = scenes(6)
    some.images[:] = torch.arange(6).view(-1, 1, 1, 1) * 10
    recipe = replace(RECIPE, steps_per_epoch=3)
    task = Segmentation(recipe, some, some)
    assert [len(batch.inputs) for batch in task.batches(1)] == [4, 4, 4]
    first, again = (torch.cat([b.inputs for b in task.batches(1)]) for _ in range(2))
    assert torch.equal(first, again)
    other = torch.cat([b.inputs for b in task.batches(2)])
    assert not torch.equal(first, other)


def test_it_learns_and_its_figure_is_that_of_the_stored_network(tmp_path):
    task = Segmentation(RECIPE, scenes(8), scenes(4, seed=1))
    done = train_restoration(RECIPE, tmp_path, task=task, progress=False)
    assert done.held_out["mean_iou"] > 0.8
    checkpoint = load_checkpoint(done.checkpoint)
    described = checkpoint.description
    predicted = segment(checkpoint.network(), task.held_out.images, described.mean, described.std)
    known = task.held_out.masks != VOID
    right = (predicted == task.held_out.masks)[known].float().mean()
    assert right > 0.9
    assert described.classes == task.classes
    assert read_metrics(tmp_path)[-1]["train_accuracy"] > 0.8
