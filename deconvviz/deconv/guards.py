"""Guards: the sizes of images that a tape is valid for.

`torch.export` writes every size as a formula of the images' own, and takes one branch where a
model's code branches on a size. A formula may grow too long to reason about, and images of another
size might take another branch. Both are noticed here, so that a tape never computes what its model
would not.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from typing_extensions import override

_TORCH = str(Path(torch.__file__).parent) + os.sep
_LONGEST = 20  # terms; in torchvision's networks there are 9 at most


class FormulaLimit(TorchFunctionMode):
    """Ends an export with OverflowError when the formula of a size grows too long.

    Each convolution with TensorFlow's padding makes it three times as long, and reasoning about it
    as many times slower: minutes for a network that is exported at one size in seconds.
    """

    @override
    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        value = func(*args, **(kwargs or {}))
        sizes = _symbolic(value.shape) if isinstance(value, Tensor) else {}
        if any(size.expr.count_ops() > _LONGEST for size in sizes.values()):
            raise OverflowError("the formula of a size is too long")
        return value


@dataclass(frozen=True)
class Guard:
    """A condition on the images' shape that held at export: a branch that the model's code took.

    Attributes:
        formula: The condition, a sympy expression in the symbols of sizes.
        axes: Symbol -> the axis of the images (N, C, H, W).
        line: Line at which the code branches, for example `nets.py:12`.
    """

    formula: Any
    axes: Mapping[Any, int]
    line: str

    def holds(self, shape: Sequence[int]) -> bool:
        """Whether images of this shape take the same branch."""
        answer = self.formula.subs({symbol: shape[axis] for symbol, axis in self.axes.items()})
        return bool(answer != False)  # noqa: E712  an undecided formula passes


def guards_of(sizes: Sequence[Any]) -> tuple[Guard, ...]:
    """The guards that a model's own code left in an export.

    Guards of torch's own code are left out: torch checks them anew when an operation runs.

    Args:
        sizes: The images' shape as export holds it, with `SymInt`s.
    """
    symbolic, found = _symbolic(sizes), []
    axes = {size._expr: axis for axis, size in symbolic.items()}
    for guard in next((size.shape_env.guards for size in symbolic.values()), ()):
        place = guard.sloc.framework_loc
        if place is not None and not isinstance(place, str) and is_model_code(place.filename):
            line = f"{Path(place.filename).name}:{place.lineno}"
            found.append(Guard(guard.expr, axes, line))
    return tuple(found)


def _symbolic(sizes: Sequence[Any]) -> dict[int, Any]:
    """Axis -> size, of those that are not fixed."""
    return {axis: size.node for axis, size in enumerate(sizes) if isinstance(size, torch.SymInt)}


def is_model_code(file: str) -> bool:
    """Whether a file is the model's code, and neither torch's nor this one, which torch calls."""
    return not file.startswith(_TORCH) and file != __file__
