"""Finding units: a layer whose kernels are made by hand, and traits of drawn pictures."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from deconvviz.analysis.find import FindOptions, find
from deconvviz.analysis.traits import orientation, tint
from deconvviz.analysis.trust.verdicts import VerdictsOptions, verdicts
from deconvviz.deconv import Deconvnet
from deconvviz.errors import SelectionError, SettingError, UnknownLayerError
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset
from deconvviz.io.images import to_png
from deconvviz.io.preprocess import Preprocess

SIZE = 16
ACROSS, DOWN, RED, BLUE, SLANTED, DEAD, TWICE = range(7)
"""Units: horizontal lines, vertical ones, two colours, lines at 45 degrees, never active, and the
first one doubled."""


def lines(degrees, period=6.0, size=32):
    """A wave whose lines have this direction, counterclockwise from horizontal, (H, W)."""
    y, x = np.mgrid[:size, :size]
    angle = math.radians(degrees)
    across = x * math.sin(angle) + y * math.cos(angle)  # rows count downwards
    return torch.from_numpy(np.sin(2 * math.pi * across / period))


@pytest.mark.parametrize("degrees", [0, 20, 45, 90, 135, 170])
def test_the_orientation_of_lines_is_the_one_that_they_were_drawn_with(degrees):
    angle, strength = orientation(lines(degrees, period=10)[None, None].expand(1, 3, -1, -1))
    away = (float(angle) - degrees + 90) % 180 - 90
    assert abs(away) < 2
    assert float(strength) > 0.9


def test_what_has_all_directions_has_no_coherence_and_what_is_even_has_none_at_all():
    y, x = np.mgrid[:33, :33] - 16
    rings = torch.from_numpy(np.cos(np.hypot(y, x)))[None, None]
    assert float(orientation(rings)[1]) < 0.02
    assert all(one.isnan().all() for one in orientation(torch.ones(1, 1, 8, 8)))


@pytest.mark.parametrize(
    ("colour", "hue"),
    [((1, 0, 0), 0), ((1, 1, 0), 60), ((0, 1, 0), 120), ((0, 1, 1), 180), ((0, 0, 1), 240)],
)
def test_hues_are_those_of_the_colour_wheel(colour, hue):
    plain = torch.tensor(colour, dtype=torch.float64)[None, :, None, None].expand(1, 3, 5, 5)
    found, strength = tint(plain)
    assert float(found) == pytest.approx(hue)
    assert float(strength) >= 0.5
    against, weak = tint(torch.cat([plain, -plain], dim=3))
    assert float(weak) == pytest.approx(0, abs=1e-9)
    assert against.isnan().all() or against.isfinite().all()


def test_grey_has_no_tint_and_nothing_has_none():
    assert float(tint(torch.rand(1, 1, 4, 4).expand(1, 3, 4, 4))[1]) == pytest.approx(0, abs=1e-6)
    assert all(one.isnan().all() for one in tint(torch.zeros(1, 3, 4, 4)))
    assert float(tint(torch.rand(1, 1, 4, 4))[1]) == 0
    pure = torch.tensor([1.0, -0.5, -0.5])[None, :, None, None].expand(1, 3, 4, 4)
    assert float(tint(pure)[1]) == pytest.approx(1)


class ByHand(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.head = nn.Conv2d(3, 7, 5), nn.ReLU(), nn.Linear(7, 2)
        with torch.no_grad():
            self.conv.weight.zero_()
            self.conv.bias.zero_()
            for unit, degrees in ((ACROSS, 0), (DOWN, 90), (SLANTED, 45)):
                self.conv.weight[unit] = lines(degrees, period=4, size=5).float()
            self.conv.weight[RED, 0] = 1
            self.conv.weight[BLUE, 2] = 1
            self.conv.weight[TWICE] = 2 * self.conv.weight[ACROSS]
            self.conv.bias[DEAD] = -1

    def forward(self, x):
        return self.head(self.relu(self.conv(x)).mean((2, 3)))


@pytest.fixture(scope="module")
def bundle():
    preprocessing = Preprocess(SIZE, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    return Bundle("hand", ByHand().eval(), preprocessing, "hand", ("reddish", "bluish"))


@pytest.fixture(scope="module")
def dataset(bundle):
    """Noise, its first half reddish and its second half bluish."""
    generator = torch.Generator().manual_seed(2)
    images = torch.randint(0, 200, (40, 3, SIZE, SIZE), dtype=torch.uint8, generator=generator)
    images[:20, 0] += 55
    images[20:, 2] += 55
    labels = torch.tensor([0] * 20 + [1] * 20)
    return Dataset(images, labels, bundle.classes, "noise")


def found(bundle, dataset, **options):
    return [one.unit for one in find(bundle, dataset, FindOptions(**options)).units]


def test_units_are_found_by_direction_colour_and_class(bundle, dataset):
    assert set(found(bundle, dataset, orientation=0)) == {ACROSS, TWICE}
    assert found(bundle, dataset, orientation=85) == [DOWN]
    assert found(bundle, dataset, orientation=180 - 10)[0] in (ACROSS, TWICE)
    assert found(bundle, dataset, orientation=45) == [SLANTED]
    assert found(bundle, dataset, colour="red") == [RED]
    assert found(bundle, dataset, colour="blue") == [BLUE]
    assert found(bundle, dataset, colour="green") == []
    assert RED in found(bundle, dataset, label="reddish")
    assert BLUE in found(bundle, dataset, label=1)
    assert DEAD not in found(bundle, dataset)


def test_the_order_by_strength_and_selectivity_is_that_of_the_maps(bundle, dataset):
    with torch.no_grad():
        images = bundle.preprocessing.normalised(dataset.images)
        maps = bundle.model.relu(bundle.model.conv(images))
    strongest = maps.amax((0, 2, 3)).argsort(descending=True).tolist()
    assert found(bundle, dataset) == [unit for unit in strongest if unit != DEAD]
    means = maps.mean((2, 3)).view(2, 20, 7).mean(1)
    selectivity = ((means[0] - means[1]) / (means[0] + means[1])).abs().nan_to_num(-1)
    values = {
        one.unit: one.value for one in find(bundle, dataset, FindOptions(sort="selectivity")).units
    }
    assert list(values.values()) == sorted(values.values(), reverse=True)
    truth = {unit: float(selectivity[unit]) for unit in values}
    assert values == pytest.approx(truth, abs=1e-6)


def test_units_like_an_example_are_those_that_correlate_with_it(bundle, dataset):
    result = find(bundle, dataset, FindOptions(like=ACROSS))
    assert result.units[0].unit == TWICE
    assert result.units[0].value == pytest.approx(1)
    with torch.no_grad():
        images = bundle.preprocessing.normalised(dataset.images)
        rows = bundle.model.relu(bundle.model.conv(images)).movedim(1, 0).flatten(1).numpy()
    alive = [unit for unit in range(7) if unit != DEAD]
    truth = dict(zip(alive, np.corrcoef(rows[alive])[0], strict=True))
    assert {one.unit: one.value for one in result.units} == pytest.approx(
        {unit: value for unit, value in truth.items() if unit != ACROSS}, abs=1e-6
    )
    assert result.sort == "likeness"
    assert "like unit 0" in result.summary()


def test_units_that_fire_on_a_crop_are_ranked_by_their_share_there(bundle, dataset, tmp_path):
    pixels = np.full((SIZE, SIZE, 3), 128, np.uint8)
    pixels[8:, 8:, 0] = 255
    (tmp_path / "corner.png").write_bytes(to_png(pixels))
    where = {"picture": tmp_path / "corner.png", "box": (8, 8, 16, 16)}
    assert found(bundle, dataset, **where)[0] == RED
    elsewhere = {**where, "box": (0, 0, 6, 6)}
    assert all(one.value < 0.1 for one in find(bundle, dataset, FindOptions(**elsewhere)).units)
    with pytest.raises(SettingError, match="no box inside 16 rows"):
        find(bundle, dataset, FindOptions(**{**where, "box": (0, 0, 17, 4)}))


def test_trust_and_the_figure(bundle, dataset, tmp_path):
    result = find(bundle, dataset, FindOptions(sort="trust", units=3, networks=5))
    options = VerdictsOptions(layers=("relu",), units=7, networks=5, orders=0, random_weights=False)
    (network,) = verdicts(bundle, dataset, options).networks
    (layer,) = network.layers
    kept = dict(zip(layer.channels.tolist(), layer.own.tolist(), strict=True))
    assert [one.unit for one in result.units] == sorted(kept, key=kept.__getitem__)[:3]
    assert len(result.save(tmp_path)) == 2
    nothing = find(bundle, dataset, FindOptions(colour="green"))
    assert nothing.fitting == 0
    assert nothing.summary().endswith("none")
    assert len(nothing.save(tmp_path)) == 2


def test_an_atlas_gives_the_same_traits_as_a_projection_by_hand(bundle, dataset):
    (row,) = [one for one in find(bundle, dataset).units if one.unit == SLANTED]
    net = Deconvnet(bundle.model, bundle.input_size)
    recording = net.record(bundle.preprocessing.normalised(dataset.images), ["relu"])
    flat = recording["relu"][:, SLANTED]
    image, y, x = np.unravel_index(int(flat.argmax()), flat.shape)
    kernel = bundle.model.conv.weight[SLANTED].detach() * float(flat[image, y, x])
    canvas = torch.zeros(1, 3, SIZE, SIZE, dtype=torch.float64)
    canvas[0, :, y : y + 5, x : x + 5] = kernel
    assert row.orientation == pytest.approx(float(orientation(canvas)[0]), abs=1e-3)
    assert row.strength == pytest.approx(float(flat.max()), rel=1e-5)


def test_wrong_choices_are_refused(bundle, dataset):
    with pytest.raises(SelectionError, match="no unit 7"):
        find(bundle, dataset, FindOptions(like=7))
    with pytest.raises(SettingError, match="--like"):
        find(bundle, dataset, FindOptions(sort="likeness"))
    with pytest.raises(SettingError, match="no class `blue`"):
        find(bundle, dataset, FindOptions(label="blue"))
    with pytest.raises(UnknownLayerError):
        find(bundle, dataset, FindOptions(layer="nowhere"))
