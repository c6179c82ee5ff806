"""Batches cover every picture once; peaks are those of all pictures at once."""

import pytest
import torch

from deconvviz.analysis.inputs import _PIXELS, batches, chosen_layers, peaks
from deconvviz.deconv import Deconvnet
from deconvviz.errors import DataError, SettingError, UnknownLayerError
from deconvviz.io.bundle import check_dataset
from deconvviz.io.data import draw_shapes
from deconvviz.io.zoo import load

LAYERS = ["stage3.relu2", "stage1.relu1"]


@pytest.mark.parametrize("size", [(8, 8), (32, 48), (224, 224), (4000, 4000)])
@pytest.mark.parametrize("count", [0, 1, 7, 1000])
def test_every_picture_is_in_one_batch_and_no_batch_is_large(count, size):
    slices = list(batches(count, size))
    assert [row for rows in slices for row in range(count)[rows]] == list(range(count))
    for rows in slices:
        pictures = rows.stop - rows.start
        assert pictures == 1 or pictures * size[0] * size[1] <= _PIXELS


def test_progress_follows_each_batch():
    steps = []
    list(batches(1000, (32, 32), "looking", progress=lambda *step: steps.append(step)))
    assert steps == [("looking", done, 1000) for done in (256, 512, 768, 1000)]


@pytest.fixture(scope="module")
def bundle():
    return load("demo")


@pytest.fixture(scope="module")
def net(bundle):
    return Deconvnet(bundle.model)


def test_peaks_are_those_of_all_maps_at_once(bundle, net):
    data = draw_shapes(300, seed=3)  # more than one batch
    found = peaks(net, bundle, data, LAYERS)
    assert list(found) == LAYERS
    recording = net.record(bundle.preprocessing.normalised(data.images), LAYERS)
    for layer in LAYERS:
        maps, one = recording[layer], found[layer]
        value, picture = maps.amax((2, 3)).max(0)
        torch.testing.assert_close(one.value[:, 0], value, atol=1e-4, rtol=1e-4)
        alive = value > 0
        assert torch.equal(one.picture[alive, 0], picture[alive])
        assert (one.picture[~alive, 0] == -1).all()
        units = torch.arange(len(value))[alive]
        place = maps[picture[alive], units, one.y[alive, 0], one.x[alive, 0]]
        torch.testing.assert_close(place, value[alive], atol=1e-4, rtol=1e-4)


def test_what_does_not_fit_is_refused(bundle, net):
    data = draw_shapes(3, seed=0)
    with pytest.raises(DataError, match="at least 1 pictures, got 0"):
        peaks(net, bundle, data.subset([]), LAYERS)
    with pytest.raises(DataError, match="at least 4 pictures, got 3"):
        check_dataset(bundle, data, least=4)
    with pytest.raises(UnknownLayerError, match="stage9"):
        peaks(net, bundle, data, ["stage9"])


def test_layers_are_those_chosen_once_or_the_default(net):
    assert chosen_layers(net, [*LAYERS, LAYERS[0]], ["head"]) == tuple(LAYERS)
    assert chosen_layers(net, (), ["head"]) == ("head",)
    with pytest.raises(UnknownLayerError, match="conv9"):
        chosen_layers(net, ["conv9"], ["head"])
    with pytest.raises(SettingError, match="default"):
        chosen_layers(net, (), ())
