"""Gradients of networks in training: by finite differences, and of chains that are known."""

import json
import math
from dataclasses import asdict, replace

import pytest
import torch
from torch import nn
from torch.nn import functional

from deconvviz.errors import StudyError
from deconvviz.io.data import draw_shapes
from deconvviz.study.gradients.trace import (
    FORMS,
    Condition,
    GradientStats,
    Setting,
    Trace,
    _batches,
    follow,
    gradient_stats,
    he_init,
    network,
    trace_file,
)
from deconvviz.study.gradients.trace import layer_weights as weights_of

DATA = draw_shapes(24, size=8)
MEAN, STD = DATA.channel_statistics()
SETTING = Setting("shapes", DATA.fingerprint, 24, MEAN, STD, 2, "pytorch", 0.05, 6, (0, 1, 3))


def chain(weight, layers, dtype=torch.float32):
    """Layers of one weight, each of which gives 1 for 1, so that only the weights scale signals."""
    made = [nn.Conv2d(1, 1, 1, dtype=dtype) for _ in range(layers)]
    for layer in made:
        nn.init.constant_(layer.weight, weight)
        nn.init.constant_(layer.bias, 1 - weight)
    return nn.Sequential(*made)


def test_norms_are_those_of_finite_differences():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.ReLU(), nn.ConvTranspose2d(2, 1, 2), nn.Flatten(), nn.Linear(25, 3)
    ).double()
    images, labels = torch.randn(5, 1, 6, 6).double(), torch.tensor([0, 1, 2, 0, 1])

    def loss():
        return functional.cross_entropy(network(images), labels)

    weights = weights_of(network)
    assert list(weights) == ["0", "2", "4"]
    found = gradient_stats(loss(), None, list(weights.values()))
    for weight, norm in zip(weights.values(), found.gradients, strict=True):
        flat, squares = weight.data.view(-1), 0.0
        for i in range(len(flat)):
            slopes = []
            for change in (1e-5, -2e-5):
                flat[i] += change
                slopes.append(float(loss().detach()))
            flat[i] += 1e-5
            squares += ((slopes[0] - slopes[1]) / 2e-5) ** 2
        assert norm == pytest.approx(math.sqrt(squares), rel=5e-6)  # to six digits
    assert found.entropy == pytest.approx(float(loss().detach()), rel=5e-6)
    assert {found.error, *found.cosines} == {None}


@pytest.mark.parametrize(("weight", "layers"), [(0.5, 6), (0.001, 11), (3.0, 9)])
def test_gradients_of_a_chain_shrink_and_grow_by_its_weight(weight, layers):
    """Down to 1e-30, the squares of which no float32 holds."""
    network = chain(weight, layers)
    weights = list(weights_of(network).values())
    found = gradient_stats(network(torch.ones(1, 1, 4, 4)).mean(), None, weights)
    expected = [weight ** (layers - 1 - i) for i in range(layers)]
    assert found.gradients == pytest.approx(expected, rel=1e-4)
    assert found.weights == pytest.approx([weight] * layers)


def test_equal_losses_agree_opposite_ones_disagree_and_unrelated_ones_do_neither():
    network = chain(0.7, 4, torch.float64)
    weights = list(weights_of(network).values())
    images = torch.ones(1, 1, 2, 2).double()
    loss = network(images).square().mean()
    assert gradient_stats(loss, 2 * loss, weights).cosines == pytest.approx((1.0,) * 4)
    assert gradient_stats(loss, -loss, weights).cosines == pytest.approx((-1.0,) * 4)
    below = network[:3](images).mean()
    assert gradient_stats(loss, below, weights).cosines[3] is None
    pair = nn.Parameter(torch.tensor([1.0, 1.0]))
    assert gradient_stats(pair[0], pair[1] * 3, [pair]).cosines == (0.0,)


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("depth", FORMS)
def test_both_architectures_have_the_depth_and_like_widths(depth, norm):
    plain, ours = (
        network(Condition(architecture, depth, norm), 3, 6, 32, 4)
        for architecture in ("plain", "ddnet")
    )
    for made in (plain, ours):
        names = list(weights_of(made))
        assert len(names) == depth + 1
        assert [name for name in names if name.startswith("head")] == names[-1:]
        assert made(torch.zeros(2, 3, 32, 32)).shape == (2, 6)
        assert norm == any(isinstance(m, nn.BatchNorm2d) for m in made.modules())
    pools = [sum(isinstance(m, nn.MaxPool2d) for m in n.modules()) for n in (plain, ours)]
    assert pools[0] == pools[1]
    assert not any(isinstance(m, nn.ConvTranspose2d) for m in plain.modules())
    widths = [
        {m.out_channels for m in made.modules() if hasattr(m, "out_channels")} - {3}
        for made in (plain, ours)
    ]
    assert widths[0] == widths[1]


