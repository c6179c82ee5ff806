"""The sizes of images that a trace holds for.

Export writes every size as a formula of the images' own, and takes one way where a model's code
branches on one. A formula may grow too long, and other images might take another way: both are
noticed here, so that a tape never computes what its model would not.
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

__all__ = ["Condition", "ShortFormulas", "conditions", "is_models_own"]

_TORCH = str(Path(torch.__file__).parent) + os.sep
_LONGEST = 20  # terms; in torchvision's networks there are 9 at most


class ShortFormulas(TorchFunctionMode):
    """Ends a trace when the formula of a size grows too long.

    Each convolution with TensorFlow's padding makes it three times as long, and reasoning about it
    as many times slower: minutes for a network that is traced at one size in seconds.
    """

    @override
    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        value = func(*args, **(kwargs or {}))
        sizes = _free(value.shape) if isinstance(value, Tensor) else {}
        if any(size.expr.count_ops() > _LONGEST for size in sizes.values()):
            raise OverflowError("the formula of a size is too long")
        return value


@dataclass(frozen=True)
class Condition:
    """What a model's code asked of the images' shape; the answer was yes when it was traced.

    Attributes:
        formula: The question, in the symbols of sizes.
        axes: Symbol -> the axis of the images (N, C, H, W) whose size it is.
        line: Where the code asks, for example `nets.py:12`.
    """

    formula: Any
    axes: Mapping[Any, int]
    line: str

    def holds(self, shape: Sequence[int]) -> bool:
        """Whether the answer is the same for images of this shape."""
        answer = self.formula.subs({symbol: shape[axis] for symbol, axis in self.axes.items()})
        return bool(answer != False)  # noqa: E712  one that stays open is no refusal


def conditions(sizes: Sequence[Any]) -> tuple[Condition, ...]:
    """What a model's own code asked of the images' sizes, which are as export holds them.

    torch's own questions are left out: it asks them anew when an operation runs.
    """
    free, found = _free(sizes), []
    axes = {size._expr: axis for axis, size in free.items()}
    for guard in next((size.shape_env.guards for size in free.values()), ()):
        place = guard.sloc.framework_loc
        if place is not None and not isinstance(place, str) and is_models_own(place.filename):
            line = f"{Path(place.filename).name}:{place.lineno}"
            found.append(Condition(guard.expr, axes, line))
    return tuple(found)


def _free(sizes: Sequence[Any]) -> dict[int, Any]:
    """The sizes that may vary, by their axes."""
    return {axis: size.node for axis, size in enumerate(sizes) if isinstance(size, torch.SymInt)}


def is_models_own(file: str) -> bool:
    """Whether a file of code is the model's, and not torch's, which also calls it through here."""
    return not file.startswith(_TORCH) and file != __file__
