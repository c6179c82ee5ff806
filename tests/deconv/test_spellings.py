"""Every operation in every spelling: the same values as the model, and autograd's projections."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from deconvviz.deconv import Deconvnet
from tests import oracle
from tests.deconv.comparing import RULES, by_oracle, deviation, some_units
from tests.deconv.spellings import CONSTANTS, MOVES, SIZES, Spell, Spelled, se


@dataclass(frozen=True)
class Spelling:
    """A spelling, and the plain form by which the oracle knows the paper's and the guided rule."""

    spell: Spell
    plain: Spell | None = None
    rules: tuple[str, ...] = RULES


def held(join: Callable[[Tensor, Tensor], Tensor], gate: Spell) -> Spelling:
    """A map joined with a gate, which the plain form holds as recorded."""
    return Spelling(
        lambda net, h: join(h, gate(net, h)), lambda net, h: join(h, gate(net, h).detach())
    )


def mixed(spell: Callable[[Tensor], Tensor], plain: Callable[[Tensor], Tensor]) -> Spelling:
    """An activation of a convolution, which is of both signs."""
    return Spelling(lambda net, h: spell(net.branch(h)), lambda net, h: plain(net.branch(h)))


RECTIFIERS: dict[str, Spelling] = {
    name: mixed(spell, functional.relu)
    for name, spell in {
        "where": lambda x: torch.where(x > 0, x, 0.0),
        "where zeros": lambda x: torch.where(x > 0, x, torch.zeros_like(x)),
        "where not": lambda x: torch.where(x <= 0, torch.zeros_like(x), x),
        "where tensor": lambda x: torch.where(x >= 0, x, torch.tensor(0.0, dtype=x.dtype)),
        "maximum": lambda x: torch.maximum(x, torch.zeros_like(x)),
        "maximum of a number": lambda x: torch.maximum(x, torch.tensor(0.0, dtype=x.dtype)),
        "max": lambda x: torch.max(x, torch.zeros_like(x)),
        "clamp": lambda x: x.clamp(min=0.0),
        "clamp of a tensor": lambda x: torch.clamp(x, min=torch.tensor(0.0, dtype=x.dtype)),
        "clip": lambda x: torch.clip(x, 0, None),
        "mask": lambda x: x * (x > 0),
        "mask as float": lambda x: (x > 0).float() * x,
        "mask of type": lambda x: (x > 0).type_as(x) * x,
        "masked_fill": lambda x: x.masked_fill(x < 0, 0),
        "fmax": lambda x: torch.fmax(x, torch.zeros_like(x)),
        "heaviside": lambda x: x * torch.gt(x, torch.zeros_like(x)).to(x.dtype),
    }.items()
} | {
    "leaky where": mixed(
        lambda x: torch.where(x > 0, x, 0.1 * x), lambda x: functional.leaky_relu(x, 0.1)
    ),
    "leaky maximum": mixed(
        lambda x: torch.max(x, 0.2 * x), lambda x: functional.leaky_relu(x, 0.2)
    ),
    "leaky sum": mixed(
        lambda x: functional.relu(x) - 0.1 * functional.relu(-x),
        lambda x: functional.relu(x) - 0.1 * functional.relu(-x),
    ),
    "crelu": mixed(
        lambda x: torch.cat([x.relu(), (-x).relu()], 1),
        lambda x: torch.cat([x.relu(), (-x).relu()], 1),
    ),
    "hardswish": mixed(lambda x: x * functional.relu6(x + 3) / 6, functional.hardswish),
    "hardswish first": mixed(lambda x: (x + 3).clamp(0, 6) / 6 * x, functional.hardswish),
    "mish": mixed(lambda x: x * torch.tanh(functional.softplus(x)), functional.mish),
    "gelu": mixed(
        lambda x: 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3))),
        lambda x: functional.gelu(x, approximate="tanh"),
    ),
    "gelu by erf": mixed(lambda x: x * 0.5 * (1 + torch.erf(x / 2**0.5)), functional.gelu),
    "elu": mixed(lambda x: torch.where(x > 0, x, x.exp() - 1), functional.elu),
    "silu by exp": mixed(lambda x: x / (1 + torch.exp(-x)), functional.silu),
}

