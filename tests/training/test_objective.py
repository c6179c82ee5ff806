"""The objective: its terms against the formulas, and what noise leaves alone."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from deconvviz.models import build
from deconvviz.training import DecoderConfig, Recipe
from deconvviz.training.objective import Objective, Terms

RECIPE = Recipe(model="vgg", label_smoothing=0.0)
SIZE = (3, 16, 16)


def objective(**changes):
    torch.manual_seed(0)
    return Objective(build("vgg"), SIZE, replace(RECIPE, **changes)).eval()


def terms(made, count=4, labelled=4, teacher=None):
    torch.manual_seed(1)
    images, labels = torch.randn(count, *SIZE), torch.arange(labelled)
    return images, labels, Terms(*made(images, labels, teacher))


def test_a_bare_classifier_has_cross_entropy_and_accuracy_alone():
    made = objective()
    images, labels, found = terms(made)
    logits = made.model(images)
    assert torch.allclose(found.classification, functional.cross_entropy(logits, labels))
    assert found.accuracy == (logits.argmax(1) == labels).float().mean()
    assert found.reconstruction == found.consistency == 0
    assert made.total(found, 0.5) == found.classification


def test_only_the_first_pictures_are_classified_and_all_are_given_back():
    made = objective(deconv_weight=0.5, decoder=DecoderConfig(rampup=0.5))
    images, labels, found = terms(made, count=6, labelled=2)
    assert torch.allclose(
        found.classification, functional.cross_entropy(made.model(images)[:2], labels)
    )
    (back,) = made.regulariser.reconstruct(_encoded(made, images))[:1]
    assert torch.allclose(found.reconstruction, (back - images).square().mean())
    assert torch.allclose(made.total(found, 1.0), found.classification + 0.5 * found.reconstruction)
    early = made.total(found, 0.0) - found.classification
    assert early < 0.01 * found.reconstruction


def _encoded(made, images):
    from deconvviz.training.encoder import encode

    return encode(made.model.stages, images)


def test_unlabelled_pictures_do_not_change_the_classification_loss():
    alone, beside = objective().train(), objective(deconv_weight=1.0).train()
    images, labels = torch.randn(12, *SIZE), torch.arange(4)
    loss = Terms(*alone(images[:4], labels)).classification
    assert torch.equal(Terms(*beside(images, labels)).classification, loss)


def test_consistency_is_the_squared_distance_from_the_teacher_over_all_pictures():
    made = objective(consistency_weight=2.0, consistency_rampup=0.5)
    teacher = torch.softmax(torch.randn(6, 10), 1)
    images, _, found = terms(made, count=6, labelled=2, teacher=teacher)
    said = made.model(images).softmax(1)
    assert torch.allclose(found.consistency, (said - teacher).square().sum(1).mean())
    for progress, share in ((0.25, 0.5), (0.5, 1.0), (1.0, 1.0)):
        expected = found.classification + 2.0 * share * found.consistency
        assert torch.allclose(made.total(found, progress), expected)


def test_running_statistics_are_of_whole_pictures():
    loud, still = objective().train(), objective().train()
    images, labels, _ = terms(still)
    loud(images + 5 * torch.randn_like(images), labels, None, images)
    others = dict(loud.model.named_buffers())
    for name, value in still.model.named_buffers():
        assert "running" not in name or torch.allclose(others[name], value)
    momenta = {m.momentum for m in loud.modules() if hasattr(m, "momentum")}
    assert momenta == {0.1}


def test_what_cutout_hides_is_reconstructed():
    made = objective(deconv_weight=1.0, decoder=DecoderConfig(inpaint=True))
    whole, seen = torch.randn(2, 4, *SIZE)
    made.regulariser.decoder.forward = lambda _: [whole]  # a decoder that knows what is hidden
    labels = torch.arange(4)
    assert Terms(*made(seen, labels, None, whole)).reconstruction == 0
    assert Terms(*made(seen, labels)).reconstruction > 1
    loss = functional.cross_entropy(made.model(seen), labels)
    assert torch.allclose(Terms(*made(seen, labels, None, whole)).classification, loss)


@pytest.mark.parametrize("tied", [False, True])
def test_every_parameter_has_a_gradient(tied):
    """A process group waits for the gradient of each."""
    made = objective(
        deconv_weight=1.0,
        consistency_weight=1.0,
        decoder=DecoderConfig(stages=(1.0, 1.0), tied=tied),
    ).train()
    _, _, found = terms(made, teacher=torch.full((4, 10), 0.1))
    made.total(found, 1.0).backward()
    assert all(p.grad is not None for p in made.parameters())
