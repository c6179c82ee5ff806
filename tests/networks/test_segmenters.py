"""The three designs of a segmenter."""

import pytest
import torch
from torch import nn

from deconvviz.deconv import Deconvnet
from deconvviz.errors import UnknownModelError
from deconvviz.networks import architecture, build
from deconvviz.networks.segmenters import EQUAL_WIDTHS

SMALL = ":widths=4,6,8,10"


def parameters(model):
    return sum(p.numel() for p in model.parameters())


def test_the_designs_have_equally_many_parameters_and_at_most_a_million():
    counts = [
        parameters(build(f"segmenter:back={back}", channels=3, classes=11)) for back in EQUAL_WIDTHS
    ]
    assert max(counts) < 1.01 * min(counts)
    assert max(counts) <= 1_000_000


@pytest.mark.parametrize("back", EQUAL_WIDTHS)
def test_each_pixel_gets_a_score_of_each_class(back):
    model = build(f"segmenter:back={back}{SMALL}", channels=3, classes=5)
    assert model(torch.zeros(2, 3, 32, 48)).shape == (2, 5, 32, 48)
    assert architecture("segmenter").multiple == 16


def test_only_the_unet_sees_the_encoders_maps():
    """With the lowest level silenced, a U-Net still answers differently to different pictures."""
    pictures = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    differ = {}
    for back in EQUAL_WIDTHS:
        torch.manual_seed(0)
        model = build(f"segmenter:back={back}{SMALL}", channels=3, classes=5).eval()
        nn.init.zeros_(model.down[-1][-2].weight)
        nn.init.zeros_(model.down[-1][-2].bias)
        first, second = model(pictures)
        differ[back] = not torch.equal(first, second)
    assert differ == {"unpool": False, "transposed": False, "unet": True}


def test_unpooling_puts_values_where_the_maxima_were():
    model = build(f"segmenter:back=unpool{SMALL}", channels=3, classes=5).eval()
    seen = []
    model.decode[-1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model.stem.register_forward_hook(lambda _m, _i, output: seen.append(output))
    for layer in model.up[-1]:
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.ones_(layer.bias)
    model(torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1)))
    stem, unpooled = seen
    for channel, (below, above) in enumerate(zip(stem[0], unpooled[0], strict=True)):
        for y in range(0, 16, 2):
            for x in range(0, 16, 2):
                window, values = below[y : y + 2, x : x + 2], above[y : y + 2, x : x + 2]
                at = window.flatten().argmax()
                others = torch.cat([values.flatten()[:at], values.flatten()[at + 1 :]])
                assert not others.any(), (channel, y, x)
    assert unpooled.count_nonzero() > 100


@pytest.mark.parametrize("name", ["segmenter:back=none", "segmenter:widths=1,2"])
def test_what_there_is_not_is_refused(name):
    with pytest.raises(UnknownModelError, match="no network `segmenter"):
        build(name)


@pytest.mark.parametrize(("back", "last"), [("transposed", "scores"), ("unet", "scores")])
def test_the_engine_undoes_these_down_to_the_pixels_as_autograd_does(back, last):
    torch.manual_seed(0)
    net = Deconvnet(build(f"segmenter:back={back}{SMALL}", channels=3, classes=5), (3, 32, 32))
    assert not net.coverage.unsupported
    assert net.verify(layers=[last]).passed
    recording = net.record(torch.rand(1, 3, 32, 32), [last])
    assert net.project(recording, recording.strongest(last, k=2)).pixels.abs().sum() > 0


def test_of_unpooling_the_engine_undoes_the_encoder_and_names_the_rest():
    net = Deconvnet(build(f"segmenter:back=unpool{SMALL}", channels=3, classes=5), (3, 32, 32))
    assert "max_unpool2d" in str(net.coverage)
    assert net.verify(layers=["down.2.5"]).passed