GATES: dict[str, Spelling] = {
    "twice a sigmoid": held(lambda h, g: h * g, lambda net, h: 2 * torch.sigmoid(se(net, h))),
    "hand-written hardsigmoid": held(
        lambda h, g: h * g, lambda net, h: functional.relu6(se(net, h) + 3) / 6
    ),
    "clamped": held(lambda h, g: h * g, lambda net, h: (se(net, h) / 6 + 0.5).clamp(0, 1)),
    "clip": held(lambda h, g: g * h, lambda net, h: torch.clip(se(net, h), -1, 1)),
    "tanh": held(lambda h, g: h * g, lambda net, h: torch.tanh(net.branch(h))),
    "one and tanh": held(lambda h, g: h * g, lambda net, h: 1 + torch.tanh(net.branch(h))),
    "one less": held(lambda h, g: h * (1 - g), lambda net, h: net.branch(h).sigmoid()),
    "none": held(
        lambda h, g: h * g[:, :, None, None],
        lambda net, h: torch.sigmoid(h.mean((2, 3)) @ net.mixing),
    ),
    "view": held(
        lambda h, g: h * g.view(h.shape[0], -1, 1, 1),
        lambda net, h: torch.sigmoid(h.mean((2, 3)) @ net.mixing),
    ),
    "unsqueeze": held(
        lambda h, g: g.unsqueeze(2).unsqueeze(3).expand_as(h) * h,
        lambda net, h: torch.sigmoid(h.mean((2, 3)) @ net.mixing),
    ),
    "residual gate": held(lambda h, g: h + h * g, lambda net, h: se(net, h).sigmoid()),
    "spatial": held(
        lambda h, g: h * g,
        lambda net, h: (
            torch.cat([h.mean(1, keepdim=True), h.amax(1, keepdim=True)], 1)
            .mul(net.power)
            .sum(1, keepdim=True)
            .sigmoid()
        ),
    ),
    "two gates": held(
        lambda h, g: h * g, lambda net, h: torch.sigmoid(se(net, h)) * torch.sigmoid(net.branch(h))
    ),
    "upsampled": held(
        lambda h, g: h * g,
        lambda net, h: functional.interpolate(
            functional.avg_pool2d(net.branch(h), 2).sigmoid(), size=h.shape[2:], mode="bilinear"
        ),
    ),
    "eca": held(
        lambda h, g: h * g,
        lambda net, h: (
            functional.conv1d(h.mean((2, 3))[:, None], net.blur[:1, None], padding=1)
            .sigmoid()
            .transpose(1, 2)[..., None]
        ),
    ),
    "glu": held(lambda h, g: h * g, lambda net, h: net.branch(h).sigmoid()),
    "comparison": held(lambda h, g: h * g, lambda net, h: (net.branch(h) > 0.1).to(h.dtype)),
    "where": Spelling(lambda net, h: torch.where(net.branch(h) > 0.1, h, 0.5 * h)),
    "exp gate": held(lambda h, g: h * g, lambda net, h: 1 / (1 + torch.exp(-se(net, h)))),
    "GLU": Spelling(
        lambda net, h: functional.glu(torch.cat([h, net.branch(h)], 1), 1),
        lambda net, h: h * net.branch(h).sigmoid().detach(),
    ),
}


def norm_of(h: Tensor, dims: tuple[int, ...] = (2, 3)) -> Tensor:
    return torch.norm(h, p=2, dim=dims, keepdim=True)


def shares_of(h: Tensor) -> Tensor:
    return norm_of(h) / (norm_of(h).mean(1, keepdim=True) + 1e-6)


