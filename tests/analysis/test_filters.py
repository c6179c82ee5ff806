"""What the first layer's kernels are found to be, on layers made to be so."""

import json

import pytest
import torch
from torch import nn

from deconvviz.analysis.filters import FilterOptions, filters
from deconvviz.analysis.kernels import NYQUIST_CHANCE
from deconvviz.errors import DataError, SettingError
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset, draw_shapes
from deconvviz.io.zoo import load


def made(change=torch.Tensor.detach, stride=1, bias=0.0, seed=0):
    """A network whose first layer has 12 random kernels of 3 x 5 x 5, changed."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(3, 12, 5, stride, padding=2), nn.ReLU())
    with torch.no_grad():
        model[0].weight.normal_(std=0.1)
        model[0].bias.fill_(bias)
        change(model[0].weight)
    return Bundle.of(model, (3, 16, 16), name="made")


def larger(kernels):
    kernels[7] *= 10


def copied(kernels):
    kernels[9] = -2 * kernels[4]


def alternating(kernels):
    signs = (-1.0) ** torch.arange(5)
    kernels[2] = signs[:, None] * signs
    kernels[3] = 1.0


def test_random_kernels_are_near_chance_in_everything():
    found = filters(made())
    assert not found.dominant.any()
    assert found.duplicates == []
    assert float(found.nyquist.mean()) == pytest.approx(NYQUIST_CHANCE, abs=0.05)
    assert float(found.kernels.nearest[1].abs().mean()) == pytest.approx(
        found.chance_similarity, abs=0.07
    )
    assert 11 < found.participation_ratio <= 12
    assert found.dead is None
    assert "none are dominant (RMS" in found.summary()
    assert "the stride is 1, so nothing aliases" in found.summary()


def test_a_kernel_ten_times_longer_is_found_and_named():
    found = filters(made(larger))
    assert found.dominant.nonzero().tolist() == [[7]]
    assert found.participation_ratio < 2
    assert "1 is dominant (RMS above 3 x the median): the largest, 7, holds " in found.summary()
    assert not filters(made(larger), options=FilterOptions(dominance_threshold=20)).dominant.any()


def test_a_copy_with_another_length_and_sign_is_one_pair():
    ((first, second, cosine),) = filters(made(copied)).duplicates
    assert (first, second, cosine) == (4, 9, pytest.approx(-1))
    assert "1 pair is equal" in filters(made(copied)).summary()


def test_a_checkerboard_stands_out_near_nyquist_and_a_constant_does_not():
    nyquist = filters(made(alternating)).nyquist
    assert int(nyquist.argmax()) == 2
    assert int(nyquist.argmin()) == 3
    assert nyquist[2] > 0.85
    assert nyquist[3] < 0.1


def test_a_stride_aliases_what_it_cannot_carry():
    found = filters(made(alternating, stride=2))
    assert int(found.kernels.aliased.argmin()) == 3
    assert "the stride of 2 aliases" in found.summary()
    assert "75% by chance" in found.summary()


@pytest.mark.parametrize(("bias", "dead"), [(1e6, 0), (-1e6, 12)])
def test_units_are_dead_that_no_picture_makes_positive(bias, dead):
    found = filters(made(bias=bias), draw_shapes(40, size=16, seed=0))
    assert int(found.dead.sum()) == dead
    assert f"{dead or 'None'} {'are' if dead else 'is'} dead, on 40 pictures" in found.summary()
    found.figure()


def test_dead_units_are_those_of_one_slow_pass():
    bundle, data = load("demo"), draw_shapes(300, seed=1)
    found = filters(bundle, data)
    with torch.no_grad():
        stage = bundle.model.stage1
        maps = stage.relu1(stage.bn1(stage.conv1(bundle.preprocessing.normalised(data.images))))
    torch.testing.assert_close(found.peak, maps.amax((0, 2, 3)), atol=1e-5, rtol=1e-5)


def test_it_is_saved_with_numbers_for_each_kernel(tmp_path):
    found = filters(made(larger), draw_shapes(20, size=16, seed=0))
    numbers, picture = found.save(tmp_path)
    stored = json.loads(numbers.read_text())
    assert [len(stored["kernels"][name]) for name in ("rms", "aliased")] == [12, 12]
    assert stored["dominant"][7] is True
    assert stored["options"]["dominance_threshold"] == 3
    assert stored["summary"] == found.summary()
    assert picture.stat().st_size > 10_000


def test_grey_kernels_and_one_alone_are_drawn():
    one = Bundle.of(nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU()), (1, 8, 8))
    found = filters(one)
    assert found.duplicates == []
    found.figure()


def test_wrong_input_is_refused():
    bundle, pictures = made(), draw_shapes(4, size=16, seed=0)
    grey = Dataset(pictures.images[:, :1], pictures.labels, pictures.classes, "grey shapes")
    with pytest.raises(DataError, match="1 channels"):
        filters(bundle, grey)
    with pytest.raises(SettingError, match=r"dominance_threshold must be >= 1, got 0.5"):
        FilterOptions(dominance_threshold=0.5)
    with pytest.raises(SettingError, match="no rectified convolution"):
        filters(Bundle.of(nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), (3, 8, 8)))
