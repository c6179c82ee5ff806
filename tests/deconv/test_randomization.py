"""Other weights and other switches, each against a plain way to the same."""

import copy

import pytest
import torch
from torch import nn

from deconvviz.deconv import Deconvnet, Selection
from deconvviz.deconv.randomization import (
    modules_not_below,
    random_switches,
    shuffle_weights,
    untrained,
    weights_below,
)
from deconvviz.errors import UnknownLayerError
from deconvviz.models import vgg


class Branches(nn.Module):
    """A stem, then two branches of one and of two convolutions, side by side."""

    def __init__(self):
        super().__init__()
        self.stem, self.short = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 3, padding=1)
        self.first, self.second = nn.Conv2d(4, 2, 3, padding=1), nn.Conv2d(2, 2, 1)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, images):
        stem = self.stem(images)
        return self.norm(torch.cat([self.short(stem), self.second(self.first(stem).relu())], 1))


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return Deconvnet(vgg(widths=(8, 12, 16)).eval())


@pytest.fixture(scope="module")
def recording(net):
    return net.record(torch.randn(2, 3, 32, 32), list(net.layers))


def test_kernels_go_from_the_unit_down_with_their_norms(recording):
    below = weights_below(recording.tape, "stage2.relu1")
    assert [kernels.module for kernels in below] == ["stage2.conv1", "stage1.conv2", "stage1.conv1"]
    norm = [f"stage2.bn1.{name}" for name in ("weight", "bias", "running_mean", "running_var")]
    assert set(below[0].names) == {"stage2.conv1.weight", *norm}
    raw = weights_below(recording.tape, "stage2.conv1")
    assert raw[0].names == ("stage2.conv1.weight",)


def test_every_kernel_is_below_or_not_below(net, recording):
    modules = [n for n, m in net.model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    for layer in net.layers:
        below = [kernels.module for kernels in weights_below(recording.tape, layer)]
        assert [*reversed(below), *modules_not_below(recording.tape, layer)] == modules


def test_the_last_kernels_of_joined_branches_are_all_the_layers_own():
    net = Deconvnet(Branches().eval(), (3, 16, 16))
    recording = net.record(torch.randn(1, 3, 16, 16), ["norm"])
    below = {kernels.module: kernels.depth for kernels in weights_below(recording.tape, "norm")}
    assert below == {"short": 0, "second": 0, "first": 1, "stem": 2}


def test_all_weights_of_a_network_are_below_its_logits(net, recording):
    below = weights_below(recording.tape, "head.logits")
    floating = {n for n, t in net.model.state_dict().items() if t.is_floating_point()}
    assert sorted(n for kernels in below for n in kernels.names) == sorted(floating)


def test_an_unknown_layer_is_refused_by_name(recording):
    with pytest.raises(UnknownLayerError, match="no layer `conv9`"):
        weights_below(recording.tape, "conv9")


def test_shuffled_weights_keep_their_values_and_others_are_shared(net):
    names = ["stage1.conv1.weight", "stage1.bn1.running_var", "stage1.bn1.num_batches_tracked"]
    before = copy.deepcopy(net.model.state_dict())
    other = shuffle_weights(net.model, names, draws())
    for name, tensor in other.state_dict().items():
        old = net.model.state_dict()[name]
        assert torch.equal(old, before[name])
        if name in names[:2]:
            assert torch.equal(tensor.flatten().sort()[0], old.flatten().sort()[0])
        else:
            assert tensor.data_ptr() == old.data_ptr()
    assert not torch.equal(other.stage1.conv1.weight, net.model.stage1.conv1.weight)


def test_of_a_norm_every_map_keeps_its_four_numbers():
    norm = nn.BatchNorm2d(50)
    for place, tensor in enumerate(norm.state_dict().values()):
        if tensor.dim():
            tensor.copy_(torch.arange(50) + 100.0 * place)
    other = shuffle_weights(nn.Sequential(norm), [f"0.{n}" for n in norm.state_dict()], draws())[0]
    assert not torch.equal(other.weight, norm.weight)
    rows = torch.stack([other.bias, other.running_mean, other.running_var])
    torch.testing.assert_close(rows, other.weight + torch.tensor([[100.0], [200.0], [300.0]]))


def test_shuffling_layers_above_leaves_a_projection_to_the_bit(net):
    images = torch.randn(1, 3, 32, 32)
    layer = "stage2.relu1"
    recording = net.record(images, [layer])
    ours = net.project(recording, recording.strongest(layer, 5)).pixels
    names = [n for n in net.model.state_dict() if n.split(".")[0] in ("stage3", "head")]
    names += [n for n in net.model.state_dict() if n.startswith(("stage2.conv2", "stage2.bn2"))]
    other = net.with_model(shuffle_weights(net.model, names, draws()))
    again = other.record(images, [layer])
    assert torch.equal(other.project(again, again.strongest(layer, 5)).pixels, ours)


def test_random_switches_are_those_of_noise():
    """Unpooled by them, each signal lands somewhere in its own 2 x 2 pixels, anywhere alike."""
    net = Deconvnet(nn.Sequential(nn.Conv2d(1, 1, 1), nn.MaxPool2d(2)), (1, 8, 8))
    recording = net.record(torch.rand(500, 1, 8, 8), ["1"])
    other = random_switches(net.model, recording, "1", draws())
    rows = torch.arange(500)
    selection = Selection("1", rows, 0, 1, 2)
    full = net.project(other, selection, start="one").full()[:, 0] / net.model[0].weight.item()
    assert torch.equal(full.sum((1, 2)).round(decimals=4), torch.ones(500))
    assert torch.count_nonzero(full) == 500
    shares = full[:, 2:4, 4:6].mean(0)
    assert (shares - 0.25).abs().max() < 0.08
    assert other.activations is recording.activations


def test_padding_is_never_a_switch():
    net = Deconvnet(nn.Sequential(nn.Conv2d(1, 1, 1), nn.MaxPool2d(3, 2, padding=1)), (1, 9, 9))
    recording = net.record(torch.rand(300, 1, 9, 9), ["1"])
    other = random_switches(net.model, recording, "1", draws())
    full = net.project(other, Selection("1", torch.arange(300), 0, 0, 0), start="one").full()
    assert torch.count_nonzero(full) == 300


def test_without_pooling_there_are_no_switches(recording, net):
    assert random_switches(net.model, recording, "stage1.relu1", draws()) is None
    assert random_switches(net.model, recording, "stage1.relu2", draws()) is not None


def test_untrained_is_as_modules_initialise_themselves():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 64, 3), nn.BatchNorm2d(64), nn.ReLU(), nn.Flatten())
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.fill_(7)
        model[1].running_mean.fill_(3)
    state = torch.random.get_rng_state()
    one, again, other = (untrained(model, draws(seed)) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(one[0].weight, again[0].weight)
    assert not torch.equal(one[0].weight, other[0].weight)
    bound = 27**-0.5  # of nn.Conv2d's uniform distribution
    assert float(one[0].weight.detach().abs().max()) == pytest.approx(bound, rel=0.01)
    assert one[1].running_mean.eq(0).all()
    assert one[1].weight.eq(1).all()
    assert model[0].weight.eq(7).all()
    assert model[1].running_mean.eq(3).all()
    assert one.training == model.training
