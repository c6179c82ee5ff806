"""Variational auto-encoders: their loss against torch.distributions, and what they draw."""

from dataclasses import replace

import pytest
import torch
from torch.distributions import Bernoulli, Normal, kl

from deconvviz.errors import SettingError, UnknownModelError
from deconvviz.io.checkpoint import load_checkpoint
from deconvviz.io.data import draw_shapes
from deconvviz.networks import build
from deconvviz.restoration import RestorationRecipe, train_restoration
from deconvviz.restoration.generation import (
    Generation,
    along,
    draw_latents,
    fit_latents,
    from_feature,
    interpolated,
    kl_divergence,
    reconstruction,
    samples,
)
from deconvviz.training import read_metrics

RECIPE = RestorationRecipe(
    task="generate",
    network="vae:latent=5:width=4",
    loss="cross-entropy",
    epochs=2,
    steps_per_epoch=20,
    batch_size=16,
    patch=16,
    lr=5e-3,
    fp16=False,
)


@pytest.fixture(scope="module")
def pictures():
    return tuple(draw_shapes(n, size=16, channels=1, seed=n) for n in (48, 24))


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    model = build("vae:latent=5:width=4", channels=1, size=16)
    model(torch.rand(32, 1, 16, 16))  # BatchNorm's statistics
    return model.eval()


@pytest.mark.parametrize("up", ["transposed3", "transposed4", "resize"])
@pytest.mark.parametrize(("channels", "size"), [(1, 28), (3, 32)])
def test_pictures_come_back_in_their_size(up, channels, size):
    model = build(f"vae:latent=6:width=4:up={up}", channels=channels, size=size)
    pictures = torch.rand(3, channels, size, size)
    assert model(pictures).shape == pictures.shape
    mean, log_variance = model.encode(pictures)
    assert mean.shape == log_variance.shape == (3, 6)
    with torch.no_grad():
        back = model(pictures)
    assert 0 <= float(back.min()) <= float(back.max()) <= 1


def test_a_side_that_cannot_be_halved_twice_is_refused():
    with pytest.raises(UnknownModelError, match="a multiple of 4 pixels, got 30"):
        build("vae", size=30)


def test_the_divergence_is_that_of_torchs_distributions():
    mean, log_variance = torch.randn(2, 7, 5, generator=torch.Generator().manual_seed(0))
    ours = kl_divergence(mean, log_variance)
    theirs = kl.kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum(1)
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_the_likelihoods_are_those_of_torchs_distributions():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 1, 6, 6, generator=generator)
    images = (torch.rand(4, 1, 6, 6, generator=generator) > 0.5).float()
    bernoulli = -Bernoulli(logits=logits).log_prob(images).sum() / 4
    assert torch.allclose(reconstruction(logits, images, "cross-entropy"), bernoulli)
    means = logits.sigmoid()

    def gaussian(deviation):
        return float(-Normal(means, deviation).log_prob(images).sum() / 4)

    best = float((means - images).square().mean().sqrt())
    assert float(reconstruction(logits, images, "l2")) == pytest.approx(gaussian(best), rel=1e-5)
    assert gaussian(best) < min(gaussian(best * 1.1), gaussian(best / 1.1))


def test_the_loss_is_of_the_latent_that_the_noise_draws(pictures):
    task = Generation(RECIPE, *pictures)
    model = build(RECIPE.network, channels=1, size=16).eval()
    batch = next(task.batches(1))
    total, error, divergence = task.loss(model, batch)
    mean, log_variance = model.encode(batch.inputs)
    drawn = Normal(mean, (log_variance / 2).exp())
    logits = model.logits(mean + batch.targets * drawn.stddev)
    expected = -Bernoulli(logits=logits, validate_args=False).log_prob(batch.inputs).sum() / 16
    assert torch.allclose(error, expected, rtol=1e-4)
    assert torch.allclose(total, error + divergence)


