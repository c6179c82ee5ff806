"""Networks on pictures of any size: tiles change nothing, and what is not restored stays."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from deconvviz.deconv import Deconvnet
from deconvviz.errors import CheckpointError, PictureError, SettingError
from deconvviz.io.checkpoint import Description, save_checkpoint
from deconvviz.io.images import photograph
from deconvviz.io.zoo import load
from deconvviz.models import build as build_classifier
from deconvviz.networks import architecture, build
from deconvviz.restoration import shipped
from deconvviz.restoration.apply import NAMES, Network, Restorer
from deconvviz.restoration.degradations import resize
from deconvviz.restoration.metrics import luma

SMALL = {
    "sr": ("fsrcnn:scale=3:features=6:shrunk=4:layers=2", 1),
    "denoise": ("half:width=6:blocks=1", 3),
    "inpaint": ("half:width=6:blocks=3:dilated=true:alpha=true", 4),
}


def network(task, name=None, channels=None):
    """A network with random weights large enough to matter."""
    name, channels = name or SMALL[task][0], channels or SMALL[task][1]
    torch.manual_seed(0)
    model = build(name, channels=channels).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.1)
    return Network(model, architecture(name), task, channels)


def restorer(task, **options):
    one = network(task, **options)
    return Restorer(task, one, one)


@pytest.mark.parametrize(
    ("task", "name"),
    [
        *((task, name) for task, (name, _) in SMALL.items()),
        ("sr", SMALL["sr"][0] + ":last=resize"),
        ("sr", SMALL["sr"][0] + ":last=shuffle"),
    ],
)
def test_tiles_give_what_the_whole_picture_at_once_gives(task, name):
    net = network(task, name)
    pixels = torch.rand(net.channels, 84, 110)
    whole = net.model(pixels[None])[0].clamp(0, 1)
    for tile in (32, 50, 200):
        assert torch.allclose(net(pixels, tile=tile), whole, atol=1e-5), tile


@pytest.mark.parametrize("task", ["sr", "denoise"])
def test_a_self_ensemble_answers_alike_to_a_rotated_or_mirrored_picture(task):
    net = network(task)
    eight = replace(net, self_ensemble=True)
    pixels = torch.rand(net.channels, 36, 30)
    whole = eight(pixels)
    assert whole.shape == net(pixels).shape
    assert not torch.allclose(net(pixels.flip(2)).flip(2), net(pixels), atol=1e-3)
    for turns, axes in ((1, ()), (2, (1,)), (3, (2,)), (0, (1, 2))):
        other = eight(pixels.rot90(turns, (1, 2)).flip(axes))
        assert torch.allclose(other, whole.rot90(turns, (1, 2)).flip(axes), atol=1e-5)


@pytest.mark.parametrize("name", [*(one for one, _ in SMALL.values()), "fsrcnn:scale=2"])
def test_the_reach_is_as_far_as_a_pixel_matters(name):
    made = architecture(name)
    model = build(name, channels=4 if "alpha" in name else 1)
    side = 4 * made.reach + 2
    middle = side // 2
    pixels = torch.zeros(1, 4 if "alpha" in name else 1, side, side, requires_grad=True)
    model(pixels)[0, :, middle * made.enlarges, middle * made.enlarges].sum().backward()
    rows = (pixels.grad.abs().sum((0, 1, 3)) > 0).nonzero().flatten()
    assert int((rows - middle).abs().max()) <= made.reach


def test_odd_sizes_come_back_as_they_were():
    pixels = torch.randint(256, (3, 31, 45), dtype=torch.uint8)
    assert restorer("denoise")(pixels).shape == pixels.shape
    assert restorer("sr")(pixels).shape == (3, 93, 135)


@pytest.mark.parametrize("task", ["sr", "denoise"])
def test_grey_in_grey_out(task):
    pixels = torch.randint(256, (1, 20, 30), dtype=torch.uint8)
    assert len(restorer(task)(pixels)) == 1


def test_super_resolution_has_the_luma_of_the_network_and_interpolated_colours():
    torch.manual_seed(1)
    pixels = torch.randint(100, 156, (3, 24, 24), dtype=torch.uint8)
    made = restorer("sr")
    for parameter in made.colour.model.enlarge.parameters():
        nn.init.normal_(parameter, std=1e-3)  # nothing is clipped
    restored = made(pixels).float()
    wanted = made.colour(luma(pixels.float()) / 255) * 255
    assert (luma(restored) - wanted).abs().max() < 0.5  # rounding
    interpolated = resize(pixels, 72, 72).float()
    changes = restored - interpolated
    assert (changes - changes.mean(0)).abs().max() <= 1  # equal in R, G and B but for rounding


def test_inpainting_changes_missing_pixels_alone_and_does_not_see_them():
    pixels = torch.randint(256, (3, 40, 40), dtype=torch.uint8)
    missing = torch.rand(40, 40) < 0.3
    made = restorer("inpaint")
    filled = made(pixels, missing)
    assert torch.equal(filled[:, ~missing], pixels[:, ~missing])
    other = torch.where(missing, 255 - pixels, pixels)
    assert torch.equal(made(other, missing), filled)
    assert len(made(pixels[:1], missing)) == 1


def test_masks_that_do_not_fit_are_told():
    pixels = torch.zeros(3, 8, 8, dtype=torch.uint8)
    with pytest.raises(SettingError, match="needs one"):
        restorer("inpaint")(pixels)
    with pytest.raises(SettingError, match="for `inpaint`"):
        restorer("denoise")(pixels, torch.zeros(8, 8, dtype=torch.bool))
    with pytest.raises(PictureError, match="the mask is 9 x 8 pixels, and the picture 8 x 8"):
        restorer("inpaint")(pixels, torch.zeros(8, 9, dtype=torch.bool))


def test_a_picture_that_would_be_too_large_is_refused_before_any_work():
    pixels = torch.zeros(1, 1, 1, dtype=torch.uint8).expand(1, 6000, 6000)
    with pytest.raises(PictureError, match="324 megapixels"):
        restorer("sr")(pixels)


def test_progress_counts_tiles():
    seen = []
    network("denoise")(torch.rand(3, 64, 64), lambda *step: seen.append(step), tile=32)
    assert seen == [("restoring", i, 4) for i in range(1, 5)]


def saved(path, task, name, channels):
    description = Description(
        model=name,
        channels=channels,
        size=32,
        classes=() if task in SMALL else ("a", "b"),
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
        data={"title": "none", "fingerprint": ""},
        training={},
        task=task,
    )
    model = build(name, channels=channels, classes=2) if task else build_classifier(name, classes=2)
    save_checkpoint(path, model, description)
    return path


def test_a_checkpoint_of_ones_own_is_taken_where_it_fits(tmp_path):
    path = saved(tmp_path / "own.safetensors", "denoise", *SMALL["denoise"])
    assert Restorer.load("denoise", path).enlarges == 1
    with pytest.raises(SettingError, match="is a network for `denoise`, not for sr2"):
        Restorer.load("sr2", path)
    with pytest.raises(SettingError, match="there are denoise, deblur"):
        Restorer.load("sharpen")
    other = saved(tmp_path / "classifier.safetensors", "", "seed-cnn", 3)
    with pytest.raises(CheckpointError, match="is a classifier"):
        Restorer.load("denoise", other)
    segmenter = saved(tmp_path / "s.safetensors", "segment", "segmenter:widths=4,4,4,4", 3)
    with pytest.raises(CheckpointError, match="for `segment`, which does not restore pictures"):
        Restorer.load("denoise", segmenter)


@pytest.mark.parametrize("name", NAMES)
def test_a_task_without_a_network_says_how_to_get_one(name, monkeypatch, tmp_path):
    monkeypatch.setattr(shipped, "demo_folder", lambda: tmp_path)
    with pytest.raises(CheckpointError, match=f"no network for {name} .* `deconvviz train-resto"):
        Restorer.load(name)


def test_the_engine_takes_a_network_that_fills_in_missing_pixels(tmp_path):
    bundle = load(saved(tmp_path / "own.safetensors", "inpaint", *SMALL["inpaint"]))
    given = bundle.preprocess(photograph("cat").image)
    assert given.shape == (4, 32, 32)
    assert (given[3] == 1).all()
    assert bundle.preprocess(photograph("cat").image, size=None).shape == (4, 300, 450)  # even
    net = Deconvnet(bundle.model, bundle.input_size)
    recording = net.record(given[None])
    layer = net.default_layers[0]
    assert net.project(recording, recording.strongest(layer, 1)).pixels.isfinite().all()


@pytest.mark.parametrize("name", ["half:width=6:blocks=1", "half:width=6:blocks=3:dilated=true"])
def test_a_unit_at_half_the_resolution_sees_as_far_as_a_pixel_matters_to_it(name):
    torch.manual_seed(0)
    model = build(name, channels=3).eval()
    net = Deconvnet(model, (3, 96, 96))
    body, pixels = model.body, torch.zeros(1, 3, 96, 96, requires_grad=True)
    maps = body.block1.conv1(body.first(body.unshuffle(pixels)))
    maps[0, :, 24, 24].sum().backward()
    rows = (pixels.grad.abs().sum((0, 1, 3)) > 0).nonzero().flatten()
    assert len(rows) == int(rows[-1] - rows[0]) + 1
    assert net.layers["body.block1.relu"].receptive_field == (len(rows), len(rows))
