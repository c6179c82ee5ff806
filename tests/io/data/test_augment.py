"""Variations of a batch, held against every picture that each variation may give."""

import hashlib
import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from torchvision.transforms import RandomResizedCrop

from deconvviz.errors import DataError, SettingError
from deconvviz.io.data import Augmentation, augment, draw_shapes, normalise
from deconvviz.io.data.augment import rotate


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
    results = Augmentation(crop_padding=2, flip=True)(images, generator())
    assert results.shape == images.shape
    assert results.dtype == images.dtype
    for picture, result in zip(images.numpy(), results.numpy(), strict=True):
        crops = all_crops(picture, 2)
        assert result.tobytes() in crops or result[:, :, ::-1].tobytes() in crops


def test_every_crop_and_mirror_image_is_equally_likely():
    picture = torch.randint(256, (3, 8, 8), dtype=torch.uint8, generator=generator(1))
    crops = all_crops(picture.numpy(), 1)
    counts = np.zeros((2, 3, 3))
    for result in Augmentation(crop_padding=1)(picture.expand(3600, 3, 8, 8), generator()).numpy():
        mirrored = result.tobytes() not in crops
        upright = result[:, :, ::-1] if mirrored else result
        counts[(int(mirrored), *crops[upright.tobytes()])] += 1
    # 200 expected in each of 18 cells; chi-squared of 17 degrees stays below 40.8 in 999 of 1000
    assert ((counts - 200) ** 2 / 200).sum() < 40.8


def test_nothing_switched_on_changes_nothing():
    images = draw_shapes(8, size=12).images
    assert torch.equal(Augmentation(crop_padding=0, flip=False)(images, generator()), images)


def test_largest_crop_reflects_up_to_the_far_border_and_a_larger_one_is_refused():
    images = draw_shapes(4, size=8).images
    assert Augmentation(crop_padding=7)(images, generator()).shape == images.shape
    with pytest.raises(DataError, match="crop_padding"):
        Augmentation(crop_padding=8)(images, generator())


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
    results = Augmentation(crop_padding=0, flip=False, cutout=side)(images, generator())
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


def test_what_later_variations_draw_leaves_recipes_without_them_as_they_were():
    """The digest of what these three gave before there was rotation or RandAugment."""
    images, source = draw_shapes(64).images, generator(11)
    digest = hashlib.sha256()
    for options in ({}, {"cutout": 8}, {"crop_padding": 2, "flip": False, "cutout": 5}):
        digest.update(Augmentation(**options)(images, source).numpy().tobytes())
    digest.update(torch.rand(4, generator=source).numpy().tobytes())
    assert digest.hexdigest().startswith("04e0a5d2331f774440bd7711d6a1cb17")


def test_no_turn_is_the_identity_and_a_quarter_is_that_of_the_pixels():
    images = draw_shapes(6, size=13).images
    degrees = torch.tensor([0.0, 90.0, 180.0, 270.0, -90.0, 360.0])
    turned = rotate(images, degrees)
    for picture, result, quarters in zip(images, turned, (0, 1, 2, 3, -1, 0), strict=True):
        assert torch.equal(result, picture.rot90(quarters, (1, 2)))


@pytest.mark.parametrize("form", [(12, 12), (9, 16)])
def test_a_turn_is_the_bilinear_one_of_scipy_with_mirrored_borders(form):
    images = torch.rand(8, 2, *form, generator=generator(), dtype=torch.float64)
    degrees = torch.linspace(-170, 175, 8)
    centre = (np.array(form) - 1) / 2
    y, x = np.indices(form) - centre[:, None, None]
    for picture, result, angle in zip(images, rotate(images, degrees), degrees, strict=True):
        turn = math.radians(angle)
        # where a pixel of the result comes from: y points down, so this turns back, clockwise
        places = [math.sin(turn) * x + math.cos(turn) * y, math.cos(turn) * x - math.sin(turn) * y]
        places = np.stack(places) + centre[:, None, None]
        for channel, found in zip(picture.numpy(), result.numpy(), strict=True):
            wanted = ndimage.map_coordinates(channel, places, order=1, mode="mirror")
            np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_angles_are_uniform_between_both_limits_and_each_picture_has_its_own(monkeypatch):
    angles = []

    def spy(images, degrees):
        angles.append(degrees)
        return images

    monkeypatch.setattr(augment, "rotate", spy)
    images = torch.zeros(20_000, 1, 8, 8, dtype=torch.uint8)
    Augmentation(crop_padding=0, flip=False, rotation=30)(images, generator())
    (drawn,) = angles
    assert drawn.unique().numel() > 19_900
    assert drawn.abs().max() <= 30
    assert abs(drawn.mean()) < 0.5  # four deviations
    counts = torch.histc(drawn, bins=10, min=-30, max=30)
    assert ((counts - 2000) ** 2 / 2000).sum() < 27.9  # chi-squared of 9 degrees: 999 of 1000


