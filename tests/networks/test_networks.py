"""Encoder-decoders by name, and what each declares of its sizes."""

import pytest
import torch
from torch import nn

from deconvviz.deconv import Deconvnet
from deconvviz.errors import UnknownModelError
from deconvviz.networks import architecture, build

NAMES = (
    "fsrcnn",
    "fsrcnn:scale=3",
    "fsrcnn:scale=4",
    "fsrcnn:scale=3:last=resize",
    "fsrcnn:scale=4:last=shuffle",
    "fsrcnn:scale=2:last=shuffle",
    "half:width=8:blocks=1",
    "half:width=8:blocks=3:dilated=true",
)


def weights(name):
    """Number of weights of a grey network, without biases and slopes."""
    return sum(p.numel() for p in build(name, channels=1).parameters() if p.ndim > 1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_answer_is_as_large_as_declared(name, channels):
    made = architecture(name)
    height, width = 6 * made.multiple, 5 * made.multiple
    answer = build(name, channels=channels)(torch.rand(2, channels, height, width))
    assert answer.shape == (2, channels, height * made.enlarges, width * made.enlarges)


def test_last_layers_at_scale_3_have_equally_many_weights():
    counts = {
        sum(
            p.numel()
            for p in build(f"fsrcnn:scale=3:last={last}", channels=1).parameters()
            if p.ndim > 1
        )
        for last in ("transposed", "resize", "shuffle")
    }
    assert len(counts) == 1


def test_fsrcnn_has_the_size_of_the_paper():
    # 25 d + s d + 9 m s^2 + d s + 81 d for d = 56, s = 12, m = 4: 12 464 weights, section 3.3
    assert weights("fsrcnn") == 12_464


def test_a_pixel_of_the_input_stays_in_its_place():
    """What a last layer makes of one pixel lies around that pixel's centre in the large picture."""
    for name in NAMES[:6]:
        net = build(name, channels=1).get_submodule("enlarge")
        (last,) = (m for m in net.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d))
        nn.init.ones_(last.weight)
        nn.init.zeros_(last.bias)
        scale = architecture(name).enlarges
        small = torch.zeros(1, 56, 15, 15)
        small[:, :, 7, 7] = 1
        mass = net(small)[0, 0].sum(0).detach()
        centre = float((mass * torch.arange(len(mass))).sum() / mass.sum())
        assert abs(centre - (7.5 * scale - 0.5)) <= 0.5, name


@pytest.mark.parametrize("name", ["fsrcnn", "fsrcnn:last=resize"])
def test_a_network_begins_near_the_picture(name):
    pictures = torch.rand(1, 3, 16, 16)
    scale = architecture(name).enlarges
    given = nn.functional.interpolate(pictures, scale_factor=scale, mode="bicubic")
    assert (build(name, channels=3)(pictures) - given).abs().mean() < 0.05


def test_alpha_is_an_input_and_no_output():
    assert (
        build("half:width=8:blocks=1:alpha=true", channels=4)(torch.rand(1, 4, 8, 8)).shape[1] == 3
    )


@pytest.mark.parametrize(
    "name", ["fsrcnn:scale=2:features=8:shrunk=4:layers=1", "half:width=8:blocks=1"]
)
@pytest.mark.parametrize("rule", ["deconvnet", "gradient"])
def test_the_engine_takes_them(name, rule):
    torch.manual_seed(0)
    net = Deconvnet(build(name, channels=1).eval(), input_size=(1, 16, 16))
    recording = net.record(torch.rand(1, 1, 16, 16))
    layer = net.default_layers[-1]
    projection = net.project(recording, recording.strongest(layer, k=2), rule=rule)
    assert projection.pixels.isfinite().all()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fsrcn", "did you mean `fsrcnn`"),
        ("fsrcnn:scale=5", "scale must be <= 4"),
        ("fsrcnn:speed=5", "no option `speed`"),
        ("half:width=100000", "width must be <= 1024"),
        ("half:blocks=", "blocks"),
    ],
)
def test_a_wrong_name_is_told_what_there_is(name, message):
    with pytest.raises(UnknownModelError, match=message):
        build(name)