def test_it_learns_and_draws_from_the_stored_network(tmp_path, pictures):
    task = Generation(RECIPE, *pictures)
    done = train_restoration(RECIPE, tmp_path, task=task, progress=False)
    lines = read_metrics(tmp_path)
    assert lines[-1]["train_loss"] < lines[0]["train_loss"]
    stored = load_checkpoint(done.checkpoint).network()
    assert task.validate(stored) == done.held_out
    drawn = samples(stored, 7, seed=3)
    assert drawn.shape == (7, 1, 16, 16)
    assert torch.equal(drawn, samples(stored, 7, seed=3))
    assert not torch.equal(drawn, samples(stored, 7, seed=4))


def test_digits_are_not_mirrored_and_photographs_are(pictures):
    colour = tuple(draw_shapes(n, size=16, channels=3, seed=n) for n in (48, 24))
    for data, expected in ((pictures, False), (colour, True)):
        task = Generation(RECIPE, *data)
        originals = task.training.images.float() / 255
        seen = torch.cat([batch.inputs for batch in task.batches(1)])
        known = [any(torch.equal(one, other) for other in originals) for one in seen]
        assert (not all(known)) == expected


def test_interpolation_begins_and_ends_at_the_pictures(net):
    first, second = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    way = interpolated(net, first, second, steps=5)
    with torch.no_grad():
        ends = net(torch.stack([first, second]))
        middle = net.decode(net.encode(torch.stack([first, second]))[0].mean(0, keepdim=True))
    assert torch.allclose(way[[0, -1]], ends, atol=1e-6)
    assert torch.allclose(way[2], middle[0], atol=1e-6)


def test_along_a_dimension_only_that_dimension_changes(net):
    latent = torch.randn(5, generator=torch.Generator().manual_seed(2))
    found = along(net, latent, 3, torch.tensor([-1.0, float(latent[3]), 2.0]))
    with torch.no_grad():
        assert torch.allclose(found[1], net.decode(latent[None])[0], atol=1e-6)
        other = latent.clone()
        other[3] = 2
        assert torch.allclose(found[2], net.decode(other[None])[0], atol=1e-6)


def test_a_feature_draws_only_where_its_kernels_reach(net):
    """Three steps of 4x4 kernels with a stride of 2 follow the lowest maps, of 2x2 pixels."""
    drawn = from_feature(net, channel=1, y=0, x=0, value=3.0)
    assert drawn.shape == (1, 16, 16)
    assert drawn.abs().sum() > 0
    # rows that one pixel reaches: -1..2, then -3..6, then -7..14
    assert not drawn[:, 15:].any()
    assert not from_feature(net, channel=1, y=0, x=0, value=0.0).any()


def test_another_loss_is_refused(pictures):
    with pytest.raises(SettingError, match="cross-entropy or l2"):
        Generation(replace(RECIPE, loss="l1"), *pictures)


def test_samples_are_drawn_as_the_latents_of_training_pictures_lie(net, pictures):
    images = pictures[0].images
    fit_latents(net, images)
    mean, log_variance = net.encode(images.float() / 255)
    many = mean + torch.randn(4000, *mean.shape) * (log_variance / 2).exp()
    latents = draw_latents(net, 50_000, seed=1)
    assert torch.allclose(latents.mean(0), mean.mean(0), atol=0.02)
    assert torch.allclose(latents.T.cov(), many.flatten(0, 1).T.cov(), atol=0.05)
    prior = draw_latents(net, 50_000, seed=1, prior=True)
    assert torch.allclose(prior.T.cov(), torch.eye(5), atol=0.05)
    assert not torch.allclose(latents.mean(0), prior.mean(0), atol=0.02)


def test_a_run_stores_the_fitted_latents(tmp_path, pictures):
    train_restoration(RECIPE, tmp_path / "run", task=Generation(RECIPE, *pictures))
    stored = load_checkpoint(tmp_path / "run" / "model.safetensors").network()
    centre = stored.centre.clone()
    fit_latents(stored, pictures[0].images)
    assert centre.abs().max() > 0
    assert torch.allclose(stored.centre, centre, atol=1e-5)
