"""One picture, degraded and restored: what is measured is what is shown."""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import nn

from deconvviz.errors import PictureError, SettingError
from deconvviz.io.images import photograph
from deconvviz.networks import architecture, build
from deconvviz.restoration.apply import Network, Restorer
from deconvviz.restoration.degradations import from_image
from deconvviz.restoration.trial import LEAST, tried


class Same(nn.Module):
    """Answers its first channels."""

    def forward(self, pictures):
        return pictures[:, :3]


def restorer(task):
    """Networks that change nothing; of super-resolution, bicubic interpolation."""
    if task == "sr":
        name = "fsrcnn:scale=3:features=4:shrunk=4:layers=1"
        model = build(name, channels=1).eval()
        for parameter in model.enlarge.parameters():
            nn.init.zeros_(parameter)
        one = Network(model, architecture(name), "sr", 1)
    else:
        name = "half:alpha=true" if task == "inpaint" else "half"
        one = Network(Same(), architecture(name), task, 4 if task == "inpaint" else 3)
    return Restorer(task, one, one)


@pytest.fixture(scope="module")
def cat():
    return from_image(photograph("cat").image)[:, 40:191, 120:270].contiguous()


@pytest.mark.parametrize(
    ("task", "amount", "peer"),
    [
        ("denoise", 25.0, "non-local means"),
        ("deblur", 1.6, "Wiener deconvolution"),
        ("inpaint", 0.5, "linear interpolation"),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_figures_are_scikit_images_of_what_is_shown(cat, task, amount, peer, channels):
    pixels = cat[:channels]
    found = tried(restorer(task), pixels, amount=amount)
    assert list(found.outcomes) == ["given", peer, "network"]
    assert torch.equal(found.original, pixels)
    for one in found.outcomes.values():
        made, original = (x.permute(1, 2, 0).numpy() for x in (one.pixels, pixels))
        wanted = peak_signal_noise_ratio(original, made, data_range=255)
        assert one.psnr == pytest.approx(wanted, abs=1e-6)
        similarity = structural_similarity(
            original.astype(float),
            made.astype(float),
            channel_axis=2,
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        assert one.ssim == pytest.approx(similarity)
    given, other, network = found.outcomes.values()
    assert torch.equal(network.pixels, given.pixels)
    assert other.psnr > given.psnr + 1
    again = tried(restorer(task), pixels, amount=amount)
    assert torch.equal(again.outcomes["given"].pixels, given.pixels)


def test_pictures_are_degraded_as_they_are_said_to_be(cat):
    noisy = tried(restorer("denoise"), torch.full_like(cat, 128), amount=15.0)
    assert noisy.outcomes["given"].pixels.float().std() == pytest.approx(15, abs=0.2)
    soft = tried(restorer("deblur"), cat, amount=2.0).outcomes["given"].pixels.float().numpy()
    wanted = ndimage.gaussian_filter(cat.float().numpy(), (0, 2, 2), mode="reflect")
    assert (soft - wanted).std() == pytest.approx(2.0, abs=0.1)
    holed = tried(restorer("inpaint"), cat.clamp(min=1), amount=0.25).outcomes["given"].pixels
    assert (holed == 0).all(0).double().mean() == pytest.approx(0.25, abs=0.01)
    assert ((holed == 0).all(0) == (holed == 0).any(0)).all()


def test_enlarging_is_measured_on_luma_without_the_border(cat):
    found = tried(restorer("sr"), cat, amount=1.0)
    height, width = found.original.shape[-2:]
    assert (height, width) == (150, 150)  # multiples of 3
    given = found.outcomes["given"]
    assert given.pixels.shape[-2:] == (50, 50)
    assert math.isnan(given.psnr)
    images = [
        Image.fromarray(one.permute(1, 2, 0).numpy())
        for one in (found.outcomes["bicubic interpolation"].pixels, found.original)
    ]
    lumas = [
        np.asarray(image).astype(float) @ (np.array([65.481, 128.553, 24.966]) / 255)
        for image in images
    ]
    wanted = peak_signal_noise_ratio(*(one[3:-3, 3:-3] for one in lumas), data_range=255)
    assert found.outcomes["bicubic interpolation"].psnr == pytest.approx(wanted, abs=1e-4)
    # torch's bicubic kernel is another one, and nothing is rounded before it
    assert found.network.psnr == pytest.approx(wanted, abs=1.5)


def test_as_it_is_nothing_is_known_and_nothing_measured(cat):
    found = tried(restorer("denoise"), cat)
    assert list(found.outcomes) == ["given", "network"]
    assert found.original is None
    assert all(math.isnan(one.psnr) for one in found.outcomes.values())
    missing = torch.zeros(cat.shape[1:], dtype=torch.bool)
    missing[30:40, 50:90] = True
    filled = tried(restorer("inpaint"), cat, missing=missing)
    for one in filled.outcomes.values():
        assert torch.equal(one.pixels[:, ~missing], cat[:, ~missing])
    assert list(filled.outcomes) == ["given", "linear interpolation", "network"]
    missing[1:] = True
    missing[0] = False  # one known line, which spans no triangle
    assert list(tried(restorer("inpaint"), cat, missing=missing).outcomes) == ["given", "network"]


def test_what_cannot_be_is_refused(cat):
    with pytest.raises(PictureError, match=f"at least {LEAST}"):
        tried(restorer("denoise"), cat[:, : LEAST - 1], amount=5.0)
    for value in (False, True):
        with pytest.raises(PictureError, match="white pixels"):
            tried(restorer("inpaint"), cat, missing=torch.full(cat.shape[1:], value))
    with pytest.raises(SettingError, match="needs one"):
        tried(restorer("inpaint"), cat)
