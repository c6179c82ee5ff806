"""Other attributions of a unit: against captum on whole models, and where captum is wrong."""

import copy
import json

import pytest
import torch
from captum.attr import GuidedGradCam, IntegratedGradients, Occlusion
from torch import nn
from torch.nn import functional

from deconvviz.analysis.trust import AttributionOptions, compare_attributions
from deconvviz.analysis.trust.attributions import Attributions
from deconvviz.deconv import Deconvnet, Selection
from deconvviz.models import seed_cnn
from deconvviz.units import Unit

FEW = AttributionOptions(repeats=2)
HOOKS = pytest.mark.filterwarnings("ignore:Setting backward hooks")


class Functional(nn.Module):
    """The same network with its rectifiers as functions, which captum does not see."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images):
        for name, module in self.model.named_modules():
            if isinstance(module, nn.ReLU):
                images = functional.relu(images)
            elif name and not list(module.children()):
                images = module(images)
        return images


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return seed_cnn().eval()


@pytest.fixture(scope="module")
def image():
    return torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def logit(model, image):
    return int(model(image).argmax())


@pytest.fixture(scope="module")
def found(model, image, logit):
    return compare_attributions(
        Deconvnet(model), image, Selection("head.logits", 0, logit, 0, 0), FEW
    )


def method(found, name):
    return next(one for one in found.methods if one.method == name)


def test_all_methods_are_there_and_the_projection_is_first(found, logit):
    names = ["deconvnet", "integrated gradients", "occlusion", "guided Grad-CAM"]
    assert [one.method for one in found.methods] == names
    assert not found.missing
    assert found.methods[0].similarity.rank == pytest.approx(1)
    assert found.units == (Unit("head.logits", logit, 0, 0),)


@HOOKS
def test_guided_grad_cam_is_captums_where_captum_is_right(found, model, image, logit):
    copied = copy.deepcopy(model)
    theirs = GuidedGradCam(copied, copied.stage3.relu)
    expected = theirs.attribute(image.clone().requires_grad_(), logit, interpolate_mode="bilinear")
    ours = method(found, "guided Grad-CAM").pixels
    torch.testing.assert_close(ours, expected[0].detach(), rtol=1e-3, atol=1e-6)


@HOOKS
def test_rectifiers_as_functions_change_nothing(found, model, image, logit):
    """captum's own guided Grad-CAM would be another picture here, without a warning."""
    other = Functional(model)
    net = Deconvnet(other)
    again = compare_attributions(net, image, Selection("model.head.logits", 0, logit, 0, 0), FEW)
    for one, two in zip(found.methods, again.methods, strict=True):
        torch.testing.assert_close(one.pixels, two.pixels, rtol=1e-4, atol=1e-6)
    wrong = copy.deepcopy(other)
    theirs = GuidedGradCam(wrong, wrong.model.stage3.pool).attribute(
        image.clone().requires_grad_(), logit
    )
    ours = method(again, "guided Grad-CAM").pixels
    assert (theirs[0] - ours).norm() > 0.3 * ours.norm()


def test_the_others_are_captums_of_the_logit(found, model, image, logit):
    gradients = IntegratedGradients(model).attribute(image, target=logit, n_steps=32)
    torch.testing.assert_close(
        method(found, "integrated gradients").pixels, gradients[0].float(), rtol=1e-3, atol=1e-5
    )
    covered = Occlusion(model).attribute(image, (3, 4, 4), (3, 2, 2), target=logit)
    torch.testing.assert_close(
        method(found, "occlusion").pixels, covered[0].float(), rtol=1e-3, atol=1e-5
    )


def test_integrated_gradients_sum_to_the_activation(found, model, image, logit):
    with torch.no_grad():
        blank = float(model(torch.zeros_like(image))[0, logit])
    total = float(method(found, "integrated gradients").pixels.sum())
    assert total == pytest.approx(found.activation - blank, rel=0.05, abs=1e-3)


def test_the_model_is_left_alone(model, image, found):
    assert not any(m._forward_hooks or m._backward_hooks for m in model.modules())
    assert all(p.grad is None for p in model.parameters())


def test_a_hidden_unit_of_a_large_picture(demo):
    net, _ = demo
    image = torch.randn(3, 120, 150, generator=torch.Generator().manual_seed(0))
    recording = net.record(image[None], ["stage2.relu2"])
    found = compare_attributions(
        net, image, recording.strongest("stage2.relu2", 1), AttributionOptions(repeats=2, points=4)
    )
    assert {one.pixels.shape for one in found.methods} == {(3, *found.patch.shape[1:])}
    assert found.patch.shape[1] <= 16


def test_the_lowest_layer_has_no_grad_cam_and_says_so(demo):
    net, cat = demo
    recording = net.record(cat[None], ["stage1.relu1"])
    found = compare_attributions(net, cat, recording.strongest("stage1.relu1", 1), FEW)
    assert found.missing == {"guided Grad-CAM": "there are no feature maps below stage1.relu1"}
    assert "No guided Grad-CAM: there are no feature maps below" in found.summary()
    assert len(found.methods) == 3


def test_results_are_saved_and_drawn(found, tmp_path):
    numbers, picture = found.save(tmp_path)
    stored = json.loads(numbers.read_text())
    assert [one["method"] for one in stored["methods"]] == [one.method for one in found.methods]
    assert picture.stat().st_size > 10_000
    assert isinstance(found, Attributions)
    pictures = [axes for axes in found.figure("black").axes if axes.images]
    assert len(pictures) == 5
