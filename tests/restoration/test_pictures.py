"""The tasks: what a network gets is what its picture suffered, and follows from seed and epoch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from deconvviz.errors import SettingError
from deconvviz.restoration import RestorationRecipe, load_task
from deconvviz.restoration.pictures import Deblurring, Denoising, Inpainting, SuperResolution

RECIPE = RestorationRecipe(
    network="half:width=8:blocks=1", steps_per_epoch=3, batch_size=8, patch=16, channels=3
)
ENLARGE = replace(RECIPE, network="fsrcnn:scale=3", patch=8)
FILL = replace(RECIPE, network="half:width=8:blocks=1:alpha=true")
TASKS = [
    (SuperResolution, ENLARGE),
    (Denoising, RECIPE),
    (Deblurring, RECIPE),
    (Inpainting, FILL),
]


class _Same(nn.Module):
    """Answers what it is given."""

    def __init__(self):
        super().__init__()
        self.place = nn.Parameter(torch.zeros(()))

    def forward(self, pictures):
        return pictures


@pytest.mark.parametrize(("kind", "recipe"), TASKS)
def test_batches_follow_from_seed_and_epoch_alone(shapes, kind, recipe):
    task, again = kind(recipe, *shapes), kind(recipe, *shapes)
    list(task.batches(1))  # earlier epochs leave no trace
    second = list(task.batches(2))
    for one, other in zip(second, again.batches(2), strict=True):
        assert torch.equal(one.inputs, other.inputs)
        assert torch.equal(one.targets, other.targets)
    assert not torch.equal(second[0].targets, second[1].targets)
    for changed in (task.batches(3), kind(replace(recipe, seed=1), *shapes).batches(2)):
        assert not torch.equal(second[0].targets, next(changed).targets)


@pytest.mark.parametrize(("kind", "recipe"), TASKS)
def test_a_batch_has_the_sizes_of_the_network_and_a_finite_loss(shapes, kind, recipe):
    task = kind(recipe, *shapes)
    batch = next(task.batches(1))
    net = task.architecture.network(task.channels, 0, recipe.patch)
    assert net(batch.inputs).shape == batch.targets.shape
    assert task.loss(net, batch).isfinite().all()
    assert all(np.isfinite(value) for value in task.validate(net.eval()).values())


def test_small_and_large_patch_are_of_one_place(shapes):
    """Reducing the large patch by plain means of 3x3 pixels is near the small one."""
    task = SuperResolution(ENLARGE, *shapes)
    batch = next(task.batches(1))
    means = nn.functional.avg_pool2d(batch.targets, 3)
    right = (means - batch.inputs).abs().mean()
    assert right < 0.3 * (means.flip(-1) - batch.inputs).abs().mean()


def test_the_small_picture_is_the_one_a_file_would_hold(shapes):
    task = SuperResolution(ENLARGE, *shapes)
    pixels = shapes[0].pictures[0]
    image = Image.fromarray(pixels.permute(1, 2, 0).numpy())
    small = np.asarray(image.resize((16, 16), Image.Resampling.BICUBIC)).astype(float)
    y = 16 + (65.481 * small[..., 0] + 128.553 * small[..., 1] + 24.966 * small[..., 2]) / 255
    assert np.allclose(task.prepare(pixels).inputs[0] * 255, y, atol=1e-4)


def test_all_eight_positions_of_a_patch_occur(shapes):
    recipe = replace(RECIPE, steps_per_epoch=1, batch_size=64, patch=48, noise=(0, 0))
    task = Denoising(recipe, *(one._subset([0]) for one in shapes))
    targets = next(task.batches(1)).targets
    whole = shapes[0].pictures[0] / 255
    mirrored = whole.flip(-1)
    positions = [torch.rot90(one, k, (-2, -1)) for one in (whole, mirrored) for k in range(4)]
    found = [{i for i, p in enumerate(positions) if torch.equal(p, one)} for one in targets]
    assert all(found)
    assert set().union(*found) == set(range(8))


def test_noise_has_the_drawn_strength_and_some_patches_are_8_bit(shapes):
    recipe = replace(RECIPE, batch_size=256, steps_per_epoch=1, noise=(25, 25))
    batch = next(Denoising(recipe, *shapes).batches(1))
    rounded = ((batch.inputs * 255 - (batch.inputs * 255).round()).abs() < 1e-3).flatten(1).all(1)
    assert 0.15 < rounded.float().mean() < 0.35
    noise = (batch.inputs - batch.targets)[~rounded] * 255
    assert abs(float(noise.std()) - 25) < 0.3
    assert abs(float(noise.mean())) < 0.3


def test_blur_is_a_gaussian_of_the_declared_width(shapes):
    task = Deblurring(RECIPE, *shapes)
    dot = torch.zeros(3, 48, 48, dtype=torch.uint8)
    dot[:, 24, 24] = 255
    spread = task.prepare(dot).inputs[0].double() / 255
    places = torch.arange(48) - 24.0
    assert abs(float(spread.sum()) - 1) < 1e-3
    assert abs(float((spread.sum(0) * places.square()).sum()) - 1.6**2) < 0.05
    batch = next(task.batches(1))
    soft = task.validate(_Same())  # the blurred picture itself
    assert 15 < soft["psnr"] < 40
    assert batch.inputs.shape == batch.targets.shape


def test_missing_pixels_are_black_and_known_ones_untouched(shapes):
    recipe = replace(FILL, batch_size=64, steps_per_epoch=1, missing=(50, 50), patch=32)
    batch = next(Inpainting(recipe, *shapes).batches(1))
    known = batch.inputs[:, 3:]
    assert set(known.unique().tolist()) == {0, 1}
    assert torch.equal(batch.inputs[:, :3], batch.targets * known)
    shares = 1 - known.mean((1, 2, 3))
    assert ((shares - 0.5).abs() < 0.06).float().mean() > 0.2  # single pixels
    assert (shares > 0).float().mean() > 0.9


def test_a_picture_smaller_than_a_patch_is_refused(shapes):
    with pytest.raises(SettingError, match="patch of 64"):
        Denoising(replace(RECIPE, patch=64), *shapes)


def test_an_unknown_task_is_told_what_there_is():
    with pytest.raises(SettingError, match="there are sr, denoise"):
        load_task(replace(RECIPE, task="sharpen"))
