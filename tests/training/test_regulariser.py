"""The deconvolution decoder beside the classifier."""

from itertools import cycle, islice, product

import pytest
import torch
from torch import nn
from torch.nn import functional

from deconvviz.deconv import Deconvnet, Selection
from deconvviz.errors import SettingError
from deconvviz.models import MODELS, build
from deconvviz.training.encoder import encode
from deconvviz.training.regulariser import (
    Decoder,
    DecoderConfig,
    Regulariser,
    reconstruction_error,
)

CONFIGS = [
    DecoderConfig(switches=switches, tied=tied, kernel=kernel, depth=depth)
    for switches, tied, kernel, depth in product((0, 1), (0, 1), (3, 4, 5), (1, 2))
    if not tied or (kernel, depth) == (4, 1)
]


def encoding_of(model, images, switches=False):
    return encode(model.stages, images, switches=switches)


CASES = [
    *((name, 3, 32) for name in MODELS),
    ("deconv-mnist", 1, 28),
    ("seed-cnn", 1, 28),
    ("vgg", 3, 31),
    ("plain:4,4/8:pool=mean", 3, 32),
]
# each network and each kind of decoder, twice or more, in changing pairs
PAIRS = tuple(islice(zip(cycle(CASES), cycle(CONFIGS), strict=False), 2 * len(CONFIGS)))


@pytest.mark.parametrize(("case", "config"), PAIRS, ids=str)
def test_outputs_have_the_sizes_of_the_picture_and_of_each_stages_input(case, config):
    name, channels, side = case
    model = build(name, channels=channels, size=side)
    encoded = encoding_of(model, torch.randn(2, channels, side, side), config.switches)
    back = Decoder(model, (channels, side, side), config)(encoded)
    wanted = encoded.maps[:1] if model.features_are_images else encoded.maps[:-1]
    assert [one.shape for one in back] == [one.shape for one in wanted]


def test_has_no_nonlinearity_on_the_picture_it_gives():
    model = build("vgg").eval()
    for config in (DecoderConfig(), DecoderConfig(tied=True)):
        back = Decoder(model, (3, 32, 32), config)(encoding_of(model, torch.randn(4, 3, 32, 32)))
        assert (back[0] < 0).any()
        assert all((one >= 0).all() for one in back[1:])


def test_every_pixel_away_from_the_border_gets_equally_many_contributions():
    """The reason for kernel 4 at stride 2: no checkerboard is built in; 3 has one."""

    def spread(kernel):
        last = Decoder(build("vgg"), (3, 32, 32), DecoderConfig(kernel=kernel)).steps[-1].up
        nn.init.ones_(last.weight)
        nn.init.zeros_(last.bias)
        given = last(torch.ones(1, last.in_channels, 8, 8))[..., 2:-2, 2:-2]
        return (given.max() - given.min()).item()

    assert spread(4) == 0
    assert spread(3) > 0


@pytest.mark.parametrize("name", ["seed-cnn", "vgg", "fast"])
def test_tied_with_switches_it_is_the_deconvnet_of_what_it_stands_beside(name):
    """Of the first stage, with a norm that does nothing: the projection of all its activations."""
    model = build(name).eval()
    images = torch.randn(1, 3, 32, 32)
    first = "stage1" if name != "fast" else "stem"
    decoder = Decoder(model, (3, 32, 32), DecoderConfig(tied=True, switches=True)).eval()
    encoded = encoding_of(model, images, switches=True)
    back = decoder.steps[-1](encoded.maps[1], encoded.pools[0], images.shape)
    net = Deconvnet(model, (3, 32, 32))
    recording = net.record(images, [first])
    maps = recording[first][0]
    channel, y, x = (maps != 0).nonzero(as_tuple=True)
    none = torch.zeros_like(channel)
    whole = Selection(first, none, channel, y, x, group=none)
    expected = net.project(recording, whole).full()
    # BatchNorm's scale is left out by the decoder; at the start it is all but one
    scale = decoder.steps[-1].norm.weight
    assert torch.allclose(scale, torch.ones_like(scale))
    assert torch.allclose(back, expected, atol=1e-3 * float(expected.abs().max()))


def test_tied_it_reaches_every_pixel_through_pools_of_both_kinds():
    for pool in ("max", "mean"):
        model = build(f"plain:4/8:pool={pool}").eval()
        decoder = Decoder(model, (3, 32, 32), DecoderConfig(tied=True)).eval()
        back = decoder(encoding_of(model, torch.randn(8, 3, 32, 32)))[0]
        assert back[..., -1, :].std(-1).min() > 0  # a part that was only filled would be constant