def test_networks_without_norm_are_the_plain_ones_but_for_it():
    bare, normed = (network(Condition("plain", 6, norm), 3, 6, 16, 4) for norm in (False, True))
    shapes = [[w.shape for w in weights_of(made).values()] for made in (bare, normed)]
    assert shapes[0] == shapes[1]
    assert all(m.bias is not None for m in bare.modules() if isinstance(m, nn.Conv2d))


@pytest.mark.parametrize("architecture", ["plain", "ddnet"])
def test_hes_start_keeps_the_power_of_signals_and_pytorchs_loses_it(architecture):
    """Power after the rectifier over power before the layer; by the law of large numbers."""
    powers = {}
    for start in ("pytorch", "he"):
        torch.manual_seed(0)
        made = network(Condition(architecture, 6, norm=False), 64, 6, 32, 64)
        if start == "he":
            he_init(made)
        layers = [m for m in made.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
        kept = []
        for layer in layers:
            # far from the border, where every output sums its whole kernel
            signal = torch.randn(2, layer.in_channels, 12, 12)
            out = (layer(signal) - (0 if layer.bias is None else layer.bias.view(-1, 1, 1))).relu()
            kept.append(out[..., 3:-3, 3:-3].square().mean() / signal.square().mean())
        powers[start] = torch.stack(kept).detach()
    assert powers["he"].tolist() == pytest.approx([1.0] * 6, rel=0.2)
    # a transposed one is drawn as if it summed over its outputs, each a stride's share of it
    lost = [
        1 / 6 if isinstance(m, nn.Conv2d) else m.in_channels / m.out_channels / 24 for m in layers
    ]
    assert powers["pytorch"].tolist() == pytest.approx(lost, rel=0.25)


def test_a_run_is_the_same_at_every_call_and_leaves_random_numbers_alone():
    arm = Condition("plain", 6, norm=True)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one = follow(arm, 3, DATA, SETTING)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert one == follow(arm, 3, DATA, SETTING)
    assert one != follow(arm, 4, DATA, SETTING)
    assert list(one.stats) == [0, 1, 3]
    assert len(one.layers) == len(one.stats[3].gradients) == 7


def test_the_stats_are_those_of_plain_gradient_descent():
    """The updates written out, v <- 0.9 v + g and w <- w - rate v, over the same pictures."""
    arm, reported = Condition("ddnet", 6, norm=False), []
    everything = replace(SETTING, batch_size=24, steps=(0, 2))
    found = follow(arm, 0, DATA, everything, reported.append)
    assert reported == [0.5, 1]
    torch.manual_seed(0)
    made = network(arm, 3, 6, 8, 2)
    scale = torch.tensor(STD).view(1, 3, 1, 1) * 255
    images = (DATA.images - torch.tensor(MEAN).view(1, 3, 1, 1) * 255) / scale
    generator = torch.Generator().manual_seed(0)
    speed = [torch.zeros_like(p) for p in made.parameters()]
    for _ in range(2):
        rows = torch.randint(24, (24,), generator=generator)
        loss = functional.cross_entropy(made(images[rows]), DATA.labels[rows])
        slopes = torch.autograd.grad(loss, list(made.parameters()))
        with torch.no_grad():
            for parameter, velocity, slope in zip(made.parameters(), speed, slopes, strict=True):
                velocity.mul_(0.9).add_(slope)
                parameter.sub_(0.05 * velocity)
    expected = functional.cross_entropy(made(images), DATA.labels)
    assert found.stats[2].entropy == pytest.approx(float(expected.detach()), rel=1e-5)
    error = (made.stages(images) - images).square().mean()
    assert found.stats[2].error == pytest.approx(float(error.detach()), rel=1e-5)


def test_the_second_loss_changes_the_training_and_not_the_init():
    alone, both = (
        follow(Condition("ddnet", 6, True, weight), 0, DATA, SETTING) for weight in (0, 0.5)
    )
    assert alone.stats[0] == both.stats[0]
    assert both.stats[3].error < alone.stats[3].error
    plain = follow(Condition("plain", 6, True, 0.5), 0, DATA, SETTING).stats[0]
    assert all(-1 <= cosine <= 1 for cosine in plain.cosines[:-1])
    assert plain.cosines[-1] is None  # no picture comes back through the head


EPOCHS = replace(SETTING, steps=(0, 8, 16), epochs=4, classes=6)  # of four batches of 6 pictures


def test_an_epoch_has_every_picture_once_and_its_mean_loss():
    """The rows of each step, and the loss before each update, over a run that never learns."""
    batches = _batches(24, EPOCHS, 3)
    epochs = [torch.cat([next(batches) for _ in range(4)]) for _ in range(2)]
    assert [sorted(rows.tolist()) for rows in epochs] == [list(range(24))] * 2
    assert epochs[0].tolist() != epochs[1].tolist()
    still = replace(EPOCHS, lr=1e-12, batch_size=24, steps=(0, 4))
    found = follow(Condition("plain", 6, norm=False), 0, DATA, still)
    assert found.losses == pytest.approx([found.stats[0].entropy] * 4, rel=1e-5)
    assert found.stopped is None


def test_a_run_that_learns_nothing_stops_and_one_that_learns_goes_on():
    still = replace(EPOCHS, lr=1e-12, patience=2)
    bare = Condition("plain", 12, norm=False)  # its logits hardly depend on the picture
    lost = follow(bare, 0, draw_shapes(24, size=8), still)
    assert (lost.stopped, lost.last, len(lost.losses)) == (8, 8, 2)
    assert list(lost.stats) == [0, 8]
    assert not lost.learned
    assert lost.table("gradients")[:, 2].isnan().all()
    assert follow(bare, 0, DATA, replace(still, patience=0)).stopped is None
    long = replace(EPOCHS, patience=20, epochs=30, steps=(0, 120), width=8)
    eager = follow(Condition("plain", 6, norm=True), 0, DATA, long)
    assert (eager.stopped, eager.last, len(eager.losses)) == (None, 120, 30)
    assert eager.losses[-1] < math.log(6) - 0.01
    assert eager.learned


@pytest.mark.parametrize(
    ("last", "losses", "learned"),
    [(2.31, (), False), (2.20, (), True), (2.20, (2.4, 2.30), False), (2.31, (2.0,), True)],
)
def test_learning_is_falling_below_chance(last, losses, learned):
    """Over the last epoch if there was one: 256 pictures may lie below chance by luck."""
    stats = {0: STATS, 3: replace(STATS, entropy=last)}
    setting = replace(SETTING, classes=10)
    one = replace(MADE, setting=setting, stats=stats, diverged=None, losses=losses)
    assert one.learned == learned
    assert not replace(one, diverged=2).learned


def test_a_run_that_diverges_ends_there_and_says_when(tmp_path):
    found = follow(
        Condition("plain", 6, False), 0, DATA, replace(SETTING, lr=1e9, steps=(0, 1, 30))
    )
    assert found.diverged is not None
    assert 1 <= found.diverged < 30
    assert max(found.stats) == found.last < found.diverged
    table = found.table("gradients")
    assert table.shape == (7, 3)
    assert table[:, 0].isfinite().all()
    assert table[:, 2].isnan().all()


STATS = GradientStats(1.5, None, (0.25, 0.5), (1.0, 2.0), (None, -0.5))
MADE = Trace(
    Condition("ddnet", 6, norm=False, deconv_weight=0.3),
    2,
    ("a", "b"),
    {0: STATS},
    4,
    SETTING,
    {"torch": "2"},
    "a CPU",
)


def test_a_file_holds_all_of_a_run(tmp_path):
    path = tmp_path / "gradients.jsonl"
    new = replace(MADE, seed=3, losses=(2.3, None), stopped=4, setting=replace(SETTING, epochs=2))
    for one in (MADE, new):
        trace_file(path).append(one)
    assert trace_file(path).read() == (MADE, new)


def test_a_file_under_old_names_is_read_too(tmp_path):
    old = asdict(MADE)
    old["arm"], old["moments"] = old.pop("condition"), old.pop("stats")
    for now, before in (("dataset", "data"), ("lr", "rate"), ("init", "start")):
        old["setting"][before] = old["setting"].pop(now)
    folder = tmp_path / "gradients" / "he"
    folder.mkdir(parents=True)
    (folder / "ddnet-6-bare-0.3-2.json").write_text(json.dumps(old))
    (folder / "gradients.json").write_text("a summary")
    assert trace_file(tmp_path / "gradients.jsonl").read() == (MADE,)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda line: line[:40] + "\n", "not valid JSON"),
        (lambda _: "[]", "not a trace"),
        (lambda _: "{}", "condition is missing"),
        (lambda line: line.replace('"depth":6', '"depth":7'), "depth"),
        (lambda line: line.replace("1.5", "NaN"), "entropy"),
        (lambda line: line.replace("0.25", '"x"'), "gradients"),
    ],
)
def test_a_damaged_trace_is_one_sentence(tmp_path, damage, says):
    path = tmp_path / "gradients.jsonl"
    trace_file(path).append(MADE)
    path.write_text(damage(path.read_text()))
    with pytest.raises(StudyError, match=says):
        trace_file(path).read()
