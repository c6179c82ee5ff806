"""Matching units of two networks, against numpy and against a network that is a shuffled copy."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from deconvviz.analysis.compare import (
    CompareOptions,
    Side,
    compare,
    correlations,
    match_units,
    shuffled_partners,
    side_by_side,
)
from deconvviz.deconv import Deconvnet
from deconvviz.errors import DataError, SettingError, UnknownLayerError, UnknownModelError
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset
from deconvviz.io.preprocess import Preprocess
from deconvviz.io.zoo import load

SIZE = 10


def net_of(seed, stride=1):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 7, 3, stride=stride), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3)
    )


def bundle_of(seed, stride=1):
    model = net_of(seed, stride).eval()
    model(torch.zeros(1, 3, SIZE, SIZE))
    preprocessing = Preprocess(SIZE, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    return Bundle(f"net {seed}", model, preprocessing, "net", ("a", "b", "c"))


@pytest.fixture(scope="module")
def dataset():
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (40, 3, SIZE, SIZE), dtype=torch.uint8, generator=generator)
    return Dataset(images, torch.zeros(40, dtype=torch.int64), ("a", "b", "c"), "noise")


def maps_of(bundle, dataset):
    with torch.no_grad():
        return bundle.model[:2](bundle.preprocessing.normalised(dataset.images)).double()


def side(bundle):
    return Side(bundle, Deconvnet(bundle.model, bundle.input_size), "1")


@pytest.mark.parametrize("partners", [None, shuffled_partners(40, 3)])
def test_correlations_are_numpys(dataset, partners):
    first, second = bundle_of(0), bundle_of(1)
    found, grid = correlations(side(first), side(second), dataset, partners)
    a, b = maps_of(first, dataset), maps_of(second, dataset)
    b = b if partners is None else b[partners]
    rows = [maps.movedim(1, 0).flatten(1).numpy() for maps in (a, b)]
    wanted = np.corrcoef(*rows)[:7, 7:]
    assert grid == (8, 8)
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-9)


def test_maps_of_different_sizes_are_averaged_to_the_smaller_grid(dataset):
    first, second = bundle_of(0), bundle_of(1, stride=2)
    found, grid = correlations(side(first), side(second), dataset)
    a, b = maps_of(first, dataset), maps_of(second, dataset)
    assert grid == (4, 4)
    averaged = a.view(40, 7, 4, 2, 4, 2).mean((3, 5))
    rows = [maps.movedim(1, 0).flatten(1).numpy() for maps in (averaged, b)]
    np.testing.assert_allclose(found.numpy(), np.corrcoef(*rows)[:7, 7:], atol=1e-9)


def shuffled(bundle, order):
    """The same function with its units in another order."""
    model = copy.deepcopy(bundle.model)
    with torch.no_grad():
        model[0].weight.copy_(bundle.model[0].weight[order])
        model[0].bias.copy_(bundle.model[0].bias[order])
    return replace(bundle, model=model, name="shuffled")


def test_the_units_of_a_shuffled_copy_are_found_again(dataset, monkeypatch, tmp_path):
    first = bundle_of(3)
    order = torch.tensor([4, 2, 0, 6, 1, 5, 3])
    monkeypatch.setattr("deconvviz.analysis.inputs.load", lambda _: shuffled(first, order))
    image = first.preprocessing.normalised(dataset.images[:1])[0]
    found = compare(first, image, dataset, CompareOptions(other="shuffled", units=3))
    assert found.matches.unit.tolist() == order.argsort().tolist()
    assert torch.allclose(found.matches.correlation, torch.ones(7, dtype=torch.float64), atol=1e-6)
    assert found.matches.mean_chance < 0.3
    assert torch.allclose(found.first.activation, found.second.activation, atol=1e-5)
    assert torch.allclose(found.first.projections, found.second.projections, atol=1e-4)
    assert found.second.channels.tolist() == order.argsort()[found.first.channels].tolist()
    assert "by 1.00 on average" in found.summary()
    assert len(found.save(tmp_path)) == 2


def test_a_unit_that_never_changes_has_no_match(dataset):
    first = bundle_of(3)
    with torch.no_grad():
        first.model[0].bias[2] = -1e3
    image = first.preprocessing.normalised(dataset.images[:1])[0]
    found = compare(first, image, dataset)
    assert found.matches.unit[2] == -1
    assert found.matches.correlation[2].isnan()
    assert found.second.network == "net 3, random weights"
    shown = found.first.channels.tolist()
    assert 2 not in shown  # it is not active


def test_a_unit_without_a_match_has_nothing_beside_it(dataset):
    first = bundle_of(3)
    image = first.preprocessing.normalised(dataset.images[:1])[0]
    one = side(first)
    matches = match_units(one, one, dataset)
    nothing = replace(matches, unit=torch.full((7,), -1))
    found = side_by_side(one, one, nothing, image, 3, "deconvnet")
    assert found.second.channels.tolist() == [-1] * 3
    assert not found.second.projections.any()
    assert not found.second.activation.any()


def test_earlier_epochs_of_a_network_are_compared_with_it():
    bundle = load("demo-photos")
    epoch = min(bundle.snapshots)
    size = bundle.input_size[1]
    images = torch.randint(0, 256, (4, 3, size, size), dtype=torch.uint8)
    dataset = Dataset(images, torch.zeros(4, dtype=torch.int64), bundle.classes, "noise")
    image = bundle.preprocessing.normalised(images[:1])[0]
    found = compare(bundle, image, dataset, CompareOptions(epoch=epoch, units=2))
    assert found.second.network.endswith(f"epoch {epoch}")
    with pytest.raises(UnknownModelError, match="no snapshot of epoch 10000"):
        compare(bundle, image, dataset, CompareOptions(epoch=10_000))


def test_what_cannot_be_compared_is_refused(dataset):
    first = bundle_of(3)
    image = first.preprocessing.normalised(dataset.images[:1])[0]
    with pytest.raises(SettingError, match="demo"):
        compare(first, image, dataset, CompareOptions(other="demo"))
    with pytest.raises(UnknownLayerError):
        compare(first, image, dataset, CompareOptions(other_layer="nowhere"))
    one = Dataset(dataset.images[:1], dataset.labels[:1], dataset.classes, "one")
    with pytest.raises(DataError, match="at least 2"):
        compare(first, image, one)


@pytest.mark.parametrize("count", [2, 3, 50])
def test_partners_are_all_others_once_and_no_picture_is_its_own(count):
    partners = shuffled_partners(count, 5)
    assert sorted(partners.tolist()) == list(range(count))
    assert (partners != torch.arange(count)).all()
    assert torch.equal(partners, shuffled_partners(count, 5))


def test_a_layer_with_itself_is_the_same_as_with_a_copy(dataset):
    bundle = bundle_of(3)
    one = side(bundle)
    alone, _ = correlations(one, one, dataset)
    copied, _ = correlations(one, side(bundle), dataset)
    assert torch.allclose(alone, copied, equal_nan=True)