def test_rotation_keeps_the_form_and_comes_before_cutout():
    images = draw_shapes(16, size=12).images
    turned = Augmentation(crop_padding=0, flip=False, rotation=45)(images, generator(2))
    assert (turned.shape, turned.dtype) == (images.shape, torch.uint8)
    hidden = Augmentation(crop_padding=0, flip=False, rotation=45, cutout=4)(images, generator(2))
    changed = (hidden != turned).any(dim=1)
    assert 0 < changed.sum((1, 2)).max() <= 16


@pytest.mark.parametrize("options", [{"rotation": 20}, {"randaugment": 9}])
def test_rotation_and_randaugment_follow_the_generator_alone(options):
    images = draw_shapes(12).images
    augmentation = Augmentation(crop_padding=0, flip=False, **options)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    source = generator(4)
    once = augmentation(images, source)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(once, images)
    assert not torch.equal(once, augmentation(images, source))
    torch.manual_seed(99)
    assert torch.equal(once, augmentation(images, generator(4)))


def test_randaugment_changes_more_with_its_magnitude_and_takes_grey():
    images = draw_shapes(60, channels=1).images.float()
    changes = [
        (Augmentation(0, False, randaugment=m)(images.byte(), generator()) - images).abs().mean()
        for m in (1, 10, 30)
    ]
    assert changes == sorted(changes)


def test_randaugment_refuses_what_it_cannot_take():
    augmentation = Augmentation(randaugment=5)
    for images in (draw_shapes(2, channels=4).images, draw_shapes(2).images.float()):
        with pytest.raises(DataError, match=r"RandAugment takes uint8 pictures of 1 or 3 channels"):
            augmentation(images, generator())


@pytest.mark.parametrize(
    "options",
    [
        {"crop_padding": -1},
        {"crop_padding": 1.5},
        {"cutout": math.nan},
        {"rotation": 181.0},
        {"rotation": math.inf},
        {"randaugment": 31},
        {"crop_scale": 0.0},
        {"crop_scale": 1.5},
        {"crop_ratio": 0.5},
    ],
)
def test_invalid_options_are_refused(options):
    with pytest.raises(SettingError, match=next(iter(options))):
        Augmentation(**options)


@pytest.mark.gpu
def test_gpu_turns_as_the_cpu_does_but_for_rounding():
    images, augmentation = draw_shapes(64).images, Augmentation(rotation=30)
    there = augmentation(images.cuda(), generator()).cpu().int()
    assert (there - augmentation(images, generator())).abs().max() <= 1


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


def test_resized_crops_are_those_that_torchvision_cuts():
    """Of a picture whose pixels say where they are, a crop's corners say what was cut."""
    height = width = 64
    rows = torch.arange(height).view(1, 1, -1, 1).expand(4000, 1, height, width).float()
    columns = torch.arange(width).view(1, 1, 1, -1).expand(4000, 1, height, width).float()
    vary = Augmentation(crop_padding=0, flip=False, crop_scale=0.25, crop_ratio=4 / 3)
    cut = vary(torch.cat([rows, columns], dim=1), generator())
    # between neighbouring pixels of the result, how far apart they were in the picture
    tall = (cut[:, 0, 40, 30] - cut[:, 0, 20, 30]) / 20
    wide = (cut[:, 1, 30, 40] - cut[:, 1, 30, 20]) / 20
    area, ratio = tall * wide, wide / tall
    assert area.min() > 0.24
    assert area.max() < 1.01
    assert ratio.min() > 0.74
    assert ratio.max() < 1.34
    picture = torch.zeros(3, 1000, 1000)
    peers = [RandomResizedCrop.get_params(picture, [0.25, 1.0], [3 / 4, 4 / 3]) for _ in cut]
    areas = torch.tensor([h * w for _, _, h, w in peers]) / 1e6
    assert abs(area.mean() - areas.mean()) < 0.02
    assert abs(area.std() - areas.std()) < 0.02
    assert abs(ratio.log().mean()) < 0.01
    assert cut.min() >= 0
    assert cut.max() <= 63


def test_a_resized_crop_of_everything_is_the_picture_and_an_aspect_alone_changes_one_side():
    images = draw_shapes(8, size=24).images
    torch.testing.assert_close(
        augment._resized(images, torch.tensor([[1, 1, 0.5, 0.5]] * 8)), images
    )
    squeezed = Augmentation(crop_padding=0, flip=False, crop_ratio=2.0)(images, generator())
    assert squeezed.shape == images.shape
    assert not torch.equal(squeezed, images)
