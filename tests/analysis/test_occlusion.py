"""Occlusion, held against networks whose decision is known, and against captum."""

import json

import pytest
import torch
from captum.attr import Occlusion as CaptumsOcclusion
from torch import nn

from deconvviz.analysis.occlusion import OcclusionOptions, occlusion
from deconvviz.deconv import Deconvnet
from deconvviz.errors import PictureError, SelectionError, SettingError, UnknownLayerError
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset
from deconvviz.io.images import photograph
from deconvviz.io.zoo import load
from deconvviz.plots.files import figure_png


class OnePixel(nn.Module):
    """Class 1 where pixel (5, 9) is bright, else class 0; map 1 is that pixel alone."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 1, bias=False)
        self.relu = nn.ReLU()
        self.flatten = nn.Flatten()
        self.head = nn.Linear(2 * 16 * 12, 2)
        with torch.no_grad():
            self.conv.weight.copy_(torch.tensor([0.1, 1.0]).view(2, 1, 1, 1))
            self.head.weight.zero_()
            self.head.weight.view(2, 2, 16, 12)[1, 1, 5, 9] = 10.0
            self.head.bias.copy_(torch.tensor([5.0, 0.0]))

    def forward(self, x):
        return self.head(self.flatten(self.relu(self.conv(x))))


def one_pixel(fill=0.0):
    image = torch.full((1, 16, 12), fill)
    image[0, 5, 9] = 1.0
    bundle = Bundle.of(OnePixel(), (1, 16, 16), classes=("dark", "bright"))
    bundle.model.eval()
    return bundle, image


@pytest.fixture(scope="module")
def demo():
    bundle = load("demo")
    return bundle, Deconvnet(bundle.model)


@pytest.fixture
def pixel_net():
    """Traced at its own, oblong size."""
    bundle, image = one_pixel()
    return bundle, image, Deconvnet(bundle.model, (1, 16, 12))


def test_the_decision_falls_exactly_where_the_one_pixel_is_covered(pixel_net):
    bundle, image, net = pixel_net
    found = occlusion(bundle, image, OcclusionOptions(label=1, side=4, stride=2), net=net)
    covers = torch.tensor(
        [
            [top <= 5 < top + 4 and left <= 9 < left + 4 for left in found.lefts.tolist()]
            for top in found.tops.tolist()
        ]
    )
    assert found.decision.shape == (9, 7)
    assert torch.equal(found.decision == 0, covers)
    assert found.channel == 1
    assert torch.equal(found.activation == 0, covers)
    seen, hidden = torch.tensor([[5.0, 10.0], [5.0, 0.0]]).softmax(1)[:, 1]
    assert torch.allclose(found.probability, torch.where(covers, hidden, seen))
    assert found.whole_probability == pytest.approx(float(seen))
    assert found.decisions == {"bright": 59 / 63, "dark": 4 / 63}
    assert found.agreement == pytest.approx(1.0)  # the projection is that pixel alone
    assert not found.covered[5, 9].any()
    assert "p(bright) is 0.99 without it, 0.01 at the worst place" in found.summary()


def test_a_network_that_gives_probabilities_is_taken_by_its_word(pixel_net):
    bundle, image, net = pixel_net
    ended = nn.Sequential(bundle.model, nn.Softmax(1)).eval()
    same = Bundle.of(ended, (1, 16, 16), classes=bundle.classes)
    options = OcclusionOptions(label=1, side=4, stride=2)
    found = occlusion(bundle, image, options, net=net)
    again = occlusion(same, image, options, net=Deconvnet(ended, (1, 16, 12)))
    torch.testing.assert_close(again.probability, found.probability)
    assert again.whole_probability == pytest.approx(found.whole_probability)


def test_one_place_after_the_other_by_hand():
    """The demo network, the slow way: one picture at a time, pixel ranges set to the fill."""
    bundle = load("demo")
    image = bundle.preprocess(photograph("cat").image)
    found = occlusion(bundle, image, OcclusionOptions(label="cat", side=16, stride=8, fill=0.25))
    grey = bundle.preprocessing.normalised(torch.full((1, 3, 32, 32), 0.25))[0]
    watched = {}
    hook = bundle.model.stage3.register_forward_hook(lambda *a: watched.update(maps=a[2]))
    for row, top in enumerate(range(-8, 32, 8)):
        for column, left in enumerate(range(-8, 32, 8)):
            covered = image.clone()
            ys, xs = slice(max(top, 0), top + 16), slice(max(left, 0), left + 16)
            covered[:, ys, xs] = grey[:, ys, xs]
            with torch.no_grad():
                logits = bundle.model(covered[None])[0]
            total = watched["maps"][0, found.channel].sum()
            # a batch and one picture are rounded differently, and on some processors more so
            probability = pytest.approx(float(logits.softmax(0)[3]), abs=2e-6)
            assert found.probability[row, column] == probability
            assert found.activation[row, column] == pytest.approx(float(total), rel=1e-4)
            assert found.decision[row, column] == logits.argmax()
    hook.remove()


def test_captums_occlusion_is_the_loss_of_a_logit_summed_over_the_places():
    bundle = load("demo")
    image = bundle.preprocess(photograph("cat").image)
    found = occlusion(bundle, image, OcclusionOptions(label="3", side=8, stride=8))
    with torch.no_grad():
        theirs = CaptumsOcclusion(lambda x: bundle.model(x).softmax(1)).attribute(
            image[None], (3, 8, 8), strides=(3, 8, 8), target=3, baselines=0.0
        )
    losses = found.whole_probability - found.probability
    assert found.tops.tolist() == [0, 8, 16, 24]
    torch.testing.assert_close(theirs[0, 0, ::8, ::8].float(), losses, atol=1e-5, rtol=1e-4)


def test_others_are_those_that_excite_the_map_most_without_the_picture_itself(pixel_net):
    bundle, image, net = pixel_net
    images = torch.zeros(12, 1, 16, 12, dtype=torch.uint8)
    images[:, 0, 2, 3] = torch.arange(12, dtype=torch.uint8) * 20
    images[4] = (image * 255).to(torch.uint8)
    data = Dataset(images, torch.zeros(12, dtype=torch.int64), ("dark", "bright"), "drawn")
    options = OcclusionOptions(label=1, side=4)
    found = occlusion(bundle, image, options, net=net, dataset=data)
    brightness = found.other_pictures[:, 2, 3, 0].tolist()
    assert brightness == [20 * row for row in (11, 10, 9, 8, 7, 6, 5, 3)]
    assert found.other_projections.shape == (8, 1, 16, 12)
    mean, deviation = found.chance_agreement  # they have nothing where the picture has its pixel
    assert mean < 0.1
    assert deviation == pytest.approx(0, abs=1e-6)


def test_a_picture_without_any_activation_has_no_agreement_and_still_a_figure(pixel_net):
    bundle, image, net = pixel_net
    found = occlusion(bundle, torch.zeros_like(image), net=net)
    assert found.agreement is None
    assert found.decisions == {"dark": 1.0}
    assert "the same everywhere" in found.summary()
    assert figure_png(found.figure(), dpi=40)


def test_it_is_written_as_numbers_and_picture(tmp_path):
    bundle = load("demo-accurate")
    data = Dataset(
        torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8),
        torch.zeros(5, dtype=torch.int64),
        bundle.classes,
        "noise",
    )
    image = bundle.preprocess(photograph("coffee").image)
    options = OcclusionOptions(side=16, stride=16)
    numbers, picture = occlusion(bundle, image, options, dataset=data).save(tmp_path)
    stored = json.loads(numbers.read_text())
    assert len(stored["probability"]) == len(stored["tops"]) == 2
    assert len(stored["chance_agreement"]) == 2
    assert picture.stat().st_size > 1000


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"side": 5, "stride": 2}, SettingError, "stride must divide side 5"),
        ({"side": 33}, SettingError, "side must be from 1 to 32"),
        ({"stride": 0}, SettingError, "got 0"),
        ({"fill": 2.0}, SettingError, "fill"),
        ({"label": 10}, SelectionError, "no class 10"),
        ({"label": "cow"}, SettingError, "no class `cow`"),
        ({"layer": "conv9"}, UnknownLayerError, "conv9"),
    ],
)
def test_wrong_options_are_refused(demo, options, error, says):
    bundle, net = demo
    with pytest.raises(error, match=says):
        occlusion(bundle, torch.zeros(3, 32, 32), OcclusionOptions(**options), net=net)


def test_pictures_of_another_form_are_refused(demo):
    bundle, net = demo
    with pytest.raises(PictureError, match="shape"):
        occlusion(bundle, torch.zeros(1, 32, 32), net=net)
    data = Dataset(
        torch.zeros(2, 3, 8, 8, dtype=torch.uint8),
        torch.zeros(2, dtype=torch.int64),
        ("a",),
        "small",
    )
    with pytest.raises(PictureError, match="shape"):
        occlusion(bundle, torch.zeros(3, 32, 32), dataset=data)


def test_a_network_that_is_no_classifier_is_refused():
    bundle = Bundle.of(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), (3, 16, 16))
    with pytest.raises(SettingError, match="classifier"):
        occlusion(bundle, torch.zeros(3, 16, 16))


def test_a_network_without_rectified_maps_needs_a_layer():
    bundle = Bundle.of(nn.Sequential(nn.Flatten(), nn.Linear(192, 3)), (3, 8, 8))
    with pytest.raises(SettingError, match="layer"):
        occlusion(bundle, torch.ones(3, 8, 8))
    assert occlusion(bundle, torch.ones(3, 8, 8), OcclusionOptions(layer="1")).decision.shape == (
        11,
        11,
    )