STATISTICS: dict[str, Spelling] = {
    "GRN": held(lambda h, g: h * g + h, lambda _, h: shares_of(h)),
    "GRN with weights": Spelling(
        lambda net, h: torch.addcmul(h, net.scale, h * shares_of(h)),
        lambda net, h: torch.addcmul(h, net.scale, h * shares_of(h).detach()),
    ),
    "normalize": Spelling(
        lambda _, h: functional.normalize(h, dim=1),
        lambda _, h: h / norm_of(h, (1,)).clamp_min(1e-12).detach(),
    ),
    "rms": held(
        lambda h, g: h * g, lambda _, h: torch.rsqrt(h.pow(2).mean(1, keepdim=True) + 1e-6)
    ),
    "rms by square": held(
        lambda h, g: h / g, lambda _, h: (h.square().mean((1, 2, 3), keepdim=True) + 1e-6).sqrt()
    ),
    "instance norm": held(
        lambda h, g: (h - h.mean((2, 3), keepdim=True)) / g,
        lambda _, h: torch.sqrt(h.var((2, 3), keepdim=True, unbiased=False) + 1e-5),
    ),
    "std": held(lambda h, g: h / g, lambda _, h: h.std((2, 3), keepdim=True) + 1e-5),
    "var_mean": Spelling(
        lambda _, h: (lambda v, m: (h - m) * torch.rsqrt(v + 1e-5))(
            *torch.var_mean(h, 1, keepdim=True)
        ),
        lambda _, h: (
            (h - h.mean(1, keepdim=True)) * torch.rsqrt(h.var(1, keepdim=True) + 1e-5).detach()
        ),
    ),
    "layer norm by hand": Spelling(
        lambda net, h: (
            lambda u: net.scale * (h - u) / torch.sqrt((h - u).pow(2).mean(1, keepdim=True) + 1e-6)
        )(h.mean(1, keepdim=True)),
        lambda net, h: (
            lambda u: (
                net.scale
                * (h - u)
                / torch.sqrt((h - u).pow(2).mean(1, keepdim=True) + 1e-6).detach()
            )
        )(h.mean(1, keepdim=True)),
    ),
    "local response": Spelling(
        lambda _, h: functional.local_response_norm(h, 3, alpha=0.5),
        lambda _, h: (
            h
            / (
                1
                + functional.avg_pool3d(
                    functional.pad(h.square()[:, None], (0, 0, 0, 0, 1, 1)), (3, 1, 1), 1
                )[:, 0]
                / 2
            )
            .pow(0.75)
            .detach()
        ),
    ),
    "simam": held(
        lambda h, g: h * g,
        lambda _, h: (
            lambda d: (d / (4 * d.sum((2, 3), keepdim=True) / 119 + 1e-4) + 0.5).sigmoid()
        )((h - h.mean((2, 3), keepdim=True)).pow(2)),
    ),
}


def thresholded(h: Tensor) -> Tensor:
    return functional.threshold(h, 1e-6, 1e-6)


