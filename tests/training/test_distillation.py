"""Distillation: what networks say together, and what becomes of a target."""

import pytest
import torch

from deconvviz import load
from deconvviz.errors import SettingError, UnknownModelError
from deconvviz.io.checkpoint import Description, save_checkpoint
from deconvviz.models import build
from deconvviz.training.distillation import TeacherEnsemble, load_teachers

DEMO = load("demo")
OWN = (DEMO.preprocessing.mean, DEMO.preprocessing.std)
RUN = (DEMO.classes, (3, 32, 32))


def ensemble(names, mean, std):
    return TeacherEnsemble(load_teachers(names, *RUN), mean, std)


@pytest.fixture
def pixels():
    return torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def by_hand(name, pixels):
    """(N, K), of pictures in [0, 1], one at a time and by the network's own normalisation."""
    bundle = load(name)
    mean, std = (
        torch.tensor(value)[:, None, None]
        for value in (bundle.preprocessing.mean, bundle.preprocessing.std)
    )
    with torch.no_grad():
        return torch.cat([bundle.model(((one - mean) / std)[None]).softmax(1) for one in pixels])


def normalised(pixels, mean, std):
    return (pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]


@pytest.mark.parametrize("other", [OWN, ((0.5, 0.4, 0.3), (0.25, 0.5, 0.75))])
def test_soft_labels_are_the_mean_of_all_networks_for_the_same_pixels(pixels, other):
    teachers = ensemble(["demo", "demo-deconv"], *other)
    expected = (by_hand("demo", pixels) + by_hand("demo-deconv", pixels)) / 2
    soft = teachers(normalised(pixels, *other))
    torch.testing.assert_close(soft, expected, atol=1e-5, rtol=1e-4)
    assert teachers.sha256 == tuple(load(name).sha256 for name in ("demo", "demo-deconv"))


def test_targets_are_shares_of_its_word_and_of_the_label(pixels):
    teachers = ensemble(["demo"], *OWN)
    labels = torch.tensor([3, 0, 9, 9])
    found = teachers.targets(normalised(pixels, *OWN), labels, 0.75)
    expected = 0.75 * by_hand("demo", pixels[:4])
    expected[range(4), labels] += 0.25
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert torch.allclose(found.sum(1), torch.ones(4))


def test_labels_that_are_shares_already_stay_shares(pixels):
    teachers = ensemble(["demo"], *OWN)
    shares = torch.full((6, 10), 0.1)
    found = teachers.targets(normalised(pixels, *OWN), shares, 0.5)
    expected = (by_hand("demo", pixels) + 0.1) / 2
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_it_learns_nothing_itself(pixels):
    teachers = ensemble(["demo"], *OWN)
    assert not any(weight.requires_grad for weight in teachers.networks.parameters())
    assert not any(module.training for module in teachers.networks.modules())
    assert not teachers(pixels).requires_grad


def test_a_network_of_other_classes_is_refused():
    with pytest.raises(SettingError, match="`demo` cannot be a teacher: its classes"):
        load_teachers(["demo"], ("cat", "dog"), (3, 32, 32))


def test_a_snapshot_without_a_head_is_refused():
    with pytest.raises(SettingError, match="classes are none"):
        ensemble([str(load("demo-photos").snapshots[1])], *OWN)


def test_a_network_of_another_size_is_refused(tmp_path):
    model, path = build("seed-cnn", size=16), tmp_path / "small.safetensors"
    small = Description(
        "seed-cnn", 3, 16, DEMO.classes, *OWN, {"title": "x", "fingerprint": "y"}, {}
    )
    save_checkpoint(path, model, small)
    with pytest.raises(SettingError, match="input size is 3x16x16"):
        ensemble([str(path)], *OWN)


def test_a_network_that_is_not_there_is_named():
    with pytest.raises(UnknownModelError, match="no model `nobody`"):
        ensemble(["nobody"], *OWN)
