"""Small networks, each for one thing that networks do."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class Plain(nn.Module):
    """A model from a function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Functional(nn.Module):
    """One ReLU module and functional ones, in place and not, with functional pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.conv3 = nn.Conv2d(8, 8, 3, padding=1)
        self.last = nn.Conv2d(8, 4, 1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.relu(self.conv1(x)), 2)
        x = self.relu(self.conv2(x))
        x = self.conv3(x).relu_()
        x = self.relu(x * 2 - 0.5)
        return self.last(x)


class Residual(nn.Module):
    """A residual sum, in place, whose ReLU's input has a second reader: h + f(relu(h))."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.bn = nn.BatchNorm2d(8)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.last = nn.Conv2d(8, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.bn(self.conv1(x))
        out = self.conv2(self.relu(h))
        out += h
        return self.last(out)


class Smooth(nn.Sequential):
    """Activations of which the paper says nothing."""

    def __init__(self) -> None:
        kinds = (nn.GELU(), nn.SiLU(), nn.Hardswish(), nn.LeakyReLU(0.2), nn.ELU(), nn.ReLU6())
        pairs = [
            (nn.Conv2d(c, 6, 3, padding=1), f) for c, f in zip((3, *[6] * 5), kinds, strict=True)
        ]
        super().__init__(*[module for pair in pairs for module in pair])


class Branches(nn.Module):
    """Parallel branches that share one ReLU, of different reach, put side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(3, 4, 1, stride=2)
        self.wide = nn.Conv2d(3, 4, 5, stride=2, padding=2)
        self.relu = nn.ReLU()
        self.join = nn.Conv2d(12, 6, 3)
        self.last = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        narrow, wide = self.narrow(x), self.wide(x)
        narrow, wide = self.relu(narrow), self.relu(wide)
        pooled = functional.avg_pool2d(functional.pad(wide, (1, 1, 1, 1)), 3, stride=1)
        return self.last(self.join(torch.cat([narrow, wide, pooled - narrow], dim=1)))


class Varied(nn.Module):
    """Every way to pad, to pool with overlaps, to deal channels out, to scale up and to gate."""

    def __init__(self) -> None:
        super().__init__()
        padded: list[nn.Module] = []
        for mode, inputs in (("zeros", 5), ("reflect", 8), ("replicate", 8), ("circular", 8)):
            padded += [nn.Conv2d(inputs, 8, 3, padding=(1, 2), padding_mode=mode), nn.ReLU()]
        self.padded = nn.Sequential(*padded)
        self.overlap = nn.MaxPool2d(3, 2, padding=1, ceil_mode=True)
        self.mean = nn.AvgPool2d(3, 2, padding=1, ceil_mode=True, count_include_pad=False)
        self.deal = nn.ChannelShuffle(4)
        self.gate = nn.Conv2d(8, 8, 1)
        self.slope = nn.PReLU(8)
        self.up = nn.ConvTranspose2d(
            8, 8, 3, stride=2, padding=1, output_padding=(1, 0), dilation=2, groups=2
        )
        self.norm = nn.InstanceNorm2d(8, affine=True)
        self.tiles = nn.PixelShuffle(2)
        self.last = nn.Conv2d(2, 3, 3, padding="same")

    def forward(self, x: Tensor) -> Tensor:
        x = self.padded(x)
        a, b = torch.cat([self.overlap(x), self.mean(x)], dim=1).split([8, 8], dim=1)
        x = self.deal(a) * torch.sigmoid(self.gate(b)) + 1 - b[:, :8, :, :]
        x = self.norm(functional.threshold(self.up(self.slope(x)), 0, 0))
        x = functional.interpolate(x, size=(24, 31), mode="nearest-exact")
        return self.last(self.tiles(functional.hardsigmoid(x.mean((2, 3), keepdim=True)) * x))


class SamePadding(nn.Conv2d):
    """A convolution with TensorFlow's padding, which depends on the size of what it is given."""

    def forward(self, x: Tensor) -> Tensor:
        (top, bottom), (left, right) = (
            (need // 2, need - need // 2)
            for size, kernel, stride in zip(x.shape[2:], self.kernel_size, self.stride, strict=True)
            for need in (max((math.ceil(size / stride) - 1) * stride + kernel - size, 0),)
        )
        return super().forward(functional.pad(x, (left, right, top, bottom)))


class EvenHeights(nn.Module):
    """Takes two ways: pictures of odd height get a row more."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2] % 2:
            x = functional.pad(x, (0, 0, 0, 1), value=1)
        return self.relu(self.conv(x))


class Gated(nn.Module):
    """A residual block with a functional activation, then a gate; several outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.block = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6))
        self.gate = nn.Conv2d(6, 6, 1)

    def forward(self, x: Tensor) -> dict[str, object]:
        h = functional.hardswish(self.stem(x))
        h = h + self.block(h)
        gated = h * torch.sigmoid(self.gate(h.mean((2, 3), keepdim=True)))
        return {"maps": [h, gated.permute(0, 2, 3, 1)], "means": gated.mean((1, 2, 3)), "n": 3}


class Counting(nn.Module):
    """Counts the forward passes of itself and all its copies."""

    passes = 0

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        type(self).passes += 1
        return self.conv(x).relu()


class LastAxis(nn.Module):
    """Something on the channels-last form of its maps."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


Forward = Callable[["Net", Tensor], Any]


class Net(nn.Module):
    """A few layers and attributes, and a forward pass that is given."""

    k: float = 2

    def __init__(self, forward: Forward) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.run = forward
        self.a = nn.Conv2d(3, 8, 3)
        self.b = nn.Conv2d(8, 8, 3)
        self.fc = nn.Linear(8, 5)
        self.scale, self.sizes = 2, {"factors": [2, 3]}
        self.plain, self.held = torch.rand(8, 1, 1), [torch.rand(8, 1, 1)]
        self.seen: list[Tensor] = []
        self.double()
        self.plain, self.held = self.plain.double(), [self.held[0].double()]

    def forward(self, x: Tensor) -> Any:
        return self.run(self, x)


def plainly(net: Net, x: Tensor) -> Tensor:
    return net.b(net.a(x).relu())
