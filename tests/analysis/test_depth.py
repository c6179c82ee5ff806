"""Linear classifiers by depth, on a network whose layers are known to tell, or not to tell."""

import json

import pytest
import torch
from torch import nn

from deconvviz.analysis.depth import DepthOptions, depth
from deconvviz.errors import DataError, SettingError
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset, draw_shapes, train_test_split
from deconvviz.io.zoo import load


class Checks(nn.Sequential):
    """First the pixels themselves, then a unit for one of two chessboards."""

    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 1, 1), nn.ReLU(), nn.Conv2d(1, 1, 2, stride=2), nn.ReLU(), nn.Flatten()
        )
        with torch.no_grad():
            self[0].weight.fill_(1.0)
            self[0].bias.zero_()
            self[2].weight.copy_(torch.tensor([[1.0, -1.0], [-1.0, 1.0]])[None, None])
            self[2].bias.zero_()


def chessboards(count, seed):
    """Class 0 begins with a bright field, class 1 with a dark one; both are bright on average."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    bright = torch.randint(50, 256, (count,), generator=generator)
    parity = (torch.arange(16)[:, None] + torch.arange(16)) % 2
    on = parity[None] == labels[:, None, None]
    images = torch.where(on, bright[:, None, None], 0).to(torch.uint8)[:, None]
    return Dataset(images, labels, ("even", "odd"), "chessboards")


def bundle():
    return Bundle.of(Checks(), (1, 16, 16))


def test_only_the_layer_that_tells_the_classes_apart_classifies():
    seen = DepthOptions(fit_on="training")
    found = depth(bundle(), chessboards(200, 0), chessboards(100, 1), seen)
    below, above = found.rows
    assert above.accuracy == above.training_accuracy == 1.0
    assert below.accuracy == pytest.approx(0.5, abs=0.15)
    assert (below.features, above.features) == (4, 4)
    assert found.chance == 0.5
    assert found.own is None  # the network knows no classes
    assert all(row.gradient < 1e-4 for row in found.rows)
    assert "chance 50.0%" in found.summary()


def test_random_labels_are_at_chance_however_deep():
    """The demo's features cannot tell what nothing tells, and fitting them does not help."""
    noise = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (700, 3, 32, 32), dtype=torch.uint8, generator=noise)
    labels = torch.randint(0, 2, (700,), generator=noise)
    data = Dataset(images, labels, ("heads", "tails"), "noise")
    first, last = data.subset(range(300)), data.subset(range(300, 700))
    found = depth(
        load("demo"), first, last, DepthOptions("training", ("stage1.relu2", "head.logits"))
    )
    for row in found.rows:
        assert abs(row.accuracy - 0.5) < 4 * found.standard_error(0.5)
    assert found.rows[1].features == 10


def test_it_is_the_same_at_every_call_and_is_written(tmp_path):
    training, test = draw_shapes(120, seed=0), draw_shapes(60, seed=1)
    options = DepthOptions("training", ("stage1.relu1", "stage3.relu2"), grid=1)
    one, two = (depth(load("demo"), training, test, options) for _ in range(2))
    assert one.rows == two.rows
    assert one.chance == pytest.approx(1 / 6)
    assert one.rows[0].accuracy < one.rows[1].accuracy
    numbers, picture = one.save(tmp_path)
    stored = json.loads(numbers.read_text())
    assert [row["layer"] for row in stored["rows"]] == list(options.layers)
    assert picture.stat().st_size > 1000


def test_it_is_fitted_on_half_of_the_test_pictures_and_measured_on_the_others():
    """The training pictures are not looked at: here they are of random classes."""
    training, test = chessboards(40, 0), chessboards(200, 1)
    shuffled = training.labels[torch.randperm(40, generator=torch.Generator().manual_seed(0))]
    wrong = Dataset(training.images, shuffled, training.classes, training.title)
    found = depth(bundle(), wrong, test, seed=3)
    assert (found.fit_on, found.training, found.test) == ("test", 100, 100)
    first, second = train_test_split(test, 0.5, 3)
    by_hand = depth(bundle(), first, second, DepthOptions(fit_on="training"), seed=3)
    assert found.rows == by_hand.rows
    assert found.rows[1].accuracy == 1.0
    assert "fitted on 100 test pictures, which the network was not trained on" in found.summary()
    assert "on which the network may have been trained" in by_hand.summary()


def test_the_networks_own_accuracy_is_told_where_it_knows_the_classes():
    demo = load("demo")
    drawn = draw_shapes(60)
    data = Dataset(drawn.images, drawn.labels, demo.classes, "shapes as something else")
    found = depth(demo, data, data, DepthOptions("training", ("head.logits",)))
    logits = demo.model(demo.preprocessing.normalised(data.images))
    assert found.own == pytest.approx(float((logits.argmax(1) == data.labels).float().mean()))
    assert f"the network itself {found.own:.1%}" in found.summary()


@pytest.mark.parametrize("options", [{"grid": 0}, {"penalties": ()}, {"penalties": (0.0,)}])
def test_wrong_options_are_refused(options):
    with pytest.raises(SettingError, match=next(iter(options))):
        DepthOptions(**options)


def test_data_that_cannot_be_compared_is_refused():
    some = chessboards(20, 0)
    with pytest.raises(DataError, match="got 20 and 0"):
        depth(bundle(), some, some.subset([]))
    other = Dataset(some.images, some.labels, ("a", "b", "c"), "")
    with pytest.raises(DataError, match="2 and 3 classes"):
        depth(bundle(), some, other)
