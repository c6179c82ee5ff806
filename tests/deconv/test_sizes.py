"""An export at one size is one for every size only where no size has a part in the network."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from deconvviz.deconv import export
from deconvviz.deconv.export import trace
from deconvviz.deconv.tape import weight_of
from tests.deconv.comparing import run
from tests.deconv.networks import FAMILIES, deconvnet
from tests.deconv.small_networks import Plain

# The families of which the code reads a size, or which have an operation that might take one.
OTHERS = ("shufflenet", "maximum")


def made_without_sizes(model: nn.Module, size: tuple[int, int, int]) -> bool:
    with torch.no_grad():
        images = weight_of(model).new_zeros(13, *size)
        return export._export_without_sizes(model, images) is not None


@pytest.mark.parametrize("family", FAMILIES)
def test_the_tape_is_that_of_an_export_for_any_size(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, size = deconvnet(family).model, FAMILIES[family][1]
    assert made_without_sizes(model, size) is not family.startswith(OTHERS)
    quick = trace(model, size)
    monkeypatch.setattr(export, "_export_without_sizes", lambda *_: None)
    slow = trace(model, size)
    assert replace(quick, held={}, constants={}) == replace(slow, held={}, constants={})
    assert quick.held == slow.held
    assert not quick.constants
    assert not slow.constants


@pytest.mark.parametrize(
    "forward",
    [
        lambda x: x / x.shape[2],
        lambda x: x / x.size(3),
        lambda x: x / x.numel(),
        lambda x: x / x.nelement(),
        lambda x: x / torch.numel(x),
        lambda x: x / x.stride(1),
        lambda x: x / x.relu().stride()[1],
        lambda x: x / x.mT.stride()[3],
        lambda x: x / len(x[0, 0]),
        lambda x: functional.avg_pool2d(x, x.shape[2:]),
        lambda x: functional.adaptive_avg_pool2d(x, (None, 1)),
        lambda x: functional.adaptive_avg_pool2d(x, output_size=(3, None)),
        nn.AdaptiveAvgPool2d((None, 2)),
        lambda x: functional.interpolate(x, scale_factor=2),
        lambda x: functional.adaptive_max_pool2d(x, (None, 1)),
        lambda x: x * torch.ones_like(x).cumsum(2),
        lambda x: x.reshape(-1, 3, 8, 8),
        lambda x: x[:, :, :-1],
        lambda x: functional.normalize(x, dim=2),
        lambda x: torch.cat([*x.unbind(2)], 1),
        lambda x: functional.local_response_norm(x, 3),
    ],
)
def test_a_size_that_is_read_is_noticed(forward: Callable[[Tensor], Tensor]) -> None:
    assert not made_without_sizes(Plain(forward), (3, 8, 8))


def test_a_size_that_is_read_is_noticed_though_code_hides_the_error() -> None:
    def forward(x: Tensor) -> Tensor:
        try:
            return x / x.shape[2]
        except Exception:  # noqa: BLE001
            return x / 8

    model, images = Plain(forward), torch.randn(2, 3, 5, 12)
    torch.testing.assert_close(run(trace(model, (3, 8, 8)), model, images), model(images))


def test_a_hook_that_reads_a_size_is_noticed() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    assert made_without_sizes(model, (3, 8, 8))
    model[0].register_forward_hook(lambda _m, _i, output: output / output.shape[2])
    assert not made_without_sizes(model, (3, 8, 8))


def test_other_facts_may_be_asked() -> None:
    def forward(x: Tensor) -> Tensor:
        assert x.ndim == x.dim() == 4
        x = x.to(x.device, x.dtype) if x.requires_grad or x.is_complex() else x.relu()
        return torch.cat(x.chunk(3, 1)[::-1], 1) if x.is_floating_point() else x

    assert made_without_sizes(Plain(forward), (3, 8, 8))
