"""Every operation in every spelling: the same values as the model, and autograd's projections."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from deconvviz.deconv import Deconvnet
from tests import oracle
from tests.deconv.comparing import RULES, by_oracle, deviation, some_units

SIZES = ((3, 12, 10), (3, 16, 14))  # traced at the first, compared at both
C = 8

Spell = Callable[["Spelled", Tensor], Tensor]


class Spelled(nn.Module):
    """A convolution, a ReLU, one spelling, and a last convolution or linear layer."""

    def __init__(self, spell: Spell) -> None:
        super().__init__()
        self.spell = spell
        self.stem, self.relu = nn.Conv2d(3, C, 3, padding=1), nn.ReLU()
        self.branch, self.squeeze = nn.Conv2d(C, C, 1), nn.Conv2d(C, C, 1)
        self.mixing = nn.Parameter(torch.randn(C, C))
        self.scale = nn.Parameter(torch.rand(C, 1, 1) + 0.5)
        self.power = nn.Parameter(torch.tensor(3.0))
        self.register_buffer("order", torch.tensor([2, 0, 5, 1, 7, 3, 6, 4]))
        self.register_buffer("blur", torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16)
        made = spell(self, torch.rand(2, C, *SIZES[0][1:]))
        self.last = nn.Linear(made.shape[1], 4) if made.dim() == 2 else nn.Conv2d(made.shape[1], 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.spell(self, self.relu(self.stem(x))))


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


def se(net: Spelled, h: Tensor) -> Tensor:
    return net.squeeze(h.mean((2, 3), keepdim=True))


MOVES: dict[str, Spell] = {
    "list of channels": lambda _, h: h[:, [2, 1, 0]],
    "buffer of channels": lambda net, h: h[:, net.order],
    "negative places": lambda _, h: h[:, [-1, 0, 0]],
    "ellipsis and none": lambda _, h: h[..., None].squeeze(-1)[:, None].squeeze(1),
    "rows by a list": lambda _, h: h[:, :, [1, 0, 4, 4]],
    "rows and columns": lambda _, h: h[:, :, torch.tensor([[0], [3]]), torch.tensor([[1, 5]])],
    "a step": lambda _, h: h[:, ::3, 1::2, :-1],
    "one channel": lambda _, h: h[:, 3:4] + h[:, 5][:, None],
    "squeeze": lambda _, h: h.mean((2, 3), keepdim=True).squeeze(),
    "squeeze twice": lambda _, h: h.mean((2, 3), keepdim=True).squeeze(3).squeeze(-1),
    "flat and back": lambda _, h: h.flatten(2).view_as(h),
    "reshape_as": lambda _, h: h.flatten(1).reshape_as(h),
    "view with sizes": lambda _, h: h.view(h.size(0), -1, h.size(2), h.size(3)),
    "movedim": lambda _, h: h.movedim(1, -1).movedim(-1, 1),
    "movedim of two": lambda _, h: h.movedim((2, 3), (3, 2)),
    "moveaxis": lambda _, h: torch.moveaxis(h, 1, 2).moveaxis(2, 1),
    "swapaxes": lambda _, h: h.swapaxes(2, 3),
    "swapdims": lambda _, h: torch.swapdims(h, 1, 2).swapdims(1, 2),
    "mT": lambda _, h: h.mT,
    "narrow": lambda _, h: h.narrow(1, 2, 4).narrow(2, 1, 5),
    "unbind": lambda _, h: sum(h.unbind(1)[:3]).unsqueeze(1),
    "unbind rows": lambda _, h: torch.stack(h[:, :, :4].unbind(2)[::2], 2),
    "stack": lambda net, h: torch.stack([h, net.branch(h)], 1).flatten(1, 2),
    "stack and sum": lambda net, h: torch.stack([h, net.branch(h), h]).sum(0),
    "stack and mean": lambda net, h: torch.stack([h, net.branch(h)], dim=1).mean(1),
    "stack last": lambda net, h: torch.stack([h, net.branch(h)], -1).sum(-1),
    "stack rows": lambda net, h: torch.stack([h, net.branch(h)], 3).flatten(2, 3),
    "split rows": lambda _, h: torch.cat(h.split([2, h.shape[2] - 2], 2)[::-1], 2),
    "chunk columns": lambda _, h: torch.cat(h.chunk(2, -1)[::-1], -1),
    "tensor_split": lambda _, h: torch.cat(h.tensor_split(2, 1)[::-1], 1),
    "cat rows": lambda net, h: torch.cat([h, net.branch(h)], 2),
    "cat columns": lambda net, h: torch.cat([h, net.branch(h), h], -1),
    "cat vectors": lambda net, h: torch.cat([h.mean((2, 3)), se(net, h).flatten(1)], -1),
    "concatenate": lambda net, h: torch.concatenate([h, net.branch(h)], axis=1),
    "hstack": lambda net, h: torch.hstack([h, net.branch(h)]),
    "index_select": lambda net, h: h.index_select(1, net.order),
    "index_select rows": lambda net, h: torch.index_select(h, 2, net.order),
    "take along": lambda net, h: h.gather(1, net.order.view(1, -1, 1, 1).expand_as(h)),
    "tile": lambda _, h: h.tile(1, 2, 1, 1),
    "tile by two": lambda _, h: h.tile(2, 1),
    "repeat": lambda _, h: h.repeat(1, 2, 1, 1),
    "repeat_interleave": lambda _, h: h.repeat_interleave(2, dim=1),
    "nearest by repeats": lambda _, h: h.repeat_interleave(2, 2).repeat_interleave(2, 3),
    "nearest by expand": lambda _, h: (
        h[:, :, :, None, :, None].expand(-1, -1, -1, 2, -1, 2).reshape(
            h.shape[0], h.shape[1], 2 * h.shape[2], 2 * h.shape[3])
    ),
    "expand": lambda _, h: h.mean(1, keepdim=True).expand(-1, 3, -1, -1),
    "expand sizes": lambda _, h: h.mean((2, 3), keepdim=True).expand(h.shape),
    "broadcast_to": lambda _, h: h.mean((2, 3), keepdim=True).broadcast_to(h.shape),
    "rot90": lambda _, h: h.rot90(1, (2, 3)),
    "fliplr": lambda _, h: h.flip(-1) + h.flip((2, 3)),
    "roll": lambda _, h: torch.roll(h, 2, 3),
    "shift": lambda _, h: torch.cat([h[:, :4].roll(1, 2), functional.pad(h[:, 4:], (1, 0))[..., :-1]], 1),
    "unfold": lambda net, h: (net.mixing @ functional.unfold(h, 3, padding=1).unflatten(1, (C, 9)).mean(2)).view_as(h),
    "unfold axis": lambda _, h: h.unfold(2, 3, 1).unfold(3, 3, 1).mean((-1, -2)),
    "space to depth": lambda _, h: h.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4).movedim(4, 2).flatten(1, 2),
    "fold": lambda _, h: functional.fold(functional.unfold(h, 3, padding=1), h.shape[2:], 3, padding=1),
    "focus": lambda _, h: torch.cat([h[..., ::2, ::2], h[..., 1::2, ::2], h[..., ::2, 1::2]], 1),
    "pixel_unshuffle": lambda _, h: functional.pixel_unshuffle(h, 2),
    "pad channels": lambda _, h: functional.pad(h, (0, 0, 0, 0, 2, 3)),
    "option A": lambda _, h: torch.cat([h[:, :, ::2, ::2], torch.zeros_like(h[:, :, ::2, ::2])], 1),
    "new_zeros": lambda _, h: torch.cat([h, h.new_zeros(h.shape[0], 2, *h.shape[2:])], 1),
    "zeros of a size": lambda _, h: torch.cat([torch.zeros(h.shape, dtype=h.dtype), h], 1),
    "diagonal": lambda _, h: h[..., :8, :8].diagonal(dim1=2, dim2=3)[..., None],
    "tril": lambda _, h: h.tril(),
    "cumsum": lambda _, h: h.cumsum(1),
    "coordinates": lambda _, h: torch.cat([h, (torch.arange(h.shape[3], dtype=h.dtype) / h.shape[3]).expand(h.shape[0], 1, *h.shape[2:])], 1),
    "atleast": lambda _, h: torch.atleast_3d(h),
    "unflatten": lambda _, h: h.unflatten(1, (2, 4)).sum(1),
    "sum": lambda _, h: h.sum((2, 3)),
    "sum of all": lambda _, h: h.sum(dim=(1, 2, 3), keepdim=True).expand(-1, 2, 3, 3),
    "mean by hand": lambda _, h: h.flatten(2).sum(-1) / (h.shape[2] * h.shape[3]),
    "mean of view": lambda _, h: h.view(h.shape[0], h.shape[1], -1).mean(-1),
}

CONSTANTS: dict[str, Spell] = {
    "einsum": lambda net, h: torch.einsum("oc,nchw->nohw", net.mixing, h),
    "einsum first": lambda net, h: torch.einsum("nchw,co->nohw", h, net.mixing),
    "einsum to vectors": lambda net, h: torch.einsum("nchw,co->no", h, net.mixing),
    "matmul right": lambda net, h: (h.permute(0, 2, 3, 1) @ net.mixing).permute(0, 3, 1, 2),
    "matmul left": lambda net, h: (net.mixing @ h.flatten(2)).view_as(h),
    "matmul vectors": lambda net, h: h.mean((2, 3)) @ net.mixing,
    "mm": lambda net, h: torch.mm(h.mean((2, 3)), net.mixing),
    "addmm": lambda net, h: torch.addmm(net.power, h.mean((2, 3)), net.mixing),
    "tensordot": lambda net, h: torch.tensordot(h, net.mixing, ([1], [0])).movedim(-1, 1),
    "functional linear": lambda net, h: functional.linear(h.movedim(1, -1), net.mixing).movedim(-1, 1),
    "conv of a constant": lambda net, h: functional.conv2d(h, net.blur.expand(C, 1, 3, 3), groups=C),
    "conv of ones": lambda _, h: functional.conv2d(h, h.new_ones(C, 1, 3, 3), padding=1, groups=C),
    "conv of a repeat": lambda net, h: functional.conv2d(
        functional.pad(h, (1, 1, 1, 1), mode="reflect"), net.blur.repeat(C, 1, 1, 1), stride=2, groups=C),
    "conv by torch": lambda net, h: torch.conv2d(h, net.mixing[:, :, None, None]),
    "conv along rows": lambda net, h: functional.conv1d(h.flatten(2), net.mixing[..., None]).view_as(h),
    "scale": lambda net, h: net.scale * h,
    "scale of every place": lambda _, h: h * torch.arange(h.shape[3], dtype=h.dtype),
    "scale by ones": lambda _, h: h * torch.ones_like(h) * 2,
    "folded norm": lambda net, h: (h - net.scale) * torch.rsqrt(net.scale + 1e-5),
    "fixed norm": lambda net, h: (h - net.scale) / net.scale.sqrt() + net.power,
    "addcmul": lambda net, h: torch.addcmul(net.scale, h, net.scale, value=2),
    "addcdiv": lambda net, h: torch.addcdiv(net.scale, h, net.scale),
    "lerp": lambda net, h: torch.lerp(h, net.branch(h), 0.3),
    "true divide": lambda net, h: torch.true_divide(h, 3).multiply(2).subtract(1).negative(),
    "alpha": lambda net, h: h.add(net.branch(h), alpha=-2).sub(h, alpha=3),
    "rsub": lambda net, h: torch.rsub(h, net.branch(h), alpha=2) + (1 - h),
    "type_as": lambda net, h: h.type_as(net.scale).to(net.scale),
    "another dtype": lambda net, h: h.to(torch.float64).double(),
    "norm with weights": lambda net, h: functional.batch_norm(h, net.scale.flatten().detach(), net.scale.flatten().detach(), net.mixing[0]),
    "masked by a constant": lambda net, h: h.masked_fill(net.order.view(-1, 1, 1) > 3, 0.0),
    "where a constant": lambda net, h: torch.where(net.order.view(-1, 1, 1) > 3, h, 0.0),
    "where of two": lambda net, h: torch.where(net.order.view(-1, 1, 1) > 3, h, net.branch(h)),
}


def relu(_: Spelled, h: Tensor) -> Tensor:
    return functional.relu(h)


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
    "leaky where": mixed(lambda x: torch.where(x > 0, x, 0.1 * x), lambda x: functional.leaky_relu(x, 0.1)),
    "leaky maximum": mixed(lambda x: torch.max(x, 0.2 * x), lambda x: functional.leaky_relu(x, 0.2)),
    "leaky sum": mixed(lambda x: functional.relu(x) - 0.1 * functional.relu(-x), lambda x: functional.relu(x) - 0.1 * functional.relu(-x)),
    "crelu": mixed(lambda x: torch.cat([x.relu(), (-x).relu()], 1), lambda x: torch.cat([x.relu(), (-x).relu()], 1)),
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
    "hand-written hardsigmoid": held(lambda h, g: h * g, lambda net, h: functional.relu6(se(net, h) + 3) / 6),
    "clamped": held(lambda h, g: h * g, lambda net, h: (se(net, h) / 6 + 0.5).clamp(0, 1)),
    "clip": held(lambda h, g: g * h, lambda net, h: torch.clip(se(net, h), -1, 1)),
    "tanh": held(lambda h, g: h * g, lambda net, h: torch.tanh(net.branch(h))),
    "one and tanh": held(lambda h, g: h * g, lambda net, h: 1 + torch.tanh(net.branch(h))),
    "one less": held(lambda h, g: h * (1 - g), lambda net, h: net.branch(h).sigmoid()),
    "none": held(lambda h, g: h * g[:, :, None, None], lambda net, h: torch.sigmoid(h.mean((2, 3)) @ net.mixing)),
    "view": held(lambda h, g: h * g.view(h.shape[0], -1, 1, 1), lambda net, h: torch.sigmoid(h.mean((2, 3)) @ net.mixing)),
    "unsqueeze": held(lambda h, g: g.unsqueeze(2).unsqueeze(3).expand_as(h) * h, lambda net, h: torch.sigmoid(h.mean((2, 3)) @ net.mixing)),
    "residual gate": held(lambda h, g: h + h * g, lambda net, h: se(net, h).sigmoid()),
    "spatial": held(lambda h, g: h * g, lambda net, h: torch.cat([h.mean(1, keepdim=True), h.amax(1, keepdim=True)], 1).mul(net.power).sum(1, keepdim=True).sigmoid()),
    "two gates": held(lambda h, g: h * g, lambda net, h: torch.sigmoid(se(net, h)) * torch.sigmoid(net.branch(h))),
    "upsampled": held(lambda h, g: h * g, lambda net, h: functional.interpolate(functional.avg_pool2d(net.branch(h), 2).sigmoid(), size=h.shape[2:], mode="bilinear")),
    "eca": held(lambda h, g: h * g, lambda net, h: functional.conv1d(h.mean((2, 3))[:, None], net.blur[:1, None], padding=1).sigmoid().transpose(1, 2)[..., None]),
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


STATISTICS: dict[str, Spelling] = {
    "GRN": held(lambda h, g: h * g + h, lambda _, h: norm_of(h) / (norm_of(h).mean(1, keepdim=True) + 1e-6)),
    "GRN with weights": held(
        lambda h, g: h + (h * g),
        lambda net, h: norm_of(h) / (norm_of(h).mean(1, keepdim=True) + 1e-6),
    ),
    "normalize": Spelling(
        lambda _, h: functional.normalize(h, dim=1),
        lambda _, h: h / norm_of(h, (1,)).clamp_min(1e-12).detach(),
    ),
    "rms": held(lambda h, g: h * g, lambda _, h: torch.rsqrt(h.pow(2).mean(1, keepdim=True) + 1e-6)),
    "rms by square": held(lambda h, g: h / g, lambda _, h: (h.square().mean((1, 2, 3), keepdim=True) + 1e-6).sqrt()),
    "instance norm": held(
        lambda h, g: (h - h.mean((2, 3), keepdim=True)) / g,
        lambda _, h: torch.sqrt(h.var((2, 3), keepdim=True, unbiased=False) + 1e-5),
    ),
    "std": held(lambda h, g: h / g, lambda _, h: h.std((2, 3), keepdim=True) + 1e-5),
    "var_mean": Spelling(
        lambda _, h: (lambda v, m: (h - m) * torch.rsqrt(v + 1e-5))(*torch.var_mean(h, 1, keepdim=True)),
        lambda _, h: (h - h.mean(1, keepdim=True)) * torch.rsqrt(h.var(1, keepdim=True) + 1e-5).detach(),
    ),
    "layer norm by hand": Spelling(
        lambda net, h: (lambda u: net.scale * (h - u) / torch.sqrt((h - u).pow(2).mean(1, keepdim=True) + 1e-6))(h.mean(1, keepdim=True)),
        lambda net, h: (lambda u: net.scale * (h - u) / torch.sqrt((h - u).pow(2).mean(1, keepdim=True) + 1e-6).detach())(h.mean(1, keepdim=True)),
    ),
    "local response": Spelling(
        lambda _, h: functional.local_response_norm(h, 3, alpha=0.5),
        lambda _, h: h / (1 + functional.avg_pool3d(functional.pad(h.square()[:, None], (0, 0, 0, 0, 1, 1)), (3, 1, 1), 1)[:, 0] / 2).pow(0.75).detach(),
    ),
    "simam": held(
        lambda h, g: h * g,
        lambda _, h: (lambda d: (d / (4 * d.sum((2, 3), keepdim=True) / 119 + 1e-4) + 0.5).sigmoid())((h - h.mean((2, 3), keepdim=True)).pow(2)),
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
    "average and maximum": Spelling(lambda net, h: torch.cat([h.mean((2, 3)), net.branch(h).amax((2, 3))], 1)),
    "maxout": Spelling(lambda net, h: net.branch(h).unflatten(1, (4, 2)).amax(2)),
    "maxout by max": Spelling(lambda net, h: torch.max(*net.branch(h).chunk(2, 1))),
    "maximum of branches": Spelling(lambda net, h: torch.maximum(h, net.branch(h))),
    "minimum of branches": Spelling(lambda net, h: torch.min(h, net.branch(h))),
    "logsumexp": Spelling(lambda net, h: net.branch(h).logsumexp((2, 3))),
    "top": Spelling(lambda net, h: net.branch(h).flatten(2).topk(3, -1).values.mean(-1)),
    "gem": Spelling(
        lambda net, h: functional.avg_pool2d(h.clamp(min=1e-6).pow(net.power), h.shape[2:]).pow(1 / net.power).flatten(1),
        lambda net, h: functional.adaptive_avg_pool2d(thresholded(h).pow(net.power), 1).pow(1 / net.power).flatten(1),
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
        lambda net, h: (lambda p, i: functional.max_unpool2d(net.branch(p), i, 2))(*functional.max_pool2d(h, 2, return_indices=True))
    ),
    "segnet by size": Spelling(
        lambda net, h: (lambda p, i: functional.max_unpool2d(p, i, 3, 2, 1, output_size=h.shape[2:]))(*functional.max_pool2d(net.branch(h), 3, 2, 1, return_indices=True)),
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
