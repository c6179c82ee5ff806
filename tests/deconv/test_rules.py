import pytest
import torch

from deconvviz.deconv.rules import RULES
from deconvviz.deconv.table.activation import ReLU

SIGNAL = torch.tensor([-2.0, -2.0, 3.0, 3.0])
DERIVATIVE = torch.tensor([0.5, -0.5, 0.5, -0.5])


@pytest.mark.parametrize(
    ("rule", "passed"),
    [
        ("deconvnet", [0.0, 0.0, 3.0, 3.0]),
        ("guided", [0.0, 1.0, 1.5, 0.0]),
        ("gradient", [-1.0, 1.0, 1.5, -1.5]),
    ],
)
def test_each_rule_is_its_formula(rule: str, passed: list[float]) -> None:
    (sent,) = ReLU().adjoint(None, SIGNAL, lambda: DERIVATIVE, rule)
    assert sent.tolist() == passed


def test_the_deconvnet_does_not_look_at_the_activation() -> None:
    def lost() -> torch.Tensor:
        raise AssertionError

    (sent,) = ReLU().adjoint(None, SIGNAL, lost, "deconvnet")
    assert sent.tolist() == [0, 0, 3, 3]


def test_there_are_three_rules() -> None:
    assert RULES == ("deconvnet", "guided", "gradient")
