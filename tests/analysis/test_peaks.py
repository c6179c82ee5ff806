"""The strongest moment of every unit, against a pass over all pictures at once."""

import pytest
import torch

from deconvviz.analysis.peaks import check_fits, peaks
from deconvviz.deconv import Deconvnet
from deconvviz.errors import DataError, UnknownLayerError
from deconvviz.io.data import draw_shapes
from deconvviz.io.zoo import load

LAYERS = ["stage3.relu2", "stage1.relu1"]


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
        maps, tally = recording[layer], found[layer]
        value, picture = maps.amax((2, 3)).max(0)
        torch.testing.assert_close(tally.value[:, 0], value, atol=1e-4, rtol=1e-4)
        alive = value > 0
        assert torch.equal(tally.picture[alive, 0], picture[alive])
        assert (tally.picture[~alive, 0] == -1).all()
        units = torch.arange(len(value))[alive]
        place = maps[picture[alive], units, tally.y[alive, 0], tally.x[alive, 0]]
        torch.testing.assert_close(place, value[alive], atol=1e-4, rtol=1e-4)


def test_what_does_not_fit_is_refused(bundle, net):
    data = draw_shapes(3, seed=0)
    with pytest.raises(DataError, match="0 pictures are too few; give 1"):
        peaks(net, bundle, data.subset([]), LAYERS)
    with pytest.raises(DataError, match="3 pictures are too few; give 4"):
        check_fits(bundle, data, least=4)
    with pytest.raises(UnknownLayerError, match="no layer `stage9`"):
        peaks(net, bundle, data, ["stage9"])
