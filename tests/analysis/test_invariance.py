"""How far features go, against features taken one by one and networks built to bear a change."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from deconvviz.analysis.invariance import InvarianceOptions, invariance
from deconvviz.analysis.warp import rotated, shifted
from deconvviz.deconv import Deconvnet
from deconvviz.errors import DataError, PictureError, SettingError, UnknownLayerError
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset, draw_shapes
from deconvviz.io.zoo import load

CLASSES = ("a", "b", "c")


def turning_blind():
    """Looks at colours alone, then at their mean over the picture: quarter turns change nothing."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)
    )
    return Bundle.of(model, (3, 16, 16), classes=CLASSES, name="blind")


def strengths(shifts, scales, angles, **more):
    return InvarianceOptions(
        shifts=tuple(shifts), scales=tuple(scales), angles=tuple(angles), **more
    )


@pytest.fixture(scope="module")
def blind():
    return turning_blind()


@pytest.fixture(scope="module")
def shapes():
    return draw_shapes(8, size=16, seed=2)


@pytest.fixture(scope="module")
def demo():
    return load("demo")


def test_the_picture_as_it_is_has_distance_zero_and_its_own_probability(blind, shapes):
    found = invariance(blind, shapes, strengths([0, 3], [1], [0, 10, 360]))
    for curves, columns in zip(found.transformations, ([0], [0], [0, 2]), strict=True):
        assert not curves.distance[:, :, columns].any()
        for column in columns:
            assert torch.equal(curves.probability[:, column], found.untouched)
    assert found.transformations[0].distance[:, :, 1].all()


def test_a_network_that_gives_probabilities_is_taken_by_its_word(blind, shapes):
    ended = nn.Sequential(blind.model, nn.Softmax(1)).eval()
    same = Bundle.of(ended, blind.input_size, classes=blind.classes)
    options = strengths([0, 3], [1], [0, 10])
    found, again = (invariance(one, shapes, options) for one in (blind, same))
    torch.testing.assert_close(again.untouched, found.untouched)
    for one, other in zip(again.transformations, found.transformations, strict=True):
        torch.testing.assert_close(one.probability, other.probability)


def test_distances_are_those_of_features_taken_one_by_one(demo):
    data = draw_shapes(5, seed=1)
    found = invariance(demo, data, strengths([4], [1.3], [30]))
    assert found.layers == ("stage1.relu1", "stage3.relu2", "head")
    model, images = demo.model, demo.preprocessing.normalised(data.images)

    def layer(index, one):
        below = model.stage1[:3] if index == 0 else model.stages if index == 1 else model
        with torch.no_grad():
            return below(one[None]).flatten().double()

    for index in range(3):
        own = torch.stack([layer(index, one) for one in images])
        unit = torch.pdist(own).square().mean().sqrt()
        moved = torch.stack([layer(index, one) for one in rotated(images, 30)])
        expected = (moved - own).norm(dim=1) / unit
        torch.testing.assert_close(
            found.transformations[2].distance[index, :, 0], expected, atol=1e-4, rtol=1e-4
        )
    with torch.no_grad():
        p = model(rotated(images, 30)).double().softmax(1)
    expected = p[torch.arange(5), found.truth]
    torch.testing.assert_close(
        found.transformations[2].probability[:, 0], expected, atol=1e-5, rtol=1e-4
    )


def test_what_cannot_see_turns_does_not_feel_them_but_its_first_layer_does(blind, shapes):
    found = invariance(blind, shapes, strengths([0], [1], [90, 180, 270]))
    first, last = found.transformations[2].distance
    assert found.layers[1] == "4"
    assert float(last.max()) < 1e-4
    assert float(first.min()) > 0.1
    torch.testing.assert_close(
        found.transformations[2].probability,
        found.untouched[:, None].expand(-1, 3),
        atol=1e-5,
        rtol=0,
    )


