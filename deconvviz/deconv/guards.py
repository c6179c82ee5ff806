"""Guards: the sizes of images that a tape is valid for.

`torch.export` writes every size as a formula of the images' own, and takes one branch where a
model's code branches on a size. A formula may grow too long to reason about, images of another
size might take another branch, and where code needs a size as a plain number, that number becomes a
constant. All three are noticed here, so that a tape never computes what its model would not.
"""

import functools
import os
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sympy  # type: ignore[import-untyped]
import torch
from torch import Tensor
from torch.fx.experimental.sym_node import SymNode
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from typing_extensions import override

from deconvviz.errors import TraceError

_TORCH = str(Path(torch.__file__).parent) + os.sep
_ENGINE = str(Path(__file__).parent) + os.sep
_EXPORT = _ENGINE + "export.py"
_LONGEST = 20  # terms; in torchvision's networks there are 9 at most

# Pooling -> the same over the whole map, for which its size need not be known.
_GLOBAL: Mapping[object, Callable[..., Tensor]] = {
    functional.avg_pool2d: functional.adaptive_avg_pool2d,
    functional.max_pool2d: functional.adaptive_max_pool2d,
    torch.max_pool2d: functional.adaptive_max_pool2d,
}


class FormulaLimit(TorchFunctionMode):
    """Ends an export with OverflowError when the formula of a size grows too long.

    Each convolution with TensorFlow's padding makes it three times as long, and reasoning about it
    as many times slower: minutes for a network that is exported at one size in seconds.
    """

    @override
    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        whole = _GLOBAL.get(func)
        if whole is not None and _over_whole_map(*args, **kwargs):
            return whole(args[0] if args else kwargs["input"], 1)
        value = func(*args, **kwargs)
        sizes = _symbolic(value.shape) if isinstance(value, Tensor) else {}
        if any(size.expr.count_ops() > _LONGEST for size in sizes.values()):
            raise OverflowError("the formula of a size is too long")
        return value


def _over_whole_map(
    input: Tensor,  # noqa: A002  torch's name
    kernel_size: Any,
    stride: Any = None,  # noqa: ARG001  there is one position
    padding: Any = 0,
    *_: Any,
    dilation: Any = 1,
    return_indices: bool = False,
    divisor_override: int | None = None,
    **__: Any,
) -> bool:
    """Whether a pooling's kernel is the map that it pools, at every size of the images."""
    sizes = list(input.shape[2:])
    if len(sizes) != 2 or not any(isinstance(size, torch.SymInt) for size in sizes):
        return False
    if any(padding if isinstance(padding, tuple | list) else [padding]):
        return False
    if return_indices or divisor_override or dilation not in (1, (1, 1), [1, 1]):
        return False
    given = kernel_size if isinstance(kernel_size, tuple | list) else ()
    return [_formula(size) for size in given] == [_formula(size) for size in sizes]


def _formula(size: Any) -> Any:
    return size.node.expr if isinstance(size, torch.SymInt) else size


@dataclass(frozen=True)
class Constant:
    """A size that the model's code needed as a plain number, which became a constant.

    Attributes:
        formula: The size, a sympy expression in the symbols of sizes.
        number: Its value at export.
        line: Line of the model's code, for example `nets.py:12`; empty where unknown.
    """

    formula: Any
    number: int
    line: str


@dataclass
class Noted:
    """The sizes that are made plain numbers in an export.

    Attributes:
        constants: Each of them.
        batch: The number of images, as export holds it.
    """

    constants: list[Constant] = field(default_factory=list)
    batch: Any = None

    def check(self, formula: Any) -> None:
        """Refuse the number of images, so that no tape is for that many alone.

        Raises:
            TraceError: The formula has it.
        """
        if not _formula(self.batch).free_symbols.isdisjoint(formula.free_symbols):
            raise TraceError("it handles the images of a batch one by one, or counts them")


def _called_at() -> str | None:
    """The innermost line of the model's code that is being run; None if none is in this thread."""
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_stack()]
    calls = [place for place, (name, _) in enumerate(frames) if name == _EXPORT]
    if not calls:
        return None
    inner = [frame for frame in frames[calls[-1] :] if is_model_code(frame[0])]
    return f"{Path(inner[-1][0]).name}:{inner[-1][1]}" if inner else ""


@contextmanager
def constants_noted() -> Iterator[Noted]:
    """The sizes that the model's code makes plain numbers meanwhile.

    torch has one place for it, which is watched. Other threads may go through it too; the stack
    tells them apart.
    """
    noted, original = Noted(), SymNode.guard_int

    @functools.wraps(original)
    def noting(node: SymNode, file: str, line: int) -> int:
        where = _called_at()
        if where is not None and isinstance(noted.batch, torch.SymInt):
            noted.check(node._expr)
            noted.constants.append(Constant(node._expr, int(original(node, file, line)), where))
        return int(original(node, file, line))

    SymNode.guard_int = noting  # type: ignore[method-assign, assignment]
    try:
        yield noted
    finally:
        SymNode.guard_int = original  # type: ignore[method-assign]


@dataclass(frozen=True)
class Guard:
    """A condition on the images' shape that held at export: a branch that the model's code took.

    Attributes:
        formula: The condition, a sympy expression in the symbols of sizes.
        axes: Symbol -> the axis of the images (N, C, H, W), and the factor by which its size is
            divided.
        line: Line at which the code branches, for example `nets.py:12`.
    """

    formula: Any
    axes: Mapping[Any, tuple[int, int]]
    line: str

    def holds(self, shape: Sequence[int]) -> bool:
        """Whether images of this shape take the same branch."""
        sizes = {symbol: shape[axis] // factor for symbol, (axis, factor) in self.axes.items()}
        answer = self.formula.subs(sizes)
        return bool(answer != False)  # noqa: E712  an undecided formula passes


def guards_of(sizes: Sequence[Any], constants: Sequence[Constant] = ()) -> tuple[Guard, ...]:
    """The guards that a model's own code left in an export.

    Guards of torch's own code are left out: torch checks them anew when an operation runs.

    Args:
        sizes: The images' shape as export holds it, with `SymInt`s.
        constants: Sizes that became plain numbers meanwhile.
    """
    symbolic, found = _symbolic(sizes), []
    axes = {}
    for axis, size in symbolic.items():  # 16*s0, where sides are multiples of 16
        factor, symbol = size._expr.as_coeff_Mul()
        axes[symbol] = axis, int(factor)
    for guard in next((size.shape_env.guards for size in symbolic.values()), ()):
        place = guard.sloc.framework_loc
        if place is not None and not isinstance(place, str) and is_model_code(place.filename):
            line = f"{Path(place.filename).name}:{place.lineno}"
            found.append(Guard(guard.expr, axes, line))
    found += [
        Guard(sympy.Eq(size.formula, size.number), axes, size.line)
        for size in constants
        if not size.formula.free_symbols.isdisjoint(axes)
    ]
    return tuple(found)


def _symbolic(sizes: Sequence[Any]) -> dict[int, Any]:
    """Axis -> size, of those that are not fixed."""
    return {axis: size.node for axis, size in enumerate(sizes) if isinstance(size, torch.SymInt)}


def is_model_code(file: str) -> bool:
    """Whether a file is the model's code, and neither torch's nor the engine's, which calls it."""
    return not file.startswith((_TORCH, _ENGINE))
