"""What is examined, and that a part of a large picture gives the same."""

import pytest
import torch
from torch import nn

from deconvviz.analysis.trust.metrics import edges
from deconvviz.analysis.trust.subject import look_at
from deconvviz.deconv import Deconvnet, Selection
from deconvviz.errors import SelectionError
from deconvviz.models import vgg


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return Deconvnet(vgg(widths=(8, 12, 16)).eval())


@pytest.mark.parametrize("rule", ["deconvnet", "gradient"])
@pytest.mark.parametrize("place", [(0, 0), (9, 13), (20, 31), (20, 7)])
def test_a_part_of_a_large_picture_gives_the_same(net, place, rule):
    image = torch.randn(3, 171, 256)
    layer = "stage3.relu2"
    recording = net.record(image[None], [layer])
    channel = int(recording[layer][0, :, *place].argmax())
    selection = Selection(layer, 0, channel, *place)
    subject = look_at(net, image, selection, rule)
    full = net.project(recording, selection, rule).full()[0]
    top, left, bottom, right = subject.box
    torch.testing.assert_close(subject.pixels, full[:, top:bottom, left:right])
    assert torch.count_nonzero(full) == torch.count_nonzero(subject.pixels)
    assert torch.equal(subject.patch, image[:, top:bottom, left:right])
    torch.testing.assert_close(subject.edges, edges(image)[top:bottom, left:right])
    assert subject.activation == pytest.approx(float(recording.values(selection)), rel=1e-4)
    assert subject.image[0, 0].numel() <= 52 * 52


def test_all_of_the_picture_is_kept_where_it_matters():
    """Instance normalisation: the unit sees nine pixels, but its activation depends on all."""
    torch.manual_seed(0)
    parts = nn.Conv2d(3, 8, 3, padding=1), nn.InstanceNorm2d(8), nn.ReLU()
    net = Deconvnet(nn.Sequential(*parts), (3, 32, 32))
    image = torch.randn(3, 64, 64)
    recording = net.record(image[None], ["2"])
    subject = look_at(net, image, recording.strongest("2", 1), "deconvnet")
    assert subject.image.shape == (1, 3, 64, 64)
    assert subject.patch.shape == (3, 3, 3)


def test_patches_are_put_in_their_place(net):
    image = torch.randn(2, 3, 32, 32)
    recording = net.record(image, ["stage2.relu1"])
    subject = look_at(net, image, recording.strongest("stage2.relu1", 1)[1], "deconvnet")
    again = subject.with_patches(subject.patch[None])
    assert torch.equal(again, subject.image)
    blank = subject.with_patches(torch.zeros(2, *subject.patch.shape))
    assert not subject.cut(blank).any()
    assert torch.count_nonzero(blank[0] != subject.image[0]) == subject.patch.numel()


@pytest.mark.parametrize(
    ("selection", "says"),
    [
        (Selection("stage1.relu1", 0, [1, 2], 3, 3), "this selection makes 2; give one row"),
        (Selection("stage1.relu1", 3, 1, 3, 3), "no image 3; there are 1"),
        (Selection("stage1.relu1", 0, 99, 3, 3), "no channel 99"),
    ],
)
def test_what_is_not_one_projection_is_refused(net, selection, says):
    with pytest.raises(SelectionError, match=says):
        look_at(net, torch.randn(1, 3, 32, 32), selection, "deconvnet")


def test_a_silent_unit_is_refused(net):
    image = torch.randn(1, 3, 32, 32)
    maps = net.record(image, ["stage1.relu1"])["stage1.relu1"][0]
    channel, y, x = (maps == 0).nonzero()[0].tolist()
    with pytest.raises(SelectionError, match=rf"unit {channel} of `stage1.relu1` .* is active"):
        look_at(net, image, Selection("stage1.relu1", 0, channel, y, x), "deconvnet")