def test_tied_kernels_are_the_networks_own_and_counted_once():
    model = build("vgg")
    tied = Decoder(model, (3, 32, 32), DecoderConfig(tied=True))
    own = {id(p) for p in tied.parameters()}
    assert not own & {id(p) for p in model.parameters()}
    assert all(p.ndim == 1 for p in tied.parameters())
    tied(encoding_of(model, torch.randn(2, 3, 32, 32)))[0].square().sum().backward()
    assert model.stage1.conv1.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    "config", [DecoderConfig(), DecoderConfig(tied=True), DecoderConfig(switches=True)], ids=str
)
def test_the_gradient_reaches_the_first_convolution_and_not_the_head(config):
    model = build("vgg")
    regulariser = Regulariser(model, (3, 32, 32), config)
    encoded = encoding_of(model, torch.randn(4, 3, 32, 32), config.switches)
    regulariser(encoded, encoded).backward()
    assert model.stage1.conv1.weight.grad.abs().sum() > 0
    assert model.head.logits.weight.grad is None


def test_with_switches_maxima_come_back_to_their_places():
    model = build("seed-cnn").eval()
    images = torch.randn(1, 3, 32, 32)
    encoded = encoding_of(model, images, switches=True)
    pool = encoded.pools[-1][0]
    decoder = Decoder(model, (3, 32, 32), DecoderConfig(switches=True))
    seen = []
    decoder.steps[0].up.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    decoder(encoded)
    expected = functional.max_unpool2d(encoded.features, pool.indices, 2)
    assert torch.equal(seen[0], expected)


def test_the_error_is_the_pictures_and_each_stages_by_its_weight_over_its_variance():
    model = build("vgg").eval()
    images = torch.randn(2, 3, 32, 32)
    plain = encoding_of(model, images)

    def error(*stages):
        torch.manual_seed(0)
        made = Regulariser(model, (3, 32, 32), DecoderConfig(stages=stages)).eval()
        return made, made(plain, plain).item()

    made, alone = error()
    back = made.reconstruct(plain)
    assert alone == pytest.approx((back[0] - images).square().mean().item())
    shares = [
        ((b - t).square().mean() / t.var()).item()
        for b, t in zip(back[1:], plain.maps[1:-1], strict=True)
    ]
    assert error(2.0)[1] == pytest.approx(alone + 2 * shares[0], rel=1e-4)
    assert error(0.0, 3.0)[1] == pytest.approx(alone + 3 * shares[1], rel=1e-4)


@pytest.mark.parametrize("hold", [True, False])
def test_held_targets_pass_no_gradient(hold):
    model = build("vgg")
    config = DecoderConfig(stages=(1.0,), detach_targets=hold)
    regulariser = Regulariser(model, (3, 32, 32), config)
    encoded = encoding_of(model, torch.randn(2, 3, 32, 32))
    cut = encoded._replace(maps=[*encoded.maps[:-1], encoded.features.detach()])
    regulariser(cut, cut).backward()
    # the features are cut off, so only the first stage's maps as a target can reach its kernels
    assert (model.stage1.conv1.weight.grad is None) == hold


def test_from_below_the_last_stage_it_asks_nothing_of_that():
    model = build("vgg")
    regulariser = Regulariser(model, (3, 32, 32), DecoderConfig(skip_last_stages=1, stages=(1.0,)))
    encoded = encoding_of(model, torch.randn(2, 3, 32, 32))
    assert [one.shape for one in regulariser.reconstruct(encoded)] == [
        one.shape for one in encoded.maps[:2]
    ]
    regulariser(encoded, encoded).backward()
    assert model.stage2.conv1.weight.grad.abs().sum() > 0
    assert model.stage3.conv1.weight.grad is None
    for name, below in (("vgg", 3), ("ddnet", 1)):
        with pytest.raises(SettingError, match="skip_last_stages"):
            Decoder(build(name), (3, 32, 32), DecoderConfig(skip_last_stages=below))


def test_a_free_branch_adds_a_picture_of_its_own():
    model = build("seed-cnn")
    images = torch.randn(2, 3, 32, 32)
    encoded = encoding_of(model, images)
    regulariser = Regulariser(model, (3, 32, 32), DecoderConfig(free_branch=True))
    assert not torch.equal(regulariser.free.encoder.stage1.conv.weight, model.stage1.conv.weight)
    without = regulariser.decoder(encoded)[0]
    own = regulariser.free.decoder(regulariser.free.encode(images))[0]
    assert torch.allclose(regulariser.reconstruct(encoded)[0], without + own)
    regulariser(encoded, encoded).backward()
    assert all(p.grad is not None for p in regulariser.parameters())