def test_features_move_by_whole_units_with_shifts_of_their_stride_and_only_then():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, 2, padding=1), nn.ReLU(), nn.Conv2d(4, 6, 3, 2, padding=1), nn.ReLU()
    )
    net = Deconvnet(model, (1, 48, 48))
    image = torch.zeros(1, 1, 48, 48)
    image[..., 18:26, 18:26] = torch.randn(8, 8)
    (stride, _), features = net.layers["3"].stride, net.record(image, ["3"])["3"]
    moved = net.record(shifted(image, 2 * stride, "mean"), ["3"])["3"]
    inside = slice(4, -4)  # where no padding of the picture is seen
    torch.testing.assert_close(
        moved[:, :, inside], features.roll(2, 2)[:, :, inside], atol=1e-4, rtol=1e-4
    )
    half = net.record(shifted(image, stride // 2, "mean"), ["3"])["3"]
    assert not any(
        torch.allclose(half[:, :, inside], features.roll(k, 2)[:, :, inside], atol=1e-3)
        for k in range(-3, 4)
    )


def test_the_true_class_is_the_label_where_classes_are_the_networks(blind, shapes):
    few = strengths([1], [1.1], [5])
    labels = torch.arange(8) % 3
    known = Dataset(shapes.images, labels, CLASSES, "known")
    with_labels, without = invariance(blind, known, few), invariance(blind, shapes, few)
    assert with_labels.labelled
    assert torch.equal(with_labels.truth, labels)
    assert not without.labelled
    with torch.no_grad():
        decided = blind.model(blind.preprocessing.normalised(shapes.images)).argmax(1)
    assert torch.equal(without.truth, decided)
    assert "p(true class) falls" in with_labels.summary()
    assert "p(class decided on the untransformed picture) falls" in without.summary()


def test_a_network_without_classes_has_distances_only(shapes):
    bundle = replace(turning_blind(), classes=())
    found = invariance(bundle, shapes, strengths([2], [1.2], [45], border="edge"))
    assert found.layers == ("1",)
    assert found.untouched is None
    assert found.transformations[0].probability is None
    assert "p(" not in found.summary()
    found.figure()


def test_it_is_saved_with_every_pictures_curve(blind, shapes, tmp_path):
    found = invariance(blind, shapes)
    numbers, picture = found.save(tmp_path)
    stored = json.loads(numbers.read_text())
    assert stored["transformations"][0]["strengths"] == list(range(-4, 5))
    assert len(stored["transformations"][1]["distance"][0]) == 8
    assert stored["transformations"][2]["mean_distance"][1][0] == 0
    assert picture.stat().st_size > 10_000


def test_the_result_does_not_depend_on_what_else_is_in_a_batch(blind, shapes, monkeypatch):
    options = strengths([0, 3], [1.2], [20, 70])
    whole = invariance(blind, shapes, options)
    monkeypatch.setattr("deconvviz.analysis.inputs._PIXELS", 3 * 16 * 16)
    parts = invariance(blind, shapes, options)
    for one, other in zip(whole.transformations, parts.transformations, strict=True):
        torch.testing.assert_close(one.distance, other.distance, atol=1e-5, rtol=1e-4)


def test_wrong_input_is_refused(blind, demo, shapes):
    few = strengths([0], [1], [5])
    with pytest.raises(DataError, match="at least 2 pictures, got 1"):
        invariance(blind, shapes.subset([0]))
    with pytest.raises(DataError, match="all 2 pictures have equal features in `1`"):
        invariance(blind, shapes.subset([0, 0]), few)
    with pytest.raises(UnknownLayerError, match="no layer `9`"):
        invariance(blind, shapes, InvarianceOptions(layers=("9",)))
    narrow = Dataset(shapes.images[:, :, :, :3], shapes.labels, shapes.classes, "narrow")
    with pytest.raises(PictureError, match="16 x 3"):
        invariance(demo, narrow)


@pytest.mark.parametrize("wrong", [{"border": "wrap"}, {"scales": (0.0,)}, {"angles": (1e999,)}])
def test_wrong_options_are_refused(wrong):
    with pytest.raises(SettingError, match=next(iter(wrong))):
        InvarianceOptions(**wrong)
