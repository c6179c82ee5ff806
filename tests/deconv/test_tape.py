"""The tape, run, is the model."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from deconvviz.deconv.export import trace
from tests.deconv.comparing import run
from tests.deconv.networks import FAMILIES, network
from tests.deconv.small_networks import Branches, Functional, Plain, Residual


@pytest.mark.parametrize("family", ["demo", "alexnet", "odd"])
def test_the_tape_is_the_model(family: str) -> None:
    model, size = network(family), FAMILIES[family][1]
    tape = trace(model, size)
    for count in (1, 3):
        images = torch.randn(count, *size, dtype=torch.float64)
        torch.testing.assert_close(run(tape, model, images), model(images), rtol=0, atol=0)


@pytest.mark.parametrize("make", [Functional, Residual, Branches])
def test_the_tape_takes_other_sizes_and_leaves_values_alone(make: type[nn.Module]) -> None:
    model = make().eval()
    tape = trace(model, (3, 16, 16))
    images = torch.randn(3, 3, 21, 34)
    kept = images.clone()
    torch.testing.assert_close(run(tape, model, images), model(images), rtol=0, atol=0)
    assert torch.equal(images, kept)


def test_weights_are_read_when_it_runs() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
    tape = trace(model, (3, 8, 8))
    for module in model:
        nn.init.normal_(module.weight)
    model[1].running_mean += 2
    images = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(run(tape, model, images), model(images), rtol=0, atol=0)


@pytest.mark.filterwarnings("ignore:.*torch.nn.utils.weight_norm.*:FutureWarning")
@pytest.mark.filterwarnings("ignore:The tensor attribute .* was assigned during export:UserWarning")
@pytest.mark.parametrize(
    "wrap", [parametrizations.weight_norm, nn.utils.weight_norm, nn.utils.spectral_norm]
)
def test_weights_that_are_computed_are_on_the_tape(wrap: Callable[[nn.Module], nn.Module]) -> None:
    model = nn.Sequential(wrap(nn.Conv2d(3, 4, 3)), nn.ReLU()).eval()
    images = torch.randn(2, 3, 8, 8)
    tape = trace(model, (3, 8, 8))
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    torch.testing.assert_close(run(tape, model, images), model(images))


def test_a_sum_in_place_keeps_what_it_adds_to() -> None:
    def forward(x: Tensor) -> Tensor:
        h = x * 2
        g = h.relu()
        g += h
        return g.mul_(3)

    images = torch.randn(2, 3, 4, 4)
    model = Plain(forward)
    assert torch.equal(run(trace(model, (3, 4, 4)), model, images), forward(images))


def test_what_runs_without_gradients_is_on_the_tape() -> None:
    """As the frozen part of a network does."""

    def forward(x: Tensor) -> Tensor:
        with torch.no_grad():
            h = x.relu()
        with torch.inference_mode():
            h = h * 2
        return h - x

    images = torch.randn(2, 3, 4, 4)
    tape = trace(Plain(forward), (3, 4, 4))
    assert [op.kind for op in tape.operations] == ["relu", "mul", "sub"]
    assert torch.equal(run(tape, Plain(forward), images), forward(images))
