"""Projections are compared with autograd on the spot, and a wrong adjoint is caught by name."""

import json
from collections.abc import Sequence

import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from deconvviz.deconv import Deconvnet, verification
from deconvviz.deconv.rules import Rule
from deconvviz.deconv.table import TABLE, Row
from deconvviz.deconv.table.activation import SmoothActivation
from deconvviz.deconv.table.pooling import MaxPool
from deconvviz.deconv.tape import Call
from deconvviz.errors import PictureError, UnknownLayerError
from tests.deconv.comparing import fingerprint
from tests.deconv.networks import deconvnet, images_for, network
from tests.deconv.small_networks import (
    Branches,
    Counting,
    Functional,
    Gated,
    LastAxis,
    Residual,
    Smooth,
    Varied,
)

aten = torch.ops.aten


def built(make: type[nn.Module], channels: int = 3) -> Deconvnet:
    torch.manual_seed(0)
    return Deconvnet(make(), (channels, 16, 20))


@pytest.mark.parametrize("make", [Functional, Residual, Branches, Smooth, Gated])
def test_functional_shared_residual_and_gated_networks_equal_autograd(
    make: type[nn.Module],
) -> None:
    """Every layer, in float64, with a picture of noise and with given ones of another size."""
    net = built(make)
    for images in (None, torch.randn(3, 3, 19, 17)):
        verified = net.verify(list(net.layers), units=4, dtype=torch.float64, images=images)
        assert verified.passed
        assert verified.error < 1e-10
        assert all(0 < layer.units <= 4 for layer in verified.layers)
        assert all(layer.passed for layer in verified.layers)


def test_every_way_to_pad_pool_scale_and_gate_equals_autograd() -> None:
    net = built(Varied, 5)
    verified = net.verify(list(net.layers), dtype=torch.float64)
    assert verified.passed
    assert verified.error < 1e-10


@pytest.mark.parametrize("family", ["demo", "resnet", "densenet", "convnext"])
def test_default_layers_of_families_equal_autograd(family: str) -> None:
    net = deconvnet(family)
    verified = net.verify(units=2, dtype=torch.float64)
    assert [layer.layer for layer in verified.layers] == list(net.default_layers)
    assert verified.error < 1e-10
    assert net.verify(units=2).passed


def test_it_is_independent_of_the_engine() -> None:
    """An engine that is wrong does not move the truth: the error is that of the engine."""
    net = built(Smooth)
    truth = net.verify(["1"], dtype=torch.float64)

    class Doubled(SmoothActivation):
        def adjoint(self, *given: object) -> Sequence[Tensor]:
            return [2 * signal for signal in super().adjoint(*given)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TABLE, aten.gelu.default, Doubled())
        doubled = net.verify(["1"], dtype=torch.float64)
    assert truth.error < 1e-10
    assert doubled.error == pytest.approx(1)


class Turned(SmoothActivation):
    def adjoint(self, call: Call, signal: Tensor, saved: object, rule: Rule) -> Sequence[Tensor]:
        (sent,) = super().adjoint(call, signal, saved, rule)
        return [sent * 1.001]