def test_a_free_branch_reconstructs_the_inputs_of_its_own_stages():
    model = build("vgg").eval()
    images = torch.randn(2, 3, 32, 32)
    encoded = encoding_of(model, images)
    config = DecoderConfig(free_branch=True, stages=(2.0,))
    regulariser = Regulariser(model, (3, 32, 32), config).eval()
    own = regulariser.free.encode(images)
    expected = (regulariser.reconstruct(encoded)[0] - images).square().mean()
    branches = ((regulariser.decoder, encoded), (regulariser.free.decoder, own))
    for decoder, maps in branches:
        target = maps.maps[1]
        expected = expected + 2 * (decoder(maps)[1] - target).square().mean() / target.var()
    assert torch.isclose(regulariser(encoded, encoded), expected)


def test_balanced_the_error_changes_only_the_branch_that_alone_is_worse():
    model = build("seed-cnn").eval()
    images = torch.randn(1, 3, 32, 32)
    config = DecoderConfig(free_branch=True, balance=True)
    for worse in ("decoder", "free"):
        encoded = encoding_of(model, images)
        regulariser = Regulariser(model, (3, 32, 32), config).eval()
        decoders = {"decoder": regulariser.decoder, "free": regulariser.free.decoder}
        # far from every picture
        nn.init.constant_(decoders[worse].steps[-1].up.bias, 50.0)
        error = regulariser(encoded, encoded)
        assert torch.isclose(
            error, reconstruction_error(regulariser.reconstruct(encoded)[0], images)
        )
        error.backward()
        for name, decoder in decoders.items():
            grad = decoder.steps[-1].up.weight.grad
            assert (grad is not None and bool(grad.abs().sum() > 0)) == (name == worse)


def test_balance_needs_two_branches():
    with pytest.raises(SettingError, match="free_branch"):
        DecoderConfig(balance=True)


def test_with_other_targets_a_perfect_reconstruction_is_of_another_picture():
    model = build("vgg").eval()
    encoded = encoding_of(model, torch.randn(3, 3, 32, 32))
    regulariser = Regulariser(
        model, (3, 32, 32), DecoderConfig(other_targets=True, stages=(1.0, 0.5))
    )
    others = [maps[[2, 0, 1]] for maps in encoded.maps[:3]]
    regulariser.decoder.forward = lambda _: others
    assert regulariser(encoded, encoded) == 0
    regulariser.decoder.forward = lambda _: encoded.maps[:3]
    assert regulariser(encoded, encoded) > 1


def test_the_loss_of_a_perfect_reconstruction_is_zero_and_of_the_mean_is_the_variance():
    images = torch.randn(8, 3, 16, 16, dtype=torch.float64).float()
    assert reconstruction_error(images, images) == 0
    expected = images.var(unbiased=False) + images.mean() ** 2
    assert torch.isclose(reconstruction_error(torch.zeros_like(images), images), expected)


def test_what_a_deep_deconvolution_network_gives_back_is_its_reconstruction():
    model = build("ddnet").eval()
    encoded = encoding_of(model, torch.randn(2, 3, 32, 32))
    assert Decoder(model, (3, 32, 32))(encoded) == [encoded.features]


@pytest.mark.parametrize(
    ("name", "stages", "passes"), [("vgg", (1.0, 1.0, 1.0), 2), ("ddnet", (1.0,), 0)]
)
def test_weights_of_missing_stages_are_refused(name, stages, passes):
    with pytest.raises(SettingError, match=f"at most {passes} weights"):
        Decoder(build(name), (3, 32, 32), DecoderConfig(stages=stages))


@pytest.mark.parametrize(
    "wrong",
    [
        {"kernel": 1},
        {"depth": 0},
        {"skip_last_stages": -1},
        {"stages": (-1.0,)},
        {"rampup": 2.0},
        {"rampdown": -0.1},
    ],
)
def test_values_outside_their_limits_are_refused(wrong):
    with pytest.raises(SettingError, match=next(iter(wrong))):
        DecoderConfig(**wrong)


def test_the_errors_weight_rises_and_falls():
    config = DecoderConfig(rampup=0.2, rampdown=0.5)
    assert config.weight_scale(0.0) == pytest.approx(0.0067, abs=1e-4)
    assert config.weight_scale(0.2) == config.weight_scale(0.5) == 1
    assert config.weight_scale(0.75) == pytest.approx(0.5)
    assert config.weight_scale(1.0) == pytest.approx(0)
    assert DecoderConfig().weight_scale(0) == DecoderConfig().weight_scale(1) == 1
