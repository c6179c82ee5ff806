"""Whole examinations: of networks whose verdict is known, and of the demo."""

import json
import math
from dataclasses import replace

import pytest
import torch
from PIL import Image
from torch import nn

from deconvviz.analysis.trust import TrustOptions, examine
from deconvviz.analysis.trust.checks import Control, Similarity
from deconvviz.analysis.trust.examination import kept_share, together, verdicts_within
from deconvviz.deconv import Deconvnet, Selection
from deconvviz.deconv.randomization import shuffle_weights
from deconvviz.errors import SelectionError
from deconvviz.plots.trust import verdict
from tests.analysis.trust.conftest import whole_map

FEW = TrustOptions(networks=1, steps=2, repeats=2, points=4)


@pytest.fixture(scope="module")
def found(demo):
    net, cat = demo
    recording = net.record(cat[None], ["stage3.relu1"])
    return examine(
        net, cat, recording.strongest("stage3.relu1", 1), TrustOptions(networks=2, repeats=6)
    )


def test_a_network_that_does_nothing_shows_the_image(identity, blob):
    found = examine(identity, blob, whole_map("0", 16))
    assert found.outcome == "image"
    assert found.kept(found.cascade[-1].control.similarity) == pytest.approx(1)
    assert found.kept(found.chance.similarity) == pytest.approx(0)
    assert found.other_units is found.random_switches is None
    assert found.curves.insertion.value[-1] == 1
    assert "mostly the image's own" in verdict(found)


def test_the_identity_on_a_picture_of_edges_shows_its_edges(identity):
    image = torch.full((1, 16, 16), 0.001)
    image[0, 4:6, :] = image[0, :, 10:12] = 1
    found = examine(identity, image, whole_map("0", 16))
    assert found.is_on_edges
    assert "mostly the image's own edges (rank correlation with them 0.5" in verdict(found)


def test_one_layer_of_random_kernels_shows_the_unit_alone():
    torch.manual_seed(0)
    net = Deconvnet(nn.Sequential(nn.Conv2d(1, 12, 9, bias=False)), (1, 20, 20))
    found = examine(net, torch.randn(1, 20, 20), Selection("0", 0, 4, 5, 6))
    assert found.outcome == "unit"
    assert "depends strongly on this unit's own kernels" in verdict(found)


