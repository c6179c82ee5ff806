"""Useful pictures, against one picture after the other."""

import pytest
import torch
from torch import nn

from deconvviz.analysis.contributions import ClassScores
from deconvviz.analysis.useful import UsefulOptions, useful, uses
from deconvviz.deconv import Deconvnet
from deconvviz.errors import SelectionError, SettingError
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset
from deconvviz.io.preprocess import Preprocess

SIZE = 10


class Net(nn.Module):
    """Two layers above the units that are ranked, so that a unit's use depends on the picture."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(5)
        self.low = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
        self.high = nn.Sequential(nn.Conv2d(4, 8, 3), nn.ReLU())
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.high(self.low(x)).mean((2, 3)))


@pytest.fixture(scope="module")
def bundle():
    preprocessing = Preprocess(SIZE, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    return Bundle("net", Net().eval(), preprocessing, "net", ("a", "b", "c"))


@pytest.fixture(scope="module")
def dataset(bundle):
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (30, 3, SIZE, SIZE), dtype=torch.uint8, generator=generator)
    return Dataset(images, torch.zeros(30, dtype=torch.int64), bundle.classes, "noise")


def by_hand(bundle, dataset, unit, label):
    """What a unit of `low` adds in each picture, by finite differences of its scale."""
    model = bundle.model.double()
    found = []
    for image in dataset.images:
        pixels = bundle.preprocessing.normalised(image[None]).double()
        with torch.no_grad():
            maps = model.low(pixels)
            step = torch.zeros_like(maps)
            step[:, unit] = 1e-6 * maps[:, unit]
            up, down = (model.head(model.high(maps + s).mean((2, 3)))[0] for s in (step, -step))
        found.append(float((up - down)[label] / 2e-6))
    model.float()
    return torch.tensor(found)


def test_pictures_are_ranked_by_what_the_unit_adds(bundle, dataset):
    found = useful(bundle, dataset, UsefulOptions(layer="low", unit=2, label="b", pictures=5))
    wanted = by_hand(bundle, dataset, 2, 1)
    order = wanted.argsort(descending=True)[:5]
    assert found.useful.pictures.tolist() == order[wanted[order] > 0].tolist()
    assert torch.allclose(found.useful.value, wanted[found.useful.pictures], atol=1e-4)
    assert float(found.total[1]) == pytest.approx(float(wanted.mean()), abs=1e-4)
    with torch.no_grad():
        peaks = bundle.model.low(bundle.preprocessing.normalised(dataset.images))[:, 2]
    assert found.strongest.pictures.tolist() == (
        peaks.amax((1, 2)).argsort(descending=True)[:5].tolist()
    )
    for ranked in (found.useful, found.strongest):
        assert ranked.projections.shape == (len(ranked.pictures), 3, SIZE, SIZE)


def test_without_a_class_it_is_the_one_that_the_unit_raises_most(bundle, dataset, tmp_path):
    found = useful(bundle, dataset, UsefulOptions(layer="low", unit=1))
    means = [float(by_hand(bundle, dataset, 1, label).mean()) for label in range(3)]
    assert found.label == max(range(3), key=means.__getitem__)
    assert torch.allclose(found.total, torch.tensor(means), atol=1e-4)
    assert f"{found.shared} are among" in found.summary()
    assert len(found.save(tmp_path)) == 2


def place_by_place(bundle, image, unit, label):
    """(H, W) what a unit of `low` adds at each place of one picture, by finite differences."""
    model = bundle.model.double()
    with torch.no_grad():
        maps = model.low(bundle.preprocessing.normalised(image[None]).double())
        found = torch.zeros(maps.shape[2:], dtype=torch.float64)
        for y, x in torch.cartesian_prod(*map(torch.arange, maps.shape[2:])).tolist():
            step = torch.zeros_like(maps)
            step[:, unit, y, x] = 1e-6 * maps[:, unit, y, x]
            up, down = (model.head(model.high(maps + s).mean((2, 3)))[0] for s in (step, -step))
            found[y, x] = (up - down)[label] / 2e-6
    model.float()
    return found


def test_units_and_classes_at_once_are_each_alone_at_each_place(bundle, dataset, monkeypatch):
    monkeypatch.setattr("deconvviz.analysis.inputs._PIXELS", 4 * SIZE**2)  # several batches
    some = dataset.subset(range(0, 30, 5))
    units, labels = [3, 0], [2, 0]
    net = Deconvnet(bundle.model, bundle.input_size)
    model = ClassScores(net, bundle.preprocessing.normalised(some.images[:1]))
    steps = []
    found = uses(model, bundle, some, "low", units, labels, lambda *step: steps.append(step[1]))
    assert steps == [4, 6]
    for picture, image in enumerate(some.images):
        for row, unit in enumerate(units):
            for column, label in enumerate(labels):
                wanted = place_by_place(bundle, image, unit, label)
                added = found.contribution[picture, column, row]
                assert float(added) == pytest.approx(float(wanted.sum()), abs=1e-5)
                place = int(found.place[picture, column, row])
                assert float(wanted.flatten()[place]) == pytest.approx(
                    float(wanted.max()), abs=1e-6
                )
    with torch.no_grad():
        maps = bundle.model.low(bundle.preprocessing.normalised(some.images))
    assert torch.allclose(found.activation, maps.amax((2, 3))[:, units])
    for row in range(2):
        for order in (found.strongest(row, 3), found.most_useful(row, 1, 3)):
            assert order.value.tolist() == sorted(order.value.tolist(), reverse=True)
        at = found.strongest(row, 3)
        seen = maps[at.pictures, units[row], at.place[:, 0], at.place[:, 1]]
        assert torch.allclose(seen, at.value)


def test_a_unit_that_is_not_there_is_refused(bundle, dataset):
    with pytest.raises(SelectionError, match="no unit 4; it has 0 to 3"):
        useful(bundle, dataset, UsefulOptions(layer="low", unit=4))


def test_many_classes_need_a_name(bundle, dataset, monkeypatch):
    monkeypatch.setattr("deconvviz.analysis.useful._CLASSES", 2)
    with pytest.raises(SettingError, match="has 3 classes; name the one"):
        useful(bundle, dataset)
