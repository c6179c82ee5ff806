"""Random small networks, in random spellings, are held to their own values and to autograd.

hypothesis draws a network as a tree of named steps, and shrinks a failing one to few of them.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, assume, example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from deconvviz.deconv import Deconvnet
from deconvviz.errors import TraceError
from tests import oracle
from tests.deconv.comparing import by_oracle, deviation, some_units
from tests.deconv.small_networks import LastAxis

WIDTH = 8  # channels between steps
SIZES = ((16, 20), (23, 18))  # traced at the first

# Its backward of InstanceNorm below a channels-last layer: see test_verification.
TORCH_IS_WRONG = "torch's autograd is wrong here: finite differences agree with ours"

Part = nn.Module | Callable[[Tensor], Tensor]
Step = tuple[str, int, tuple[Any, ...]]  # name, spelling, the steps inside


class Chain(nn.Module):
    """Modules and plain functions, one after the other."""

    def __init__(self, parts: list[Part]) -> None:
        super().__init__()
        self.parts = parts  # functions among them
        for place, part in enumerate(parts):
            if isinstance(part, nn.Module):
                self.add_module(f"step{place}", part)

    def forward(self, x: Tensor) -> Tensor:
        for place, part in enumerate(self.parts):
            x = getattr(self, f"step{place}")(x) if isinstance(part, nn.Module) else part(x)
        return x


# --- steps that keep the shape: each list holds spellings of one kind -----------------------

ACTIVATIONS: dict[str, list[Callable[[], Part]]] = {
    "relu": [
        nn.ReLU,
        lambda: nn.ReLU(inplace=True),
        lambda: functional.relu,
        lambda: torch.relu,
        lambda: lambda x: x.relu(),
        lambda: lambda x: x.relu_(),
        lambda: lambda x: functional.relu(x, inplace=True),
        lambda: lambda x: x.clamp(min=0),
        lambda: lambda x: torch.clamp_min(x, 0),
        lambda: lambda x: functional.threshold(x, 0, 0),
        lambda: lambda x: x.clamp_(min=0),
    ],
    "clipped": [
        nn.ReLU6,
        lambda: functional.relu6,
        lambda: nn.Hardtanh(-0.5, 0.7),
        lambda: lambda x: x.clamp(-0.4, 0.6),
        lambda: lambda x: functional.hardtanh(x, -0.3, 0.5, inplace=True),
        lambda: lambda x: functional.threshold(x, 0.2, -0.1),
    ],
    "smooth": [
        lambda: nn.LeakyReLU(0.2, inplace=True),
        nn.ELU,
        nn.GELU,
        lambda: nn.GELU(approximate="tanh"),
        nn.Mish,
        nn.Softplus,
        lambda: nn.PReLU(WIDTH),
        nn.SELU,
        lambda: nn.CELU(0.7),
        nn.Tanh,
        lambda: torch.sigmoid,
        lambda: functional.hardsigmoid,
    ],
    "silu": [
        nn.SiLU,
        lambda: lambda x: functional.silu(x, inplace=True),
        lambda: lambda x: x * torch.sigmoid(x),
        lambda: lambda x: x.sigmoid().mul(x),
        nn.Hardswish,
    ],
}


class Scaled(nn.Module):
    """A learned scale and shift, as ConvNeXt and normaliser-free networks have."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(WIDTH, 1, 1))
        self.shift = nn.Parameter(torch.randn(1, WIDTH, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * x + self.shift


class FunctionalConv(nn.Module):
    """A convolution as a function of a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(WIDTH, 2, 3, 3) / 4)

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(x, self.kernel, None, padding=1, groups=4)


class FunctionalNorm(nn.Module):
    """BatchNorm as a function of buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.randn(WIDTH))
        self.register_buffer("var", torch.rand(WIDTH) + 0.3)

    def forward(self, x: Tensor) -> Tensor:
        return functional.batch_norm(x, self.mean, self.var)


def conv(kernel: Any, **rest: Any) -> Callable[[], Part]:
    return lambda: nn.Conv2d(WIDTH, WIDTH, kernel, **rest)


KEEPING: dict[str, list[Callable[[], Part]]] = {
    **ACTIVATIONS,
    "conv": [
        conv(1),
        conv(3, padding=1, bias=False),
        conv(3, padding=2, dilation=2, groups=2),
        conv((1, 3), padding=(0, 1), groups=WIDTH),
        conv((3, 5), padding="same", dilation=(2, 1)),
        conv(3, padding=1, padding_mode="reflect"),
        conv(3, padding=1, padding_mode="replicate"),
        conv(3, padding=(1, 2), padding_mode="circular", dilation=(1, 2)),
        FunctionalConv,
        lambda: nn.ConvTranspose2d(WIDTH, WIDTH, 3, padding=1),
        lambda: LastAxis(nn.Linear(WIDTH, WIDTH)),
    ],
    "norm": [
        lambda: nn.BatchNorm2d(WIDTH),
        FunctionalNorm,
        lambda: nn.GroupNorm(2, WIDTH),
        lambda: nn.GroupNorm(1, WIDTH),
        lambda: nn.InstanceNorm2d(WIDTH, affine=True),
        lambda: LastAxis(nn.LayerNorm(WIDTH)),
        Scaled,
    ],
    "arithmetic": [
        lambda: lambda x: x * 2 - 0.5,
        lambda: lambda x: 1 - x,
        lambda: lambda x: -x,
        lambda: lambda x: x.div(3).add(0.1),
        lambda: lambda x: torch.sub(x, x, alpha=3),
        lambda: lambda x: x.mul_(1.5),
        lambda: nn.Dropout(),
        lambda: nn.Identity(),
        lambda: lambda x: x.clone().contiguous(),
    ],
    "order": [
        lambda: nn.ChannelShuffle(4),
        lambda: lambda x: torch.cat(x.chunk(2, dim=1)[::-1], dim=1),
        lambda: lambda x: torch.cat([x[:, 5:], x[:, :5]], dim=1),
        lambda: lambda x: torch.cat(x.split([1, 3, 4], 1), 1),
        lambda: lambda x: x.roll((1, -2), (2, 3)),
        lambda: lambda x: x.flip(3),
        lambda: lambda x: x.flatten(1).unflatten(1, (WIDTH, x.shape[2], x.shape[3])),
        lambda: lambda x: x.unsqueeze(1).squeeze(1),
        lambda: lambda x: x.view(x.shape[0], 2, 4, *x.shape[2:]).transpose(1, 2).flatten(1, 2),
        lambda: lambda x: functional.pixel_unshuffle(functional.pixel_shuffle(x, 2), 2),
    ],
}

# Steps that change height and width; at most two in a network.
SIZING: dict[str, list[Callable[[], Part]]] = {
    "max": [
        lambda: nn.MaxPool2d(2),
        lambda: nn.MaxPool2d(3, 2, padding=1, ceil_mode=True),
        lambda: nn.MaxPool2d((3, 2), stride=(1, 2), dilation=(2, 1)),
        lambda: lambda x: functional.max_pool2d(x, 3, 1),
        lambda: nn.AdaptiveMaxPool2d((5, 4)),
    ],
    "mean": [
        lambda: nn.AvgPool2d(2),
        lambda: nn.AvgPool2d(3, 2, padding=1, ceil_mode=True, count_include_pad=False),
        lambda: lambda x: functional.avg_pool2d(x, (2, 3), stride=(2, 1), padding=(1, 1)),
        lambda: nn.AdaptiveAvgPool2d((4, 7)),
    ],
    "stride": [
        conv(3, stride=2, padding=1),
        conv((5, 3), stride=(2, 1), padding=(0, 2)),
        conv(1, stride=2),
        conv(4, stride=2, padding=1, groups=4),
    ],
    "larger": [
        lambda: nn.ConvTranspose2d(WIDTH, WIDTH, 3, stride=2, padding=1, output_padding=1),
        lambda: nn.ConvTranspose2d(WIDTH, WIDTH, (2, 4), stride=(2, 1), groups=2, dilation=(1, 2)),
        lambda: nn.Upsample(scale_factor=2),
        lambda: nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
        lambda: lambda x: functional.interpolate(x, size=(13, 11), mode="bicubic"),
        lambda: lambda x: functional.interpolate(x, size=(9, 14), mode="nearest-exact"),
        lambda: Chain([nn.Conv2d(WIDTH, 4 * WIDTH, 1), nn.PixelShuffle(2)]),
        lambda: lambda x: functional.pad(x, (1, 2, 0, 1)),
        lambda: lambda x: functional.pad(x, (1, 1, 2, 0), mode="reflect"),
        lambda: nn.ZeroPad2d((-1, 2, 1, 0)),
    ],
}


# --- steps with steps inside ----------------------------------------------------------------------


class Joined(nn.Module):
    """A branch, and what its spelling makes of it and its input."""

    def __init__(self, name: str, spelling: int, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.combine = COMBINING[name][spelling]
        self.extra = nn.Conv2d(2 * WIDTH if name == "concat" else WIDTH, WIDTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.combine(self, x)


def in_place_sum(self: Joined, x: Tensor) -> Tensor:
    out = self.inner(x)
    out += x
    return out


COMBINING: dict[str, list[Callable[[Joined, Tensor], Tensor]]] = {
    "residual": [
        lambda self, x: x + self.inner(x),
        lambda self, x: self.inner(x).add(x, alpha=0.5),
        lambda self, x: torch.sub(self.inner(x), x),
        in_place_sum,
        lambda self, x: functional.relu(self.inner(x) + self.extra(x)),
    ],
    "concat": [
        lambda self, x: self.extra(torch.cat([x, self.inner(x)], dim=1)),
        lambda self, x: self.extra(torch.cat((self.inner(x), x), 1)),
        lambda self, x: self.extra(torch.cat([self.inner(x), x * 1], 1)),
    ],
    "gate": [
        lambda self, x: x * torch.sigmoid(self.inner(x)),
        lambda self, x: self.extra(x).sigmoid() * self.inner(x),
        lambda self, x: x * self.extra(self.inner(x).mean((2, 3), keepdim=True)).sigmoid(),
        lambda self, x: (
            functional.hardsigmoid(self.extra(functional.adaptive_avg_pool2d(x, 1))) * x
        ),
        lambda self, x: nn.AdaptiveAvgPool2d(1)(x).sigmoid().expand_as(x) * self.inner(x),
    ],
    "shared": [
        lambda self, x: self.inner(self.inner(x)),
        lambda self, x: self.inner(x) + self.inner(self.extra(x)),
    ],
}


def part_of(step: Step) -> Part:
    name, spelling, inside = step
    if name in COMBINING:
        choices = COMBINING[name]
        return Joined(name, spelling % len(choices), Chain([part_of(one) for one in inside]))
    kinds = (KEEPING | SIZING)[name]
    return kinds[spelling % len(kinds)]()


class Network(nn.Module):
    """A stem, the steps, and a last convolution or a classifier."""

    def __init__(self, steps: list[Step], classifies: bool) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, WIDTH, 3, padding=1)
        self.body = Chain([part_of(step) for step in steps])
        self.classifies = classifies
        self.last = nn.Linear(WIDTH, 4) if classifies else nn.Conv2d(WIDTH, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(self.stem(x))
        return self.last(x.mean((2, 3)) if self.classifies else x)


spellings = st.integers(0, 10)
keeping = st.tuples(st.sampled_from(sorted(KEEPING)), spellings, st.just(()))
sizing = st.tuples(st.sampled_from(sorted(SIZING)), spellings, st.just(()))
joined = st.tuples(
    st.sampled_from(sorted(COMBINING)), spellings, st.lists(keeping, max_size=3).map(tuple)
)


@st.composite
def networks(draw: Callable[..., Any]) -> list[Step]:
    steps = draw(st.lists(keeping | joined, min_size=1, max_size=5))
    for step in draw(st.lists(sizing, max_size=2)):
        steps.insert(draw(st.integers(0, len(steps))), step)
    return steps


def holds(steps: list[Step], classifies: bool = False, seed: int = 0) -> bool:
    """Compare a network with its own values and with autograd, at two sizes.

    Returns:
        False if it is no network for this test: it cannot be trained, or writes into shared memory.
    """
    torch.manual_seed(seed)
    model = Network(steps, classifies).double().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.3, 2)
    pictures = [torch.randn(2, 3, *size, dtype=torch.float64) for size in SIZES]
    try:
        outputs = [model(images.requires_grad_()) for images in pictures]
        outputs[0].sum().backward()
    except RuntimeError:  # too small for a step, or written over what its own backward needs
        return False
    try:
        net = Deconvnet(model, (3, *SIZES[0]))
    except TraceError as error:
        if "shares memory" not in str(error):
            raise
        return False
    assert net.coverage.unsupported == ()
    assert net.checked.left_out == ""
    for images, output in zip(pictures, outputs, strict=True):
        images, output = images.detach(), output.detach()
        recording = net.record(images, list(net.layers))
        maps = output if output.dim() == 4 else output[:, :, None, None]
        torch.testing.assert_close(recording["last"], maps, rtol=1e-10, atol=1e-10)
        verified = net.verify(list(net.layers), units=2, dtype=torch.float64, images=images)
        assert not verified.failed, str(verified)
        assert verified.error < 1e-10
        notes = {layer.note for layer in verified.layers if not layer.units}
        assert notes <= {"no unit is active", TORCH_IS_WRONG}, str(verified)
        units = some_units(recording, "last")
        truth = by_oracle(oracle.autograd, model, images, units, "gradient")
        ours = net.project(recording, units, "gradient").full()
        if truth.abs().max() < 1e-14:  # zero but for rounding, as below the mean of InstanceNorm
            assert ours.abs().max() < 1e-14
        elif TORCH_IS_WRONG not in notes:
            assert deviation(ours, truth) < 1e-10
    return True


def test_two_channels_last_layers_in_turn_are_traced() -> None:
    layers = [LastAxis(nn.LayerNorm(3)), LastAxis(nn.LayerNorm(3))]
    Deconvnet(nn.Sequential(*layers), (3, 8, 8))


QUIET = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)


@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    suppress_health_check=QUIET,
    phases=(Phase.explicit, Phase.generate),  # shrinking, by exports, takes minutes: see below
)
@example(steps=[("norm", 4, ()), ("norm", 5, ())], classifies=False, seed=0)
@example(steps=[*[("arithmetic", 0, ())] * 3, ("norm", 4, ())], classifies=True, seed=86)
@example(
    steps=[
        ("order", 4, ()),
        ("shared", 6, (("relu", 7, ()), ("silu", 5, ()), ("norm", 0, ()))),
        ("conv", 0, ()),
        ("concat", 4, (("conv", 1, ()), ("clipped", 7, ()), ("smooth", 8, ()))),
        ("norm", 4, ()),
    ],
    classifies=True,
    seed=86,
)
@example(steps=[("shared", 0, (("relu", 5, ()),))], classifies=True, seed=0)
@given(steps=networks(), classifies=st.booleans(), seed=st.integers(0, 99))
def test_a_random_network_equals_itself_and_autograd(
    steps: list[Step], classifies: bool, seed: int
) -> None:
    assume(holds(steps, classifies, seed))


@pytest.mark.slow
@pytest.mark.timeout(3000)
@settings(max_examples=200, deadline=None, suppress_health_check=QUIET)
@given(steps=networks(), classifies=st.booleans(), seed=st.integers(0, 99))
def test_many_random_networks_equal_themselves_and_autograd(
    steps: list[Step], classifies: bool, seed: int
) -> None:
    assume(holds(steps, classifies, seed))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "spelling"),
    [(name, n) for name, kinds in (KEEPING | SIZING).items() for n in range(len(kinds))],
)
def test_every_step_alone_equals_itself_and_autograd(name: str, spelling: int) -> None:
    assert holds([("conv", 1, ()), (name, spelling, ()), ("conv", 0, ())])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "spelling"),
    [(name, n) for name, kinds in COMBINING.items() for n in range(len(kinds))],
)
def test_every_join_alone_equals_itself_and_autograd(name: str, spelling: int) -> None:
    inside = (("relu", 0, ()), ("conv", 1, ()))
    assert holds([(name, spelling, inside), ("conv", 0, ())])