def test_units_that_all_read_alike_show_what_the_layers_below_let_through():
    """Random kernels below one layer of equal ones: its shuffling changes nothing, theirs all."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 6, 9, bias=False), nn.Conv2d(6, 8, 1, bias=False))
    with torch.no_grad():
        model[1].weight.fill_(0.5)
    net = Deconvnet(model, (1, 20, 20))
    found = examine(net, torch.randn(1, 20, 20), Selection("1", 0, 4, 5, 6))
    assert found.outcome == "layers_below"
    assert found.kept(found.cascade[0].control.similarity) == pytest.approx(1, abs=1e-4)
    assert found.kept(found.other_units.similarity) == pytest.approx(1, abs=1e-4)
    assert "Other units" in found.summary()


def test_layers_above_cannot_matter(demo, found):
    """Shuffling them changes nothing in the whole examination, and they are named."""
    net, cat = demo
    names = [n for n in net.model.state_dict() if n.startswith(("head", "stage3.conv2"))]
    other = net.with_model(shuffle_weights(net.model, names, torch.Generator().manual_seed(3)))
    recording = other.record(cat[None], ["stage3.relu1"])
    again = examine(
        other, cat, recording.strongest("stage3.relu1", 1), TrustOptions(networks=2, repeats=6)
    )
    assert again.to_dict() == found.to_dict()
    assert found.above == ("stage3.conv2", "head.logits")
    assert "The layers above (stage3.conv2 to head.logits) have no part in it" in found.summary()


def test_a_class_is_examined_from_its_logit_downwards(demo):
    net, cat = demo
    found = examine(net, cat, Selection("head.logits", 0, 3, 0, 0), FEW)
    assert found.cascade[0].modules == ("head.logits",)
    assert found.other_units.similarity.count == 4
    assert found.above == ()
    assert found.box == (0, 0, 32, 32)


@pytest.mark.parametrize("rule", ["guided", "gradient"])
def test_every_rule_can_be_examined(demo, rule):
    net, cat = demo
    recording = net.record(cat[None], ["stage2.relu2"])
    found = examine(net, cat, recording.strongest("stage2.relu2", 1), replace(FEW, rule=rule))
    projection = net.project(recording, recording.strongest("stage2.relu2", 1), rule)
    assert found.pixels.abs().sum() == pytest.approx(float(projection.pixels.abs().sum()), rel=1e-4)
    assert all(step.control.similarity.count for step in found.cascade)


def test_the_gradient_sums_to_what_insertion_starts_with(demo):
    """Without a bias below, ReLU units are homogeneous: gradient times image is the activation."""
    torch.manual_seed(0)
    parts = [nn.Conv2d(1, 6, 5, bias=False), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 6, 3)]
    net = Deconvnet(nn.Sequential(*parts, nn.ReLU()), (1, 24, 24))
    nn.init.zeros_(net.model[3].bias)
    image = torch.randn(1, 24, 24)
    recording = net.record(image[None], ["4"])
    found = examine(net, image, recording.strongest("4", 1), replace(FEW, rule="gradient"))
    total = float((found.pixels * found.patch).sum())
    assert total == pytest.approx(found.activation**2, rel=1e-4)  # it starts from the activation


def test_the_same_seed_gives_the_same_numbers_and_others_do_not(demo, found):
    net, cat = demo
    recording = net.record(cat[None], ["stage2.relu1"])
    unit = recording.strongest("stage2.relu1", 1)
    one, two, three = (examine(net, cat, unit, FEW, seed=seed).to_dict() for seed in (7, 7, 8))
    assert one == two
    assert one["chance"] != three["chance"]


def test_small_windows_tell_nothing(demo):
    net, cat = demo
    recording = net.record(cat[None], ["stage1.relu1"])
    found = examine(net, cat, recording.strongest("stage1.relu1", 1), FEW)
    assert found.outcome == "inconclusive"
    assert "3 × 3 pixels is too small" in verdict(found)


def test_a_picture_of_one_colour_and_a_projection_of_few_pixels_tell_nothing():
    torch.manual_seed(0)
    net = Deconvnet(nn.Sequential(nn.Conv2d(1, 12, 9, bias=False)), (1, 20, 20))
    unit = Selection("0", 0, 4, 5, 6)
    flat = examine(net, torch.full((1, 20, 20), 0.5), unit, FEW)
    assert flat.outcome == "inconclusive"
    assert "a single colour" in verdict(flat)
    with torch.no_grad():
        net.model[0].weight[4].zero_()
        net.model[0].weight[4, 0, 2, 2:5] = 1.0
    few = examine(Deconvnet(net.model, (1, 20, 20)), torch.randn(1, 20, 20).abs(), unit, FEW)
    assert few.outcome == "inconclusive"
    assert "3 pixels that are not zero" in verdict(few)


def test_the_error_of_what_is_kept_is_that_of_the_shuffled_networks(demo):
    """By the bootstrap over networks, of the control and of the chance level."""
    net, cat = demo
    recording = net.record(cat[None], ["stage3.relu1"])
    options = TrustOptions(networks=12, steps=2, repeats=2, points=4)
    found = examine(net, cat, recording.strongest("stage3.relu1", 1), options)
    drawn = torch.Generator().manual_seed(0)

    def resampled(networks):
        rows = torch.randint(len(networks), (len(networks),), generator=drawn).tolist()
        return together([networks[row] for row in rows])

    for step, error in zip(found.ends, found.kept_error, strict=True):
        assert len(step.control.networks) == 12
        kept = [
            kept_share(resampled(step.control.networks), resampled(found.chance.networks))
            for _ in range(2000)
        ]
        assert error == pytest.approx(torch.tensor(kept).std().item(), rel=0.2)


def test_a_share_near_a_threshold_is_between_two_verdicts():
    assert verdicts_within(0.1, 0.0, (0.0, 0.0)) == ("unit",)
    assert verdicts_within(0.19, 0.0, (0.01, 0.0)) == ("partly_unit", "unit")
    assert verdicts_within(0.3, 0.0, (0.02, 0.0)) == ("partly_unit",)
    assert verdicts_within(0.39, 0.0, (0.02, 0.0)) == ("layers_below", "partly_unit")
    assert verdicts_within(0.3, 0.39, (0.0, 0.02)) == ("image", "partly_unit")
    assert verdicts_within(float("nan"), 0.1, (0.0, 0.0)) == ("inconclusive",)


@pytest.mark.slow
@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("layer", ["stage2.relu2", "stage3.relu2"])
def test_no_seed_contradicts_another(demo, layer, place):
    """By default: a verdict may be unsettled, but none that is settled is another one elsewhere."""
    net, cat = demo
    unit = net.record(cat[None], [layer]).strongest(layer, 3)[place : place + 1]
    # what the verdict does not follow from is left out
    options = TrustOptions(steps=2, repeats=2, points=4)
    outcomes = {examine(net, cat, unit, options, seed=seed).outcome for seed in range(8)}
    assert len(outcomes - {"between"}) <= 1


def test_kept_is_nothing_by_chance_and_all_for_the_same(found):
    chance = Control(Similarity(0.6, 0.1, 0.2, 0.1, 9), None)
    trust = replace(found, chance=chance)
    assert trust.kept(chance.similarity) == 0
    assert trust.kept(Similarity(1, 0, 1, 0, 1)) == pytest.approx(1)
    assert trust.kept(Similarity(0.8, 0, 0.2, 0, 1)) == pytest.approx(0.25)
    assert trust.kept(Similarity(0.8, 0, math.nan, 0, 1)) == pytest.approx(0.5)


def test_what_is_saved_can_be_read_again(found, tmp_path):
    numbers, picture = found.save(tmp_path)
    stored = json.loads(numbers.read_text())
    assert stored["summary"] == found.summary()
    assert stored["outcome"] == found.outcome
    assert len(stored["cascade"]) == 5
    assert stored["curves"]["insertion"]["area"] == pytest.approx(
        found.curves.insertion.area, abs=1e-3
    )
    with Image.open(picture) as shown:
        assert shown.width > 1500


def test_several_projections_are_refused(demo):
    net, cat = demo
    recording = net.record(cat[None], ["stage2.relu1"])
    with pytest.raises(SelectionError, match="3 projections"):
        examine(net, cat, recording.strongest("stage2.relu1", 3))
