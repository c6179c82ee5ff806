"""What a trial of an operation without a row finds."""

from typing import Any

import pytest
import torch

from deconvviz.deconv import ops
from deconvviz.deconv.table.linear import AnyLinear, tried
from tests.deconv.test_table import call_of

aten = torch.ops.aten
X = torch.zeros(2, 4, 6, 7, dtype=torch.float64)
SQUARE = torch.zeros(2, 4, 6, 6, dtype=torch.float64)


@pytest.mark.parametrize(
    ("target", "arguments", "here"),
    [
        (aten.neg.default, {"self": X}, True),
        (aten.index_select.default, {"self": X, "dim": 1, "index": torch.tensor([2, 0])}, True),
        (aten.index_select.default, {"self": X, "dim": 3, "index": torch.arange(7)}, False),
        (aten.cumsum.default, {"self": X, "dim": 1}, True),
        (aten.cumsum.default, {"self": X, "dim": 2}, False),
        (aten.flip.default, {"self": X, "dims": [2, 3]}, False),
        (aten.roll.default, {"self": X, "shifts": [1], "dims": [3]}, False),
        (aten.tril.default, {"self": SQUARE}, False),
        (aten.mT.default, {"self": SQUARE}, False),
        (aten.movedim.int, {"self": X, "source": 1, "destination": 3}, False),
        (ops.part, {"place": 1, "of": aten.tensor_split.sections, "x": X, "n": 2, "dim": 1}, True),
    ],
)
def test_linear_operations_are_found_and_those_that_keep_positions(
    target: Any, arguments: dict[str, Any], here: bool
) -> None:
    varying = next(name for name, value in arguments.items() if value is X or value is SQUARE)
    found = tried(call_of(target, arguments, [varying]))
    assert (found.refusal, found.here) == ("", here)


@pytest.mark.parametrize(
    ("target", "arguments"),
    [
        (aten.hardshrink.default, {"self": X}),
        (aten.round.default, {"self": X}),
        (aten.sin.default, {"self": X}),
        (aten.cumprod.default, {"self": X, "dim": 1}),
        (aten.argmax.default, {"self": X, "dim": 1}),
        (aten.fft_fft2.default, {"self": X}),
        (aten.bernoulli.default, {"self": X}),
        (aten.hardtanh.default, {"self": X, "min_val": -500, "max_val": 500}),
    ],
)
def test_others_have_no_rule(target: Any, arguments: dict[str, Any]) -> None:
    assert "no rule" in tried(call_of(target, arguments, ["self"])).refusal


def test_a_trial_draws_no_random_numbers() -> None:
    before = torch.get_rng_state()
    tried(call_of(aten.rot90.default, {"self": X, "k": 1, "dims": [2, 3]}, ["self"]))
    assert torch.equal(torch.get_rng_state(), before)


def test_an_operation_for_so_many_images_takes_any_number_of_signals() -> None:
    shape = [2, 3, *X.shape[1:]]
    given = {"self": X[:, None], "size": [2, 3, *X.shape[1:]]}
    call = call_of(aten.broadcast_to.default, given, ["self"])
    assert tried(call).batch == 2
    signal = torch.randn(5, *shape[1:], dtype=torch.float64)
    (sent,) = AnyLinear().adjoint(call, signal, lambda: None, "gradient")
    torch.testing.assert_close(sent, signal.sum(1, keepdim=True))
