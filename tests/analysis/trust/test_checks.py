"""Each control on networks whose answer is known."""

import math

import pytest
import torch
from torch import nn

from deconvviz.analysis.trust import checks
from deconvviz.analysis.trust.similarity import magnitudes, rank_correlation
from deconvviz.analysis.trust.target import find_target
from deconvviz.deconv import Deconvnet, Selection
from tests.analysis.trust.conftest import whole_map


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def same(identity, blob):
    """All units of the identity network together: their projection is the picture."""
    return find_target(identity, blob, whole_map("0", 16), "deconvnet")


@pytest.fixture(scope="module")
def linear():
    """One layer of random kernels of 9 x 9 pixels, without a rectifier: the picture is a kernel."""
    torch.manual_seed(0)
    net = Deconvnet(nn.Sequential(nn.Conv2d(1, 12, 9, bias=False)), (1, 20, 20))
    image = torch.randn(1, 20, 20)
    return find_target(net, image, Selection("0", 0, 4, 5, 6), "deconvnet")


def test_the_identity_projects_the_picture_itself(same, blob):
    torch.testing.assert_close(same.pixels, blob)
    assert same.activation == pytest.approx(float(blob.sum()), rel=1e-5)


def test_shuffling_the_identity_changes_nothing(same):
    (step,) = checks.cascade(same, 2, 2, 10, draws())
    found = step.control.similarity
    assert (found.rank, found.ssim) == (pytest.approx(1), pytest.approx(1))
    assert torch.equal(step.control.example, same.pixels)


def test_unrelated_pictures_share_nothing_with_the_identitys(same):
    """They are the picture with its pixels in random order."""
    found = checks.chance_level(same, 12, draws())
    assert abs(found.similarity.rank) < 0.1
    assert found.similarity.rank_spread == pytest.approx(1 / math.sqrt(255), rel=0.6)
    assert found.similarity.count == 12
    assert torch.equal(found.example.sort()[0].sort(1)[0].unique(), same.pixels.unique())


def test_the_identity_has_no_others_and_no_switches(same):
    assert checks.other_units(same, 8, draws()) is None
    assert checks.random_switches(same, 8, draws()) is None


def test_a_random_start_of_the_identity_is_noise(same):
    found = checks.random_starts(same, 8, draws()).similarity
    assert abs(found.rank) < 0.1
    assert found.count == 8


def test_edges_of_the_identitys_picture_lie_on_its_edge(same):
    """The gradient's length, which a bright disc has on its border alone."""
    edges, chance = checks.edge_similarity(same, 30, draws())
    border = edges.example[0] > edges.example[0].max() / 2
    y, x = border.nonzero().unbind(1)
    radius = ((y - 7.0) ** 2 + (x - 9.0) ** 2).sqrt()
    assert (radius - 5).abs().max() < 2
    expected = rank_correlation(same.edges[None], magnitudes(same.pixels))
    assert edges.similarity.rank == pytest.approx(float(expected))
    assert chance.count == 30
    assert chance.rank < edges.similarity.rank


def test_a_picture_that_is_its_edges_is_found_to_be(identity):
    """A picture of thin bars: where it is bright, its edges are too."""
    image = torch.zeros(1, 16, 16)
    image[0, 4:6, :] = 1
    image[0, :, 10:12] = 1
    target = find_target(identity, image + 1e-3, whole_map("0", 16), "deconvnet")
    edges, chance = checks.edge_similarity(target, 30, draws())
    assert edges.similarity.rank > 0.5
    assert edges.similarity.rank > chance.rank + 3 * chance.rank_spread


def test_one_random_kernel_is_destroyed_by_shuffling(linear):
    """Its projection is the kernel: shuffled, it is as good as another one."""
    torch.testing.assert_close(
        linear.pixels / linear.activation, linear.net.model[0].weight[4].detach()
    )
    (step,) = checks.cascade(linear, 4, 2, 10, draws())
    for control in (step.control, checks.other_units(linear, 11, draws())):
        found = control.similarity
        assert abs(found.rank) < 4 / math.sqrt(81 * found.count)
        assert found.rank_spread == pytest.approx(1 / math.sqrt(80), rel=0.6)


def test_a_picture_without_masks_or_switches_is_of_the_kernels_alone(linear):
    """The same unit in another picture: the same projection up to its scale."""
    other = find_target(linear.net, torch.randn(1, 20, 20), linear.selection, "deconvnet")
    found = checks.similarity(other.pixels[None], linear.pixels)
    assert found.rank == pytest.approx(1)


@pytest.fixture(scope="module")
def brightest():
    """Kernels of one pixel, and the brightest of 16 x 16: the picture is one pixel of the image."""
    model = nn.Sequential(nn.Conv2d(1, 4, 1, bias=False), nn.MaxPool2d(16))
    with torch.no_grad():
        model[0].weight.fill_(1)
    image = torch.rand(1, 16, 16) / 2
    image[0, 3, 12] = 1
    return find_target(
        Deconvnet(model, (1, 16, 16)), image, Selection("1", 0, 0, 0, 0), "deconvnet"
    )


def test_where_the_image_alone_decides_nothing_but_switches_matters(brightest):
    assert brightest.pixels.nonzero().tolist() == [[0, 3, 12]]
    (step,) = checks.cascade(brightest, 2, 2, 10, draws())
    others, seed = (f(brightest, 3, draws()) for f in (checks.other_units, checks.random_starts))
    for control in (step.control, others, seed):
        assert control.similarity.rank == pytest.approx(1)
        assert control.similarity.rank_spread == pytest.approx(0, abs=1e-6)
    switched = checks.random_switches(brightest, 8, draws())
    assert switched.similarity.rank < 0.01
    assert switched.similarity.count == 8
    assert torch.count_nonzero(switched.example) == 1


@pytest.mark.parametrize("rule", ["deconvnet", "guided", "gradient"])
def test_the_cascade_goes_from_the_unit_to_the_pixels(demo, rule):
    net, cat = demo
    recording = net.record(cat[None], ["stage2.relu2"])
    target = find_target(net, cat, recording.strongest("stage2.relu2", 1), rule)
    steps = list(checks.cascade(target, 1, 1, 3, draws()))
    modules = [module for step in steps for module in step.modules]
    assert modules == ["stage2.conv2", "stage2.conv1", "stage1.conv2", "stage1.conv1"]
    assert steps[0].modules == ("stage2.conv2",)
    assert len(steps) == 3
    assert all(step.control.similarity.count > 0 for step in steps)
    again = list(checks.cascade(target, 1, 1, 3, draws()))
    assert [s.control.similarity for s in again] == [s.control.similarity for s in steps]
    other = list(checks.cascade(target, 1, 1, 3, draws(1)))
    assert other[0].control.similarity != steps[0].control.similarity


def test_pictures_of_zeros_do_not_count():
    original = torch.rand(1, 4, 4)
    found = checks.similarity(torch.stack([original, torch.zeros(1, 4, 4)]), original)
    assert (found.rank, found.count) == (pytest.approx(1), 1)
    none = checks.similarity(torch.zeros(2, 1, 4, 4), original)
    assert math.isnan(none.rank)
    assert none.count == 0
