"""What is examined, and that a part of a large picture gives the same."""

import pytest
import torch
from torch import nn

from deconvviz.analysis.trust.similarity import edges
from deconvviz.analysis.trust.target import find_target
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
    target = find_target(net, image, selection, rule)
    full = net.project(recording, selection, rule).full()[0]
    top, left, bottom, right = target.box
    torch.testing.assert_close(target.pixels, full[:, top:bottom, left:right])
    assert torch.count_nonzero(full) == torch.count_nonzero(target.pixels)
    assert torch.equal(target.patch, image[:, top:bottom, left:right])
    torch.testing.assert_close(target.edges, edges(image)[top:bottom, left:right])
    assert target.activation == pytest.approx(float(recording.values(selection)), rel=1e-4)
    assert target.image[0, 0].numel() <= 52 * 52


def test_all_of_the_picture_is_kept_where_it_matters():
    """Instance normalisation: the unit sees nine pixels, but its activation depends on all."""
    torch.manual_seed(0)
    parts = nn.Conv2d(3, 8, 3, padding=1), nn.InstanceNorm2d(8), nn.ReLU()
    net = Deconvnet(nn.Sequential(*parts), (3, 32, 32))
    image = torch.randn(3, 64, 64)
    recording = net.record(image[None], ["2"])
    target = find_target(net, image, recording.strongest("2", 1), "deconvnet")
    assert target.image.shape == (1, 3, 64, 64)
    assert target.patch.shape == (3, 3, 3)


def test_patches_are_put_in_their_place(net):
    image = torch.randn(2, 3, 32, 32)
    recording = net.record(image, ["stage2.relu1"])
    target = find_target(net, image, recording.strongest("stage2.relu1", 1)[1], "deconvnet")
    again = target.with_patches(target.patch[None])
    assert torch.equal(again, target.image)
    blank = target.with_patches(torch.zeros(2, *target.patch.shape))
    assert not target.cut(blank).any()
    assert torch.count_nonzero(blank[0] != target.image[0]) == target.patch.numel()


@pytest.mark.parametrize(
    ("selection", "says"),
    [
        (Selection("stage1.relu1", 0, [1, 2], 3, 3), "2 projections"),
        (Selection("stage1.relu1", 3, 1, 3, 3), "no image 3"),
        (Selection("stage1.relu1", 0, 99, 3, 3), "no channel 99"),
    ],
)
def test_what_is_not_one_projection_is_refused(net, selection, says):
    with pytest.raises(SelectionError, match=says):
        find_target(net, torch.randn(1, 3, 32, 32), selection, "deconvnet")


def test_a_silent_unit_is_refused(net):
    image = torch.randn(1, 3, 32, 32)
    maps = net.record(image, ["stage1.relu1"])["stage1.relu1"][0]
    channel, y, x = (maps == 0).nonzero()[0].tolist()
    with pytest.raises(SelectionError, match="projection of zero"):
        find_target(net, image, Selection("stage1.relu1", 0, channel, y, x), "deconvnet")
