"""The three rules for the backward pass through an activation.

They agree on every linear operation. For ReLU they are, in turn,
Zeiler & Fergus (2014, arXiv:1311.2901), Springenberg et al. (2015, arXiv:1412.6806) and the plain
gradient (Simonyan et al. 2014, arXiv:1312.6034).
"""

from collections.abc import Callable
from typing import Literal, get_args

from torch import Tensor

Rule = Literal["deconvnet", "guided", "gradient"]
RULES: tuple[Rule, ...] = get_args(Rule)


def undo_activation(rule: Rule, signal: Tensor, derivative: Callable[[], Tensor]) -> Tensor:
    """The signal below an activation f with the recorded input a.

    Args:
        rule: `deconvnet` gives relu(s), `guided` relu(f'(a) s), `gradient` f'(a) s.
        signal: s, the signal from above.
        derivative: Looks up f'(a), of the signal's shape; not called under `deconvnet`.
    """
    if rule == "deconvnet":
        return signal.relu()
    passed = signal * derivative()
    return passed.relu() if rule == "guided" else passed
