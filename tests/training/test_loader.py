"""Batches: what is drawn, for whom, and that runs of one seed are pairs."""

from dataclasses import replace

import pytest
import torch

from deconvviz.io.data import Augmentation, draw_shapes
from deconvviz.processes import ProcessGroup
from deconvviz.training import DecoderConfig, Recipe
from deconvviz.training.loader import BatchLoader

RECIPE = Recipe(
    epochs=2,
    batch_size=8,
    augmentation=Augmentation(crop_padding=0, flip=False),
    precision="float32",
)
FEW, MANY = draw_shapes(24, seed=1), draw_shapes(40, seed=2)


def batches(epoch=1, processes=None, unlabelled=None, **changes):
    loader = BatchLoader(
        FEW,
        unlabelled,
        replace(RECIPE, **changes),
        torch.device("cpu"),
        processes or ProcessGroup(),
    )
    return list(loader.batches(epoch))


def labels(found):
    return torch.cat([batch.targets for batch in found]).tolist()


def pictures(images):
    return {image.numpy().tobytes() for image in images.contiguous()}


def test_a_pass_shows_every_picture_once_normalised():
    found = batches()
    seen = torch.cat([batch.images for batch in found])
    assert seen.shape == (24, 3, 32, 32)
    assert seen.mean((0, 2, 3)).abs().max() < 1e-4
    assert seen.std((0, 2, 3), unbiased=False) == pytest.approx([1, 1, 1], abs=1e-3)
    assert sorted(labels(found)) == sorted(FEW.labels.tolist())
    assert labels(found) != labels(batches(epoch=2))
    assert [batch.progress for batch in found] == pytest.approx([1 / 6, 2 / 6, 3 / 6])


def test_so_many_steps_go_round_as_often_as_it_takes():
    found = batches(steps_per_epoch=7)
    assert len(found) == 7
    counts = torch.bincount(torch.tensor(labels(found)), minlength=6)
    assert counts.sum() == 56
    assert labels(found)[:24] != labels(found)[24:48]
    assert sorted(labels(found)[:24]) == sorted(labels(found)[24:48])


def test_pictures_with_labels_go_the_same_way_with_others_beside_them_or_not():
    full = Augmentation(crop_padding=4, cutout=8)
    alone = batches(augmentation=full, steps_per_epoch=3)
    beside = batches(
        augmentation=full,
        steps_per_epoch=3,
        unlabelled=MANY,
        unlabelled_batch=16,
        consistency_weight=1.0,
    )
    for one, other in zip(alone, beside, strict=True):
        assert other.images.shape == (24, 3, 32, 32)
        assert torch.equal(one.images, other.images[:8])
        assert torch.equal(one.targets, other.targets)


def test_a_teacher_sees_the_same_pictures_in_another_view():
    plain = batches(consistency_weight=1.0)
    assert all(torch.equal(batch.images, batch.teacher_view) for batch in plain)
    varied = batches(consistency_weight=1.0, augmentation=Augmentation(crop_padding=4))
    assert not any(torch.equal(batch.images, batch.teacher_view) for batch in varied)


def test_whole_pictures_are_there_for_a_decoder_that_fills_alone():
    hiding = Augmentation(crop_padding=2, cutout=12)
    assert batches(augmentation=hiding)[0].clean is None
    found = batches(augmentation=hiding, deconv_weight=1.0, decoder=DecoderConfig(inpaint=True))
    hidden = torch.cat([(b.images != b.clean).any(1).flatten(1).sum(1) for b in found])
    assert (hidden <= 144).all()
    assert hidden.float().mean() > 40


def test_blended_pictures_lie_between_two_with_targets_to_match():
    plain = batches()[0]
    found = batches(mixup=1.0)[0]
    shares = found.targets
    assert shares.shape == (8, 6)
    assert torch.allclose(shares.sum(1), torch.ones(8))
    share = float(shares.max(1).values.min())
    ways = [
        torch.allclose(found.images[i], s * plain.images[i] + (1 - s) * plain.images[j], atol=1e-4)
        for i in range(8)
        for j in range(8)
        for s in (share, 1 - share)
    ]
    assert sum(ways) >= 8


def test_noise_is_of_its_deviation_and_what_is_whole_has_none():
    plain, loud = batches(), batches(noise=0.5)
    for one, other in zip(plain, loud, strict=True):
        assert torch.equal(other.clean, one.images)
        assert float((other.images - one.images).std()) == pytest.approx(0.5, abs=0.02)
    assert not torch.equal(loud[0].images - loud[0].clean, loud[1].images - loud[1].clean)


def test_nobody_elses_random_numbers_change():
    before = torch.get_rng_state()
    batches(noise=0.5, mixup=0.5, augmentation=Augmentation(cutout=8), consistency_weight=1.0)
    assert torch.equal(torch.get_rng_state(), before)


def test_processes_together_have_the_batches_of_one():
    wanted = {
        "augmentation": Augmentation(crop_padding=4, cutout=8),
        "unlabelled": MANY,
        "unlabelled_batch": 8,
        "noise": 0.1,
    }
    whole = batches(**wanted)
    parts = [batches(processes=ProcessGroup(rank, 2), **wanted) for rank in (0, 1)]
    for one, *shares in zip(whole, *parts, strict=True):
        with_labels = torch.stack([s.clean[:4] for s in shares], 1).flatten(0, 1)
        without = torch.stack([s.clean[4:] for s in shares], 1).flatten(0, 1)
        assert torch.equal(one.clean, torch.cat([with_labels, without]))
        assert not torch.equal(
            shares[0].images - shares[0].clean, shares[1].images - shares[1].clean
        )
        assert torch.equal(one.targets, torch.stack([s.targets for s in shares], 1).flatten())


def test_a_picture_that_is_mirrored_in_one_pass_is_not_in_the_next():
    flips = Augmentation(crop_padding=0, flip=True)
    first, second = (
        torch.cat([batch.images for batch in batches(epoch, augmentation=flips)])
        for epoch in (1, 2)
    )
    assert pictures(first) == pictures(second.flip(3))
    assert not pictures(first) & pictures(second)
