"""One picture of a data set, to the wanted size and number of channels."""

import numpy as np
import pytest
import torch
from PIL import Image

from deconvviz.errors import DataError
from deconvviz.io.data import draw_shapes
from deconvviz.io.data.pictures import decode, grey, to_channels


@pytest.mark.parametrize("shape", [(80, 48), (48, 80)])
def test_resized_picture_is_the_centre_after_resizing_the_shorter_side(tmp_path, shape):
    pixels = draw_shapes(1, size=80).images[0].permute(1, 2, 0).numpy()[: shape[0], : shape[1]]
    image = Image.fromarray(pixels)
    image.save(tmp_path / "a.png")
    small = image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC)
    left, top = (small.width - 24) // 2, (small.height - 24) // 2
    wanted = np.asarray(small, int)[top : top + 24, left : left + 24].transpose(2, 0, 1)
    # Pillow rounds after each of its two passes, whose order depends on the shape
    assert np.abs(decode(tmp_path / "a.png", 24, 3) - wanted).max() <= 2


def test_resizing_averages_instead_of_skipping(tmp_path):
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[::2] = 200
    Image.fromarray(pixels).save(tmp_path / "a.png")
    small = decode(tmp_path / "a.png", 16, 3)
    assert small.shape == (3, 16, 16)
    assert np.abs(small[:, 2:-2].astype(int) - 100).max() <= 3


def test_small_pictures_are_enlarged(tmp_path):
    Image.new("RGB", (10, 12), (1, 2, 3)).save(tmp_path / "a.png")
    assert decode(tmp_path / "a.png", 20, 3).reshape(3, -1).T.tolist() == [[1, 2, 3]] * 400


def test_phone_pictures_stand_upright(tmp_path):
    image = Image.new("RGB", (20, 10), "red")
    exif = image.getexif()
    exif[0x0112] = 6  # turned by 90 degrees
    image.save(tmp_path / "a.jpg", exif=exif)
    assert decode(tmp_path / "a.jpg", None, 3).shape == (3, 20, 10)


def test_tensors_become_grey_as_pillow_makes_them():
    images = draw_shapes(6).images
    for picture, luma in zip(images, grey(images), strict=True):
        wanted = np.asarray(Image.fromarray(picture.permute(1, 2, 0).numpy()).convert("L"))
        assert np.array_equal(luma[0].numpy(), wanted)
    every = torch.cartesian_prod(*[torch.arange(0, 256, 5).byte()] * 3).T.reshape(1, 3, 52, -1)
    wanted = np.asarray(Image.fromarray(every[0].permute(1, 2, 0).numpy()).convert("L"))
    assert np.array_equal(grey(every)[0, 0].numpy(), wanted)


def test_other_numbers_of_channels_are_refused(tmp_path):
    with pytest.raises(DataError, match="got 4"):
        decode(tmp_path / "a.png", 16, 4)


def test_channels_are_repeated_or_weighed_or_left_alone():
    colour = torch.randint(256, (3, 3, 5, 4), dtype=torch.uint8, generator=torch.Generator())
    one = grey(colour)
    assert to_channels(colour, 3) is colour
    assert torch.equal(to_channels(colour, 1), one)
    three = to_channels(one, 3)
    assert three.shape == colour.shape
    assert all(torch.equal(three[:, [c]], one) for c in range(3))