POOLS: dict[str, Spelling] = {
    "amax": Spelling(lambda _, h: (h + 0.01).amax((2, 3))),
    "amax kept": Spelling(lambda _, h: h.amax(dim=(2, 3), keepdim=True)),
    "amin": Spelling(lambda net, h: net.branch(h).amin((2, 3))),
    "max twice": Spelling(lambda net, h: net.branch(h).max(3)[0].max(2)[0]),
    "max of flat": Spelling(lambda net, h: net.branch(h).flatten(2).max(-1).values),
    "max over channels": Spelling(lambda net, h: net.branch(h).max(1, keepdim=True).values),
    "max pool by size": Spelling(lambda _, h: functional.max_pool2d(h, h.shape[2:]).flatten(1)),
    "average and maximum": Spelling(
        lambda net, h: torch.cat([h.mean((2, 3)), net.branch(h).amax((2, 3))], 1)
    ),
    "maxout": Spelling(lambda net, h: net.branch(h).unflatten(1, (4, 2)).amax(2)),
    "maxout by max": Spelling(lambda net, h: torch.max(*net.branch(h).chunk(2, 1))),
    "maximum of branches": Spelling(lambda net, h: torch.maximum(h, net.branch(h))),
    "minimum of branches": Spelling(lambda net, h: torch.min(h, net.branch(h))),
    "logsumexp": Spelling(lambda net, h: net.branch(h).logsumexp((2, 3))),
    "top": Spelling(lambda net, h: net.branch(h).flatten(2).topk(3, -1).values.mean(-1)),
    "gem": Spelling(
        lambda net, h: (
            functional.avg_pool2d(h.clamp(min=1e-6).pow(net.power), h.shape[2:])
            .pow(1 / net.power)
            .flatten(1)
        ),
        lambda net, h: (
            functional.adaptive_avg_pool2d(thresholded(h).pow(net.power), 1)
            .pow(1 / net.power)
            .flatten(1)
        ),
    ),
    "gem by mean": Spelling(
        lambda _, h: h.clamp(min=1e-6).pow(3).mean((2, 3)).pow(1.0 / 3),
        lambda _, h: thresholded(h).pow(3).mean((2, 3)).pow(1.0 / 3),
    ),
    "lp": Spelling(
        lambda net, h: functional.lp_pool2d(net.branch(h), 2, 3, 2),
        lambda net, h: (functional.avg_pool2d(net.branch(h).pow(2), 3, 2) * 9).pow(0.5),
    ),
    "lp with zeros": Spelling(lambda _, h: functional.lp_pool2d(h, 2, 2), rules=("gradient",)),
    "norm of a map": Spelling(lambda _, h: norm_of(h).flatten(1)),
    "segnet": Spelling(
        lambda net, h: (lambda p, i: functional.max_unpool2d(net.branch(p), i, 2))(
            *functional.max_pool2d(h, 2, return_indices=True)
        )
    ),
    "segnet by size": Spelling(
        lambda net, h: (
            lambda p, i: functional.max_unpool2d(p, i, 3, 2, 1, output_size=h.shape[2:])
        )(*functional.max_pool2d(net.branch(h), 3, 2, 1, return_indices=True)),
        rules=RULES,
    ),
}

SPELLINGS: dict[str, dict[str, Spelling]] = {
    "moves": {name: Spelling(spell) for name, spell in MOVES.items()},
    "constants": {name: Spelling(spell) for name, spell in CONSTANTS.items()},
    "rectifiers": RECTIFIERS,
    "gates": GATES,
    "statistics": STATISTICS,
    "pools": POOLS,
}
CASES = [(kind, name) for kind, spellings in SPELLINGS.items() for name in spellings]


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_a_spelling_is_its_operation(kind: str, name: str) -> None:
    torch.manual_seed(0)
    spelling = SPELLINGS[kind][name]
    model = Spelled(spelling.spell).double().eval()
    plain = copy.copy(model)
    plain.spell = spelling.plain or spelling.spell
    net = Deconvnet(model, SIZES[0])
    for size in SIZES:
        images = torch.randn(2, *size, dtype=torch.float64)
        with torch.no_grad():
            value = model(images)
        recording = net.record(images, ["last"])
        value = value if value.dim() == 4 else value[:, :, None, None]
        torch.testing.assert_close(recording["last"], value, rtol=1e-12, atol=1e-12)
        units = some_units(recording, "last")
        for rule in spelling.rules:
            held = model if rule == "gradient" else plain
            truth = by_oracle(oracle.autograd, held, images, units, rule)
            assert deviation(net.project(recording, units, rule).full(), truth) < 1e-10, rule
            alone = net.project(recording, units[:1], rule).full()  # in a window of its own
            assert deviation(alone, truth[:1]) < 1e-10, rule
