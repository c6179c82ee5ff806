"""Detection: what is drawn, what the heat maps say, and what is read from them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from deconvviz.io.checkpoint import load_checkpoint
from deconvviz.io.data import Dataset
from deconvviz.io.data.shapes import CLASSES, inside
from deconvviz.networks import build
from deconvviz.restoration import RestorationRecipe, train_restoration
from deconvviz.restoration.detection import (
    MOST,
    RADII,
    Detection,
    detection_losses,
    detections,
    focal_loss,
    heat_map,
    objects,
    placed,
    precisions,
    scenes,
)
from deconvviz.restoration.precision import mean_average_precision
from deconvviz.training import read_metrics

RECIPE = RestorationRecipe(
    task="detect",
    network="detector:head=decoder",
    epochs=2,
    steps_per_epoch=15,
    batch_size=8,
    patch=48,
    lr=3e-3,
    fp16=False,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def photographs(count, seed=0):
    images = torch.randint(0, 256, (count, 3, 56, 64), generator=generator(seed)).byte()
    return Dataset(images, torch.zeros(count, dtype=torch.int64), ("one",), "noise")


def test_both_heads_have_equally_many_parameters():
    counts = [
        sum(p.numel() for p in build(f"detector:head={head}", classes=6).parameters())
        for head in ("decoder", "plain")
    ]
    assert counts[0] == pytest.approx(counts[1], rel=0.01)


@pytest.mark.parametrize(("head", "stride"), [("decoder", 2), ("plain", 8)])
def test_maps_are_of_the_stride(head, stride):
    model = build(f"detector:head={head}", classes=6)
    assert model(torch.zeros(2, 3, 48, 64)).shape == (2, 9, 48 // stride, 64 // stride)


def test_shapes_are_whole_apart_and_of_any_number():
    shapes = placed(400, 96, generator())
    there = shapes[..., 0] >= 0
    centre, radius = shapes[..., 1:3], shapes[..., 3]
    assert radius.min() >= RADII[0]
    assert radius.max() <= RADII[1]
    assert ((centre - radius[..., None])[there] >= 0).all()
    assert ((centre + radius[..., None])[there] <= 96).all()
    assert set(there.sum(1).tolist()) == set(range(1, MOST + 1))
    assert set(shapes[..., 0][there].tolist()) == set(range(len(CLASSES)))
    for one, of in zip(shapes, there, strict=True):
        for i in of.nonzero()[:, 0]:
            for j in of.nonzero()[:, 0]:
                if i < j:
                    distance = float((one[i, 1:3] - one[j, 1:3]).norm())
                    assert distance > float(one[i, 3] + one[j, 3])


def test_pixels_change_within_the_boxes_alone_and_do_change_there():
    grey = torch.full((6, 3, 96, 96), 128, dtype=torch.uint8)
    made = scenes(grey, 96, generator(1))
    changed = (made.images - 128 / 255).abs().amax(1) > 1e-4
    for picture, shapes in zip(changed, made.shapes, strict=True):
        within = torch.zeros_like(picture)
        for top, left, bottom, right in objects(shapes).boxes.tolist():
            # a corner of a square that is turned is outside of its circle's box by a little
            reach = 0.25 * (bottom - top) + 1
            rows = slice(max(0, int(top - reach)), int(bottom + reach) + 1)
            columns = slice(max(0, int(left - reach)), int(right + reach) + 1)
            within[rows, columns] = True
            assert picture[rows, columns].float().mean() > 0.1
        assert not (picture & ~within).any()


def test_crops_are_of_the_photographs():
    some = photographs(3).images
    made = scenes(some, 48, generator())
    pixels = (made.images * 255).round().byte()
    for original, crop in zip(some, pixels, strict=True):
        agreement = [
            float((original[:, y : y + 48, x : x + 48] == crop).float().mean())
            for y in range(9)
            for x in range(17)
        ]
        *_, second, first = sorted(agreement)
        assert first > 0.2 > second + 0.1


def test_a_heat_map_is_the_highest_gaussian_of_its_class():
    shapes = placed(2, 48, generator(3))
    heat = heat_map(shapes, 6, torch.Size((24, 24)), 2)
    for n, label, row, column in np.ndindex(2, 6, 24, 24):
        values = [0.0]
        for one, y, x, radius in shapes[n].tolist():
            if one == label:
                squared = ((row + 0.5) * 2 - y) ** 2 + ((column + 0.5) * 2 - x) ** 2
                values.append(np.exp(-squared / (2 * (radius / 3) ** 2)))
        assert float(heat[n, label, row, column]) == pytest.approx(max(values), abs=1e-5)


def test_the_focal_loss_is_its_formula():
    logits = torch.randn(1, 2, 3, 4, generator=generator())
    target = torch.rand(1, 2, 3, 4, generator=generator(1))
    target[0, 0, 1, 2] = 1
    expected = 0.0
    for p, y in zip(logits.sigmoid().flatten().tolist(), target.flatten().tolist(), strict=True):
        if y == 1:
            expected -= (1 - p) ** 2 * np.log(p)
        else:
            expected -= (1 - y) ** 4 * p**2 * np.log(1 - p)
    assert float(focal_loss(logits, target)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("stride", [2, 8])
def test_perfect_maps_have_no_loss_and_are_read_as_the_very_objects(stride):
    shapes = placed(12, 96, generator(5))
    side = 96 // stride
    maps = torch.zeros(12, 9, side, side)
    maps[:, :6] = -30
    for n, k in (shapes[..., 0] >= 0).nonzero().tolist():
        label, y, x, radius = shapes[n, k].tolist()
        row, column = int(y // stride), int(x // stride)
        maps[n, int(label), row, column] = 30
        maps[n, 6:, row, column] = torch.tensor(
            [y / stride - row - 0.5, x / stride - column - 0.5, np.log(radius)]
        )
    total, *_ = detection_losses(maps, shapes, 6, stride)
    assert float(total) < 1e-4
    found = [
        type(one)(*(part[one.scores > 0.5] for part in one)) for one in detections(maps, 6, stride)
    ]
    true = [objects(one) for one in shapes]
    assert mean_average_precision(found, true, 6, 0.95) == 1
    assert sum(len(one.labels) for one in found) == sum(len(one.labels) for one in true)


def test_only_local_maxima_are_detections():
    maps = torch.full((1, 9, 12, 12), -9.0)
    maps[0, 2, 4:7, 4:7] = 1
    maps[0, 2, 5, 5] = 2
    (found,) = detections(maps, 6, 8)
    sure = found.scores > 0.5
    assert found.labels[sure].tolist() == [2]
    assert sure.sum() == 1


def test_the_circle_is_inside_its_radius():
    axis = torch.linspace(-1.5, 1.5, 31)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    depth = inside(torch.tensor([0]), x[None], y[None])[0]
    assert torch.equal(depth > 0, (x**2 + y**2).sqrt() < 1)


def test_it_learns_and_its_record_is_of_the_stored_network(tmp_path):
    task = Detection(RECIPE, photographs(16), photographs(8, seed=1))
    first, again = next(task.batches(1)), next(task.batches(1))
    assert torch.equal(first.inputs, again.inputs)
    assert not torch.equal(first.inputs, next(task.batches(2)).inputs)
    done = train_restoration(RECIPE, tmp_path, task=task, progress=False)
    lines = read_metrics(tmp_path)
    assert lines[-1]["train_loss"] < lines[0]["train_loss"]
    stored = load_checkpoint(done.checkpoint).network()
    inputs = task.inputs(task.validation.images)
    assert precisions(stored, task.validation, 2, inputs) == done.held_out


def test_validation_pictures_are_the_same_for_both_heads():
    data = photographs(16), photographs(8, seed=1)
    tasks = [
        Detection(replace(RECIPE, network=f"detector:head={h}"), *data)
        for h in ("plain", "decoder")
    ]
    assert torch.equal(tasks[0].validation.images, tasks[1].validation.images)
    assert torch.equal(next(tasks[0].batches(3)).inputs, next(tasks[1].batches(3)).inputs)
