"""Spellings of operations that are linear: the same thing, as different people write it."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

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
        self.last = (
            nn.Linear(made.shape[1], 4) if made.dim() == 2 else nn.Conv2d(made.shape[1], 4, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.spell(self, self.relu(self.stem(x))))


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
        h[:, :, :, None, :, None]
        .expand(-1, -1, -1, 2, -1, 2)
        .reshape(h.shape[0], h.shape[1], 2 * h.shape[2], 2 * h.shape[3])
    ),
    "expand": lambda _, h: h.mean(1, keepdim=True).expand(-1, 3, -1, -1),
    "expand sizes": lambda _, h: h.mean((2, 3), keepdim=True).expand(h.shape),
    "broadcast_to": lambda _, h: h.mean((2, 3), keepdim=True).broadcast_to(h.shape),
    "rot90": lambda _, h: h.rot90(1, (2, 3)),
    "fliplr": lambda _, h: h.flip(-1) + h.flip((2, 3)),
    "roll": lambda _, h: torch.roll(h, 2, 3),
    "shift": lambda _, h: torch.cat(
        [h[:, :4].roll(1, 2), functional.pad(h[:, 4:], (1, 0))[..., :-1]], 1
    ),
    "unfold": lambda net, h: (
        net.mixing @ functional.unfold(h, 3, padding=1).unflatten(1, (C, 9)).mean(2)
    ).view_as(h),
    "unfold axis": lambda _, h: h.unfold(2, 3, 1).unfold(3, 3, 1).mean((-1, -2)),
    "space to depth": lambda _, h: (
        h.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4).movedim(4, 2).flatten(1, 2)
    ),
    "fold": lambda _, h: functional.fold(
        functional.unfold(h, 3, padding=1), h.shape[2:], 3, padding=1
    ),
    "focus": lambda _, h: torch.cat([h[..., ::2, ::2], h[..., 1::2, ::2], h[..., ::2, 1::2]], 1),
    "pixel_unshuffle": lambda _, h: functional.pixel_unshuffle(h, 2),
    "pad channels": lambda _, h: functional.pad(h, (0, 0, 0, 0, 2, 3)),
    "option A": lambda _, h: torch.cat([h[:, :, ::2, ::2], torch.zeros_like(h[:, :, ::2, ::2])], 1),
    "new_zeros": lambda _, h: torch.cat([h, h.new_zeros(h.shape[0], 2, *h.shape[2:])], 1),
    "zeros of a size": lambda _, h: torch.cat([torch.zeros(h.shape, dtype=h.dtype), h], 1),
    "diagonal": lambda _, h: h[..., :8, :8].diagonal(dim1=2, dim2=3)[..., None],
    "tril": lambda _, h: h.tril(),
    "cumsum": lambda _, h: h.cumsum(1),
    "coordinates": lambda _, h: torch.cat(
        [
            h,
            (torch.arange(h.shape[3], dtype=h.dtype) / h.shape[3]).expand(
                h.shape[0], 1, *h.shape[2:]
            ),
        ],
        1,
    ),
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
    "functional linear": lambda net, h: functional.linear(h.movedim(1, -1), net.mixing).movedim(
        -1, 1
    ),
    "conv of a constant": lambda net, h: functional.conv2d(
        h, net.blur.expand(C, 1, 3, 3), groups=C
    ),
    "conv of ones": lambda _, h: functional.conv2d(h, h.new_ones(C, 1, 3, 3), padding=1, groups=C),
    "conv of a repeat": lambda net, h: functional.conv2d(
        functional.pad(h, (1, 1, 1, 1), mode="reflect"),
        net.blur.repeat(C, 1, 1, 1),
        stride=2,
        groups=C,
    ),
    "conv by torch": lambda net, h: torch.conv2d(h, net.mixing[:, :, None, None]),
    "conv along rows": lambda net, h: functional.conv1d(
        h.flatten(2), net.mixing[..., None]
    ).view_as(h),
    "scale": lambda net, h: net.scale * h,
    "scale of every place": lambda _, h: h * torch.arange(h.shape[3], dtype=h.dtype),
    "scale by ones": lambda _, h: h * torch.ones_like(h) * 2,
    "folded norm": lambda net, h: (h - net.scale) * torch.rsqrt(net.scale + 1e-5),
    "fixed norm": lambda net, h: (h - net.scale) / net.scale.sqrt() + net.power,
    "addcmul": lambda net, h: torch.addcmul(net.scale, h, net.scale, value=2),
    "addcdiv": lambda net, h: torch.addcdiv(net.scale, h, net.scale),
    "lerp": lambda net, h: torch.lerp(h, net.branch(h), 0.3),
    "true divide": lambda _, h: torch.true_divide(h, 3).multiply(2).subtract(1).negative(),
    "alpha": lambda net, h: h.add(net.branch(h), alpha=-2).sub(h, alpha=3),
    "rsub": lambda net, h: torch.rsub(h, net.branch(h), alpha=2) + (1 - h),
    "type_as": lambda net, h: h.type_as(net.scale).to(net.scale),
    "another dtype": lambda _, h: h.to(torch.float64).double(),
    "norm with weights": lambda net, h: functional.batch_norm(
        h, net.scale.flatten().detach(), net.scale.flatten().detach(), net.mixing[0]
    ),
    "masked by a constant": lambda net, h: h.masked_fill(net.order.view(-1, 1, 1) > 3, 0.0),
    "where a constant": lambda net, h: torch.where(net.order.view(-1, 1, 1) > 3, h, 0.0),
    "where of two": lambda net, h: torch.where(net.order.view(-1, 1, 1) > 3, h, net.branch(h)),
}