class Overwriting(MaxPool):
    def adjoint(self, call: Call, signal: Tensor, saved: object, rule: Rule) -> Sequence[Tensor]:
        (sent,) = super().adjoint(call, signal, saved, rule)
        return [sent.flip(1)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    ("make", "target", "row", "kind", "right"),
    [
        (Smooth, aten.hardswish.default, Turned(), "hardswish in `5`", ["1", "3"]),
        (Smooth, aten.gelu.default, Turned(), "gelu in `1`", []),
        (Functional, aten.max_pool2d.default, Overwriting(), "max_pool2d in the m", ["relu@3"]),
    ],
)
def test_a_wrong_adjoint_is_caught_and_named(
    make: type[nn.Module],
    target: object,
    row: Row,
    kind: str,
    right: list[str],
    dtype: torch.dtype,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(TABLE, target, row)
    net = built(make)
    verified = net.verify(dtype=dtype)
    assert not verified.passed
    assert [layer.layer for layer in verified.layers if layer.passed] == right
    assert verified.fault.startswith(kind)
    assert f"differ from autograd, first in {verified.fault}" in str(verified)
    assert "DIFFERENT" in str(verified)


def test_what_differs_in_float32_is_compared_again_in_float64(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where rounding changes the sign of an activation, correct projections differ."""
    monkeypatch.setitem(verification._TOLERANCES, torch.float32, 1e-12)
    verified = built(Smooth).verify()
    assert verified.passed
    for layer in verified.layers:
        assert "in float64, because rounding may change signs" in layer.note
        assert layer.error < 1e-10


def test_where_autograd_itself_is_wrong_finite_differences_say_so() -> None:
    """torch's backward of InstanceNorm is wrong on a CPU for a channels-last gradient.

    Should this fail, torch has become right: then there is nothing to be said any more.
    """
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.InstanceNorm2d(8), LastAxis(nn.LayerNorm(8))
    ).double()
    verified = Deconvnet(model, (3, 9, 8)).verify(["1", "2"], dtype=torch.float64)
    first, second = verified.layers
    assert first.error < 1e-10
    assert (second.units, second.passed) == (0, None)
    assert second.note == "torch's autograd is wrong here: finite differences agree with ours"


class Unreachable(nn.Module):
    """Layers that cannot be compared, each for another reason."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
        self.dead = nn.ReLU()
        self.soft = nn.Sequential(nn.Softmax2d(), nn.Conv2d(4, 4, 1), nn.ReLU())
        self.last = nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        side = self.dead(-h - 1) + self.soft(h)
        return self.last(functional.dropout(h + side, 0.5, training=True))


def test_it_says_which_layers_were_not_compared_and_why() -> None:
    torch.manual_seed(0)
    net = Deconvnet(Unreachable(), (3, 8, 8))
    draws = torch.get_rng_state()
    verified = net.verify(["first.1", "dead", "soft.2"])
    assert torch.equal(torch.get_rng_state(), draws)
    notes = {layer.layer: layer.note for layer in verified.layers}
    assert notes["first.1"] == ""
    assert notes["dead"] == "no unit is active"
    assert "cannot undo softmax in `soft.0`" in notes["soft.2"]
    assert verified.passed
    assert "1 layer of 3" in verified.line
    assert "not compared" in str(verified)


def test_nothing_compared_is_not_passed() -> None:
    verified = built(Smooth).verify([])
    assert not verified.passed
    assert "no projection was compared" in str(verified).lower()


def test_a_layer_that_no_module_returns_is_found_by_its_values() -> None:
    verified = built(Functional).verify(dtype=torch.float64)
    notes = {layer.layer: layer.note for layer in verified.layers}
    assert notes["relu"] == ""
    assert "of no module; found in the model by its values" in notes["relu@3"]


def test_the_model_is_left_alone() -> None:
    model, images = network("average").train(), images_for("average")
    try:
        before, draws = fingerprint(model), torch.get_rng_state()
        deconvnet("average").verify(units=2, images=images)
        assert fingerprint(model) == before
        assert torch.equal(torch.get_rng_state(), draws)
    finally:
        model.eval()


def test_it_costs_one_forward_pass_for_each_picture() -> None:
    net = Deconvnet(Counting(), (3, 8, 8), check=False)
    before = Counting.passes
    net.verify(units=5)
    assert Counting.passes == before + 1
    net.verify(units=5, images=torch.randn(3, 3, 8, 8))
    assert Counting.passes == before + 4


def test_one_seed_gives_one_result_another_seed_other_units() -> None:
    net = built(Smooth)
    assert net.verify(seed=3) == net.verify(seed=3)
    assert net.verify(seed=3).to_dict() != net.verify(seed=4).to_dict()


def test_it_is_a_table_for_pandas_and_json() -> None:
    verified = built(Functional).verify(dtype=torch.float64)
    frame = pd.DataFrame(verified.table())
    assert list(frame.columns) == ["layer", "units", "error", "passed", "note"]
    read = json.loads(json.dumps(verified.to_dict()))
    assert read["layers"] == verified.table()
    assert read["passed"] is True
    assert (read["units"], read["dtype"]) == (24, "float64")
    assert read["error"] == verified.error == frame["error"].max()
    assert str(verified).splitlines()[-1].startswith("Projections of 24 units in 3 layers equal")


def test_refusals() -> None:
    net = built(Smooth)
    with pytest.raises(UnknownLayerError, match="no layer `conv9`"):
        net.verify(["conv9"])
    with pytest.raises(ValueError, match=r"no verification in torch\.float16"):
        net.verify(dtype=torch.float16)
    with pytest.raises(PictureError):
        net.verify(images=torch.randn(1, 4, 16, 20))


def test_a_derivative_that_is_zero_but_for_rounding_does_not_fail() -> None:
    """The mean of a map that InstanceNorm has centred does not depend on the picture."""
    torch.manual_seed(0)
    norm = nn.Sequential(nn.Conv2d(3, 8, 3), nn.InstanceNorm2d(8, affine=True))
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    net = Deconvnet(nn.Sequential(norm, head).double().eval(), (3, 16, 20))
    found = net.verify(["1.2"], dtype=torch.float64)
    assert found.passed
    assert found.error == 0
