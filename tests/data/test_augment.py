"""Variations of a batch, held against every picture that each variation may give."""

import numpy as np
import pytest
import torch

from deconvviz.data import Augmentation, draw_shapes, normalise
from deconvviz.errors import DataError


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def all_crops(picture, pad):
    """Every crop of one (C, H, W) picture, by NumPy's own reflection: (down, right) -> bytes."""
    _, height, width = picture.shape
    padded = np.pad(picture, ((0, 0), (pad, pad), (pad, pad)), mode="reflect")
    return {
        padded[:, down : down + height, right : right + width].tobytes(): (down, right)
        for down in range(2 * pad + 1)
        for right in range(2 * pad + 1)
    }


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("form", [(12, 12), (9, 14)])
def test_each_result_is_a_crop_of_its_own_reflected_picture_mirrored_or_not(channels, form):
    images = torch.randint(256, (64, channels, *form), dtype=torch.uint8, generator=generator(1))
    results = Augmentation(crop=2, flip=True)(images, generator())
    assert results.shape == images.shape
    assert results.dtype == images.dtype
    for picture, result in zip(images.numpy(), results.numpy(), strict=True):
        crops = all_crops(picture, 2)
        assert result.tobytes() in crops or result[:, :, ::-1].tobytes() in crops


def test_every_crop_and_mirror_image_is_equally_likely():
    picture = torch.randint(256, (3, 8, 8), dtype=torch.uint8, generator=generator(1))
    crops = all_crops(picture.numpy(), 1)
    counts = np.zeros((2, 3, 3))
    for result in Augmentation(crop=1)(picture.expand(3600, 3, 8, 8), generator()).numpy():
        mirrored = result.tobytes() not in crops
        upright = result[:, :, ::-1] if mirrored else result
        counts[(int(mirrored), *crops[upright.tobytes()])] += 1
    # 200 expected in each of 18 cells; chi-squared of 17 degrees stays below 40.8 in 999 of 1000
    assert ((counts - 200) ** 2 / 200).sum() < 40.8


def test_nothing_switched_on_changes_nothing():
    images = draw_shapes(8, size=12).images
    assert torch.equal(Augmentation(crop=0, flip=False)(images, generator()), images)


def test_largest_crop_reflects_up_to_the_far_border_and_a_larger_one_is_refused():
    images = draw_shapes(4, size=8).images
    assert Augmentation(crop=7)(images, generator()).shape == images.shape
    with pytest.raises(
        DataError, match="a crop of 8 cannot reflect pictures of 8x8; use a smaller"
    ):
        Augmentation(crop=8)(images, generator())


def test_float_and_uint8_pictures_are_moved_alike():
    images = draw_shapes(16, size=12).images
    whole = Augmentation()(images, generator())
    floats = Augmentation()(images.double(), generator())
    assert torch.equal(floats, whole.double())


def test_same_generator_state_gives_the_same_and_the_next_call_another():
    images, augmentation = draw_shapes(16).images, Augmentation(cutout=8)
    first = generator(3)
    once = augmentation(images, first)
    assert torch.equal(once, augmentation(images, generator(3)))
    assert not torch.equal(once, augmentation(images, first))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float64])
def test_cutout_hides_one_square_of_the_stated_side_with_the_mean_and_nothing_else(dtype):
    side, pictures = 5, 200
    images = (
        (torch.arange(3 * 12 * 12).view(1, 3, 12, 12) % 251).to(dtype).expand(pictures, -1, -1, -1)
    )
    results = Augmentation(crop=0, flip=False, cutout=side)(images, generator())
    mean = images[0].double().mean(dim=(1, 2)).numpy()
    seen = set()
    for picture, result in zip(images.double().numpy(), results.double().numpy(), strict=True):
        rows, columns = np.nonzero((picture != result).any(axis=0))
        top, bottom, left, right = rows.min(), rows.max(), columns.min(), columns.max()
        hidden = result[:, top : bottom + 1, left : right + 1]
        assert np.abs(hidden - mean[:, None, None]).max() <= (0.5 if dtype == torch.uint8 else 1e-4)
        for low, high in ((top, bottom), (left, right)):
            length = high - low + 1
            assert length == side or (length < side and (low == 0 or high == 11))
        seen.add((top, bottom, left, right))
    assert len(seen) > 90  # of the 144 places for the centre


@pytest.mark.gpu
def test_gpu_gives_what_the_cpu_gives():
    images, augmentation = draw_shapes(64).images, Augmentation(cutout=8)
    there = augmentation(images.cuda(), generator())
    assert there.is_cuda
    assert torch.equal(there.cpu(), augmentation(images, generator()))


MEAN, STD = (0.49, 0.48, 0.45), (0.25, 0.24, 0.26)


def test_normalised_pixels_are_those_of_the_formula_in_float64():
    images = draw_shapes(8).images
    wanted = (images.numpy() / 255 - np.array(MEAN)[:, None, None]) / np.array(STD)[:, None, None]
    result = normalise(images, MEAN, STD)
    assert result.dtype == torch.float32
    assert result.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(result.numpy(), wanted, atol=1e-6)
    from_floats = normalise(images.double() / 255, MEAN, STD)
    assert from_floats.dtype == torch.float64
    np.testing.assert_allclose(from_floats.numpy(), wanted, atol=1e-6)


def test_normalise_leaves_its_input_alone_and_takes_any_number_of_channels():
    floats = torch.rand(2, 5, 8, 8, generator=generator())
    before = floats.clone()
    result = normalise(floats, (0.5,) * 5, (0.1,) * 5, torch.contiguous_format)
    assert torch.equal(floats, before)
    assert result.is_contiguous()
