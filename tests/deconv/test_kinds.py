"""Thirty small networks of kinds that people write, each held to itself and to autograd."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from deconvviz.deconv import Deconvnet
from tests import oracle
from tests.deconv.comparing import RULES, by_oracle, deviation, some_units

SIZES = ((16, 12), (20, 24))  # traced at the first, compared at both
Make = Callable[[], nn.Module]
Forward = Callable[[Any, Tensor], Tensor]

NETWORKS: dict[str, tuple[Forward, dict[str, Make], tuple[str, ...]]] = {}


class Network(nn.Module):
    """Some parts, and a forward pass through them; the last part gives the output."""

    def __init__(self, run: Forward, parts: dict[str, Make]) -> None:
        super().__init__()
        self.run = run
        for name, make in parts.items():
            setattr(self, name, make())

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.run(self, x))


def network(*, rules: tuple[str, ...] = RULES, **parts: Make) -> Callable[[Forward], Forward]:
    """Enter a forward pass and its parts; `rules` are those that the oracle knows of it."""

    def enter(run: Forward) -> Forward:
        NETWORKS[run.__name__] = run, {"last": conv(8, 4, 1), **parts}, rules
        return run

    return enter


def conv(inputs: int, outputs: int, kernel: int = 3, **rest: Any) -> Make:
    return partial(nn.Conv2d, inputs, outputs, kernel, **{"padding": kernel // 2, **rest})


def norm(channels: int) -> Make:
    return partial(nn.BatchNorm2d, channels)


def seq(*makes: Make) -> Make:
    return lambda: nn.Sequential(*[make() for make in makes])


def value(*shape: int) -> Make:
    return lambda: nn.ParameterList([nn.Parameter(torch.randn(*shape))])


@network(a=conv(3, 8), b=conv(8, 8), c=conv(8, 8), d=conv(8, 8))
def segnet(net: Any, x: Tensor) -> Tensor:
    h, one = functional.max_pool2d(net.a(x).relu(), 2, return_indices=True)
    h, two = functional.max_pool2d(net.b(h).relu(), 2, return_indices=True)
    h = net.c(functional.max_unpool2d(h, two, 2)).relu()
    return net.d(functional.max_unpool2d(h, one, 2)).relu()


@network(
    a=conv(3, 8), pool=partial(nn.MaxPool2d, 2, return_indices=True), un=partial(nn.MaxUnpool2d, 2)
)
def segnet_by_modules(net: Any, x: Tensor) -> Tensor:
    h, places = net.pool(net.a(x).relu())
    return net.un(h, places)


@network(a=conv(3, 8), down=partial(nn.Linear, 8, 2), up=partial(nn.Linear, 2, 8))
def squeeze_excitation(net: Any, x: Tensor) -> Tensor:
    h = net.a(x).relu()
    s = torch.sigmoid(net.up(net.down(h.mean((2, 3))).relu()))
    return h * s[:, :, None, None]


@network(a=conv(3, 8), down=conv(8, 2, 1), up=conv(2, 8, 1), rules=("gradient",))
def mobilenet_gate(net: Any, x: Tensor) -> Tensor:
    h = net.a(x)
    h = h * functional.relu6(h + 3) / 6
    s = net.up(net.down(functional.adaptive_avg_pool2d(h, 1)).relu())
    return functional.relu6(s + 3).div(6) * h


@network(a=conv(3, 8), b=conv(8, 8), last=partial(nn.Linear, 8, 4), rules=("gradient",))
def generalised_mean(net: Any, x: Tensor) -> Tensor:
    h = net.b(net.a(x).relu()).relu()
    return h.clamp(min=1e-4).pow(3).mean((-2, -1)).pow(1 / 3)


@network(dw=conv(8, 8, 7, groups=8), stem=conv(3, 8, 2, stride=2, padding=0),
         ln=partial(nn.LayerNorm, 8), one=partial(nn.Linear, 8, 32), two=partial(nn.Linear, 32, 8),
         gamma=value(32), beta=value(32), rules=("gradient",))  # fmt: skip
def convnext_v2(net: Any, x: Tensor) -> Tensor:
    x = net.stem(x)
    h = functional.gelu(net.one(net.ln(net.dw(x).permute(0, 2, 3, 1))))
    g = torch.norm(h, p=2, dim=(1, 2), keepdim=True)
    n = g / (g.mean(dim=-1, keepdim=True) + 1e-6)
    h = net.gamma[0] * (h * n) + net.beta[0] + h
    return x + net.two(h).permute(0, 3, 1, 2)


@network(a=conv(12, 32), b=conv(8, 32, 1))
def pixel_shuffles(net: Any, x: Tensor) -> Tensor:
    h = functional.pixel_shuffle(net.a(functional.pixel_unshuffle(x, 2)).relu(), 2)
    return functional.pixel_shuffle(net.b(h).relu(), 2)


@network(a=conv(3, 8), b=conv(8, 8, dilation=2, padding=2), c=conv(8, 8, dilation=4, padding=4))
def dilated(net: Any, x: Tensor) -> Tensor:
    h = net.a(x).relu()
    return net.c(net.b(h).relu()).relu() + h


@network(
    a=conv(3, 8), b=seq(conv(8, 16, 1), nn.ReLU, conv(16, 16, groups=8), nn.ReLU, conv(16, 8, 1))
)
def grouped(net: Any, x: Tensor) -> Tensor:
    h = net.a(x).relu()
    return (net.b(h) + h).relu()


@network(a=conv(3, 8), b=conv(8, 8, 1))
def shifts(net: Any, x: Tensor) -> Tensor:
    h = net.a(x).relu()
    parts = [h.narrow(1, 2 * i, 2) for i in range(4)]
    moved = [
        torch.roll(p, s, d) for p, s, d in zip(parts, (1, -1, 1, -1), (2, 2, 3, 3), strict=True)
    ]
    return net.b(torch.cat(moved, 1)).relu()


@network(a=conv(3, 8), b=conv(8, 8))
def zero_shifts(net: Any, x: Tensor) -> Tensor:
    h = functional.pad(net.a(x).relu(), (1, 1, 1, 1))
    left, right, up = h[:, :3, 1:-1, 2:], h[:, 3:6, 1:-1, :-2], h[:, 6:, 2:, 1:-1]
    return net.b(torch.cat([left, right, up], 1)).relu()


@network(a=conv(3, 8), b=conv(8, 8), c=conv(8, 8, 1), n=norm(8), m=norm(8), i=norm(8))
def repvgg(net: Any, x: Tensor) -> Tensor:
    h = net.a(x).relu()
    return torch.stack([net.n(net.b(h)), net.m(net.c(h)), net.i(h)]).sum(0).relu()


@network(a=conv(3, 4), cheap=conv(4, 4, groups=4), n=norm(8))
def ghost(net: Any, x: Tensor) -> Tensor:
    h = net.a(x).relu()
    return net.n(torch.cat([h, net.cheap(h).relu()], dim=1)[:, :8, :, :])


@network(
    a=conv(3, 8), up=conv(8, 24, 1), dw=conv(24, 24, groups=24), down=conv(24, 8, 1), n=norm(8)
)
def inverted_residual(net: Any, x: Tensor) -> Tensor:
    h = net.a(x).relu()
    return h + net.n(net.down(functional.relu6(net.dw(functional.relu6(net.up(h))))))


@network(a=conv(3, 8), b=conv(8, 16), c=conv(16, 16), d=conv(32, 8), e=conv(16, 8))
def unet(net: Any, x: Tensor) -> Tensor:
    one = net.a(x).relu()
    two = net.b(functional.max_pool2d(one, 2)).relu()
    three = net.c(functional.max_pool2d(two, 2)).relu()
    up = functional.interpolate(three, scale_factor=2, mode="bilinear", align_corners=True)
    h = net.d(torch.cat([two, up], 1)).relu()
    return net.e(torch.cat([one, functional.interpolate(h, size=one.shape[2:])], 1)).relu()


@network(a=conv(3, 8), b=conv(8, 8), c=conv(8, 8), d=conv(8, 8))
def hourglass(net: Any, x: Tensor) -> Tensor:
    h = net.a(x).relu()
    low = net.c(functional.max_pool2d(net.b(functional.max_pool2d(h, 2)).relu(), 2)).relu()
    up = low.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    return net.d(h).relu() + up


@network(a=conv(5, 8), b=conv(8, 8))
def coordinates(net: Any, x: Tensor) -> Tensor:
    n, _, rows, columns = x.shape
    y = torch.arange(rows, dtype=x.dtype)[:, None].expand(n, 1, rows, columns) / rows
    z = torch.arange(columns, dtype=x.dtype).expand(n, 1, rows, columns) / columns
    return net.b(net.a(torch.cat([x, y, z], dim=1)).relu()).relu()


@network(a=conv(3, 8), b=conv(2, 2), c=conv(2, 2), d=conv(2, 2))
def res2net(net: Any, x: Tensor) -> Tensor:
    parts = torch.split(net.a(x).relu(), 2, 1)
    b = net.b(parts[1]).relu()
    c = net.c(b + parts[2]).relu()
    return torch.cat([parts[0], b, c, net.d(c + parts[3]).relu()], 1)


@network(a=conv(3, 8), b=conv(8, 8))
def blur_pool(net: Any, x: Tensor) -> Tensor:
    blur = torch.tensor([1.0, 2.0, 1.0], dtype=x.dtype)
    kernel = (blur[:, None] * blur / 16).repeat(8, 1, 1, 1)
    h = functional.max_pool2d(net.a(x).relu(), 2, stride=1)
    return net.b(
        functional.conv2d(functional.pad(h, (1, 1, 1, 1), "reflect"), kernel, None, 2, groups=8)
    )


@network(a=conv(3, 8), b=conv(2, 1, 7))
def spatial_attention(net: Any, x: Tensor) -> Tensor:
    h = net.a(x).relu() + 0.1
    seen = torch.cat([h.mean(1, keepdim=True), h.max(1, keepdim=True)[0]], dim=1)
    return h * net.b(seen).sigmoid()


@network(a=conv(3, 8), one=conv(8, 4, 1), two=conv(4, 8, 1))
def cbam_channels(net: Any, x: Tensor) -> Tensor:
    h = net.a(x).relu()
    pooled = [functional.adaptive_avg_pool2d(h, 1), functional.adaptive_max_pool2d(h, 1)]
    return h * sum(net.two(net.one(p).relu()) for p in pooled).sigmoid()


@network(a=conv(3, 8), mix=conv(8, 4, 1), y=conv(4, 8, 1), z=conv(4, 8, 1))
def coordinate_attention(net: Any, x: Tensor) -> Tensor:
    h = net.a(x).relu()
    rows, columns = h.mean(3, keepdim=True), h.mean(2, keepdim=True).permute(0, 1, 3, 2)
    both = net.mix(torch.cat([rows, columns], dim=2)).relu()
    one, other = torch.split(both, [h.shape[2], h.shape[3]], dim=2)
    return h * net.y(one).sigmoid() * net.z(other.permute(0, 1, 3, 2)).sigmoid()


@network(a=conv(3, 16), b=conv(8, 16), rules=("gradient",))
def max_feature_maps(net: Any, x: Tensor) -> Tensor:
    h = torch.max(*torch.chunk(net.a(x), 2, 1))
    return torch.max(*torch.split(net.b(functional.max_pool2d(h, 2)), 8, 1))


@network(a=conv(3, 4), last=conv(8, 4, 1))
def concatenated_relu(net: Any, x: Tensor) -> Tensor:
    h = net.a(x)
    return torch.cat([h.relu(), (-h).relu()], 1)


@network(a=conv(3, 8, 11, stride=2), b=conv(8, 8), n=partial(nn.LocalResponseNorm, 5, alpha=0.1),
         rules=("gradient",))  # fmt: skip
def alexnet_with_its_norm(net: Any, x: Tensor) -> Tensor:
    h = net.n(functional.max_pool2d(net.a(x).relu(), 3, 2))
    return net.b(h).relu()


@network(a=conv(3, 8), b=conv(8, 16), rules=("gradient",))
def gated_convolution(net: Any, x: Tensor) -> Tensor:
    return functional.glu(net.b(torch.tanh(net.a(x))), dim=1)


@network(a=conv(3, 8), b=conv(8, 8), last=partial(nn.Linear, 8 * 14, 4))
def spatial_pyramid(net: Any, x: Tensor) -> Tensor:
    h = net.b(net.a(x).relu()).relu()
    means = [functional.adaptive_avg_pool2d(h, size).flatten(1) for size in (1, 3)]
    return torch.cat([*means, functional.adaptive_max_pool2d(h, 2).flatten(1)], 1)


@network(a=conv(3, 8), b=conv(8, 8, 1), c=conv(8, 8, padding=3, dilation=3), d=conv(8, 8, 1))
def atrous_pyramid(net: Any, x: Tensor) -> Tensor:
    h = functional.avg_pool2d(net.a(x).relu(), 2)
    whole = net.d(h.mean((2, 3), keepdim=True)).relu().expand_as(h)
    return torch.stack((net.b(h).relu(), net.c(h).relu(), whole), dim=1).mean(1)


@network(a=conv(3, 8), b=conv(8, 8, stride=2), last=conv(16, 4, 1))
def option_a(net: Any, x: Tensor) -> Tensor:
    h = net.a(x).relu()
    short = torch.cat([h[:, :, ::2, ::2], torch.zeros_like(h[:, :, ::2, ::2])], 1)
    return functional.pad(net.b(h), (0, 0, 0, 0, 4, 4)).relu() + short


@network(a=conv(3, 8), i=norm(8), n=partial(nn.InstanceNorm2d, 4, affine=True))
def instance_batch_norm(net: Any, x: Tensor) -> Tensor:
    one, other = torch.split(net.a(x), 4, 1)
    return net.i(torch.cat((net.n(one), other), 1)).relu()


@network(a=conv(3, 8), n=partial(nn.InstanceNorm2d, 8, track_running_stats=True), b=conv(8, 8))
def frozen_norms(net: Any, x: Tensor) -> Tensor:
    h = net.n(net.a(x)).relu()
    return net.b(
        h * net.n.running_var.view(1, -1, 1, 1).rsqrt() + net.n.running_mean[:, None, None]
    )


@network(a=conv(3, 8), left=value(6, 8), right=value(8, 8))
def mixed_by_matrices(net: Any, x: Tensor) -> Tensor:
    h = torch.einsum("nchw,dc->ndhw", net.a(x).relu(), net.right[0]).relu()
    return (net.right[0] @ h.flatten(2)).view_as(h).relu()


@network(a=conv(12, 8), b=conv(8, 8))
def focus(net: Any, x: Tensor) -> Tensor:
    parts = [x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)]
    return net.b(net.a(torch.cat(parts, 1)).relu()[:, [3, 1, 0, 2, 7, 6, 5, 4]]).relu()


@network(a=conv(3, 8), b=conv(8, 8), last=conv(8, 4, 1), rules=("gradient",))
def written_out(net: Any, x: Tensor) -> Tensor:
    """Rectifiers and normalisations by hand."""
    h = net.a(x)
    h = torch.where(h > 0, h, 0.1 * h)
    h = (h - h.mean((2, 3), keepdim=True)) / torch.sqrt(h.var((2, 3), keepdim=True) + 1e-5)
    h = torch.maximum(net.b(h), torch.zeros_like(h))
    return h * h.pow(2).mean(1, keepdim=True).add(1e-5).rsqrt()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_itself_and_its_projections_are_autograds(name: str) -> None:
    run, parts, rules = NETWORKS[name]
    torch.manual_seed(0)
    model = Network(run, {n: m for n, m in parts.items() if n != "last"} | {"last": parts["last"]})
    for module in model.double().eval().modules():
        if getattr(module, "running_var", None) is not None:
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
    net = Deconvnet(model, (3, *SIZES[0]))
    assert net.coverage.unsupported == ()
    assert net.checked.left_out == ""
    for size in SIZES:
        images = torch.randn(2, 3, *size, dtype=torch.float64)
        with torch.no_grad():
            output = model(images)
        recording = net.record(images, ["last"])
        maps = output if output.dim() == 4 else output[:, :, None, None]
        torch.testing.assert_close(recording["last"], maps, rtol=1e-10, atol=1e-10)
        units = some_units(recording, "last")
        for rule in rules:
            truth = by_oracle(oracle.autograd, model, images, units, rule)
            assert deviation(net.project(recording, units, rule).full(), truth) < 1e-10, rule
        verified = net.verify(["last"], units=2, dtype=torch.float64, images=images[:1])
        assert not verified.failed, str(verified)
        assert verified.error < 1e-10


def test_there_are_thirty_of_them() -> None:
    assert len(NETWORKS) >= 30
