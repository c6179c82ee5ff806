"""Why an answer: a network whose mistake has one known cause, and units switched off by hand."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from deconvviz.analysis.mending import MendingOptions, mending
from deconvviz.analysis.why import WhyOptions, why
from deconvviz.deconv import Deconvnet
from deconvviz.errors import DataError, SelectionError, SettingError, UnknownLayerError
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset
from deconvviz.io.preprocess import Preprocess

SIZE = 12
CULPRIT = 4
"""Unit that answers to red, and is wired to the wrong class."""


class Planted(nn.Module):
    """Units that answer to one colour each; blue is class 0, and red, the culprit, class 1."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.head = nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Linear(6, 3)
        torch.manual_seed(0)
        with torch.no_grad():
            self.conv.weight.mul_(0.02)
            self.conv.bias.fill_(0.01)
            self.conv.weight[1, 2, 1, 1] = 1.0  # blue
            self.conv.weight[CULPRIT, 0, 1, 1] = 1.0  # red
            self.head.weight.mul_(0.01)
            self.head.weight[0, 1] = 1.0
            self.head.weight[1, CULPRIT] = 5.0

    def forward(self, x):
        return self.head(self.relu(self.conv(x)).mean((2, 3)))


@pytest.fixture(scope="module")
def bundle():
    preprocessing = Preprocess(SIZE, mean=(0, 0, 0), std=(1, 1, 1))
    return Bundle("planted", Planted().eval(), preprocessing, "planted", ("blue", "red", "green"))


def picture(red: int) -> torch.Tensor:
    """A blue picture, uint8 (3, H, W), with so many red pixels."""
    found = torch.zeros(3, SIZE * SIZE, dtype=torch.uint8)
    found[2] = 255
    found[0, :red] = 255
    return found.view(3, SIZE, SIZE)


def pixels(bundle, red):
    return bundle.preprocessing.normalised(picture(red)[None])[0]


def test_the_unit_that_causes_a_wrong_answer_is_named_and_without_it_the_answer_is_right(bundle):
    found = why(bundle, pixels(bundle, 60), WhyOptions(most=1))
    assert found.classes[found.label] == "red"
    assert found.classes[found.against] == "blue"
    assert found.named == found.off == (CULPRIT,)
    assert found.classes[int(found.without.argmax())] == "blue"
    assert found.projections.shape == (1, 3, SIZE, SIZE)


def test_contributions_below_a_linear_head_are_effects_and_add_up(bundle):
    image = pixels(bundle, 60)
    found = why(bundle, image, WhyOptions(label="blue", against="green"))
    assert torch.allclose(found.contribution, found.effect, atol=1e-6)
    assert found.rank_correlation == pytest.approx(1)
    bias = bundle.model.head.bias.detach()
    assert found.rest == pytest.approx(float(bias[0] - bias[2]), abs=1e-5)
    scores = bundle.model(image[None])[0].detach()
    assert found.difference == pytest.approx(float(scores[0] - scores[2]), abs=1e-5)


def test_named_units_are_switched_off_together_where_asked(bundle):
    image = pixels(bundle, 60)
    found = why(bundle, image, WhyOptions(off=(1, CULPRIT)))
    with torch.no_grad():
        maps = bundle.model.relu(bundle.model.conv(image[None]))
        maps[:, [1, CULPRIT]] = 0
        wanted = bundle.model.head(maps.mean((2, 3)))[0]
    assert found.off == (1, CULPRIT)
    assert torch.allclose(found.without, wanted, atol=1e-6)


def test_the_place_is_where_the_contribution_is_largest(bundle):
    image = torch.zeros(3, SIZE, SIZE)
    image[0, 7, 3] = 1
    found = why(bundle, image, WhyOptions(label="red", against="green", most=1))
    assert found.place[CULPRIT].tolist() == [7, 3]


def test_a_result_is_drawn_and_saved(bundle, tmp_path):
    found = why(bundle, pixels(bundle, 60))
    text = found.summary()
    assert f"{CULPRIT} (+" in text
    assert "instead of red" in text
    numbers, figure = found.save(tmp_path)
    stored = json.loads(numbers.read_text("utf-8"))
    assert stored["named"][0] == CULPRIT
    assert "picture" not in stored
    assert figure.stat().st_size > 10_000


def test_an_answer_that_stays_is_said_to_stay_and_names_are_spoken(bundle):
    named = replace(bundle, classes=("blue", "dark_red", "green"))
    found = why(named, pixels(bundle, 60), WhyOptions(off=(1,)))
    before, after = (float(one.max()) for one in (found.probability, found.probability_without))
    assert found.probability_without.argmax() == 1
    assert f"Without unit 1 the answer stays dark red, {after:.0%} after {before:.0%}." in (
        found.summary()
    )
    assert "_" not in found.summary().replace(found.network, "")


def test_wrong_choices_are_refused(bundle):
    image = pixels(bundle, 60)
    with pytest.raises(SettingError, match="both classes are `red`"):
        why(bundle, image, WhyOptions(label="red", against=1))
    with pytest.raises(SettingError, match="no class `rad`; the network has red"):
        why(bundle, image, WhyOptions(label="rad"))
    with pytest.raises(SelectionError, match="no unit 6"):
        why(bundle, image, WhyOptions(off=(6,)))
    with pytest.raises(UnknownLayerError):
        why(bundle, image, WhyOptions(layer="nowhere"))


def test_a_black_picture_has_no_unit_to_name(bundle):
    model = Planted().eval()
    nn.init.constant_(model.conv.bias, -1)
    dark = Bundle("dark", model, bundle.preprocessing, "planted", bundle.classes)
    found = why(dark, torch.zeros(3, SIZE, SIZE))
    assert found.named == found.off == ()
    assert found.rank_correlation is None
    assert torch.equal(found.scores, found.without)
    assert "are none" in found.summary()


@pytest.fixture(scope="module")
def dataset(bundle):
    reds = [0, 60, 70, 0, 80, 90]
    images = torch.stack([picture(red) for red in reds])
    return Dataset(images, torch.zeros(len(reds), dtype=torch.int64), bundle.classes, "coloured")


def test_a_wrong_answer_mends_without_its_cause_and_not_without_others(bundle, dataset, tmp_path):
    found = mending(bundle, dataset, MendingOptions(most=2))
    assert sorted(found.pictures.tolist()) == [1, 2, 4, 5]
    assert found.answer.tolist() == [1] * 4
    (layer,) = found.layers
    assert layer.share["contribution"] == [1.0, 1.0]
    net = Deconvnet(bundle.model, bundle.input_size)
    by_hand = []
    for number in found.pictures.tolist():
        image = bundle.preprocessing.normalised(dataset.images[number][None])
        strongest = net.record(image, ["relu"])["relu"][0].amax((1, 2)).argsort(descending=True)
        maps = bundle.model.relu(bundle.model.conv(image))
        maps[:, strongest[0]] = 0
        by_hand.append(int(bundle.model.head(maps.mean((2, 3))).argmax()) == 0)
    assert layer.mended["activation"][:, 0].tolist() == by_hand
    assert "gets 4 of 6 pictures wrong" in found.summary()
    # without the unit for blue, blue pictures are no longer so
    assert sorted(found.right.tolist()) == [0, 3]
    broken = []
    for number in found.right.tolist():
        image = bundle.preprocessing.normalised(dataset.images[number][None])
        maps = bundle.model.relu(bundle.model.conv(image))
        second = int(bundle.model(image)[0].topk(2).indices[1])
        weight = bundle.model.head.weight[0] - bundle.model.head.weight[second]
        maps[:, (maps.mean((2, 3))[0] * weight).argmax()] = 0
        broken.append(int(bundle.model.head(maps.mean((2, 3))).argmax()) != 0)
    assert layer.broken["contribution"][:, 0].tolist() == broken
    assert len(found.save(tmp_path)) == 2


def test_it_stops_at_enough_mistakes_and_its_chance_has_a_seed(bundle, dataset):
    found = mending(bundle, dataset, MendingOptions(wrong=2))
    assert len(found.pictures) == 2
    order = torch.randperm(6, generator=torch.Generator().manual_seed(0)).tolist()
    wrong = [number for number in order if number in (1, 2, 4, 5)][:2]
    assert found.pictures.tolist() == wrong
    assert found.tried == order.index(wrong[-1]) + 1
    again = mending(bundle, dataset, MendingOptions(wrong=2))
    assert torch.equal(*(one.layers[0].mended["random"] for one in (found, again)))


def test_data_of_other_classes_or_without_mistakes_are_refused(bundle, dataset):
    other = Dataset(dataset.images, dataset.labels, ("a", "b", "c"), "other")
    with pytest.raises(DataError, match="the classes of other are not those of `planted`"):
        mending(bundle, other)
    right = Dataset(dataset.images[:1], dataset.labels[:1], dataset.classes, "right")
    with pytest.raises(DataError, match="makes no mistake"):
        mending(bundle, right)
