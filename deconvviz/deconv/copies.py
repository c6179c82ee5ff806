"""A copy of a model to trace: it shares the tensors, and nothing else that its code might change.

`copy.deepcopy` copies all that can be copied and fails at the first thing that cannot: a lock, an
activation kept from a forward pass. Functions it shares, so that a hook, or a forward pass that
wraps another, would work on the model that is not to be touched.
"""

import copy
import functools
import sys
import types
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence
from typing import Any, cast

import torch
from torch import Tensor, nn


def evaluation_copy(
    model: nn.Module, hold: Callable[[Tensor], Tensor] = lambda tensor: tensor
) -> nn.Module:
    """A copy in evaluation mode, with its hooks, which work on copies of what they hold.

    Args:
        model: The model, which is not changed.
        hold: Each tensor of the model -> the tensor that the copy has; by default the same one.
    """
    copied = cast(nn.Module, _Copies(hold).of(model))
    for module in copied.modules():
        vars(module).update(_backward_hooks={}, _backward_pre_hooks={}, _compiled_call_impl=None)
    return copied.eval()


def unwrapped(model: nn.Module) -> nn.Module:
    """The model in `DataParallel` or `torch.compile`, which compute the same."""
    # Imported by whoever compiles a model, and slowly.
    compiled = getattr(sys.modules.get("torch._dynamo"), "OptimizedModule", ())
    while isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        model = model.module
    if isinstance(model, compiled):
        return unwrapped(model._orig_mod)
    return model


def is_of_torch(value: object) -> bool:
    """Whether a value's class is torch's own."""
    return type(value).__module__.partition(".")[0] == torch.__name__


class _Copies:
    """Copies of values that refer to each other as the originals do."""

    def __init__(self, hold: Callable[[Tensor], Tensor]) -> None:
        self._hold = hold
        self._made: dict[int, Any] = {}
        self._originals: list[Any] = []  # alive, so that no other value gets the id of one

    def of(self, value: Any) -> Any:
        if id(value) not in self._made:
            self._originals.append(value)
            self._made[id(value)] = value  # what cannot be copied, or is being copied, is shared
            self._made[id(value)] = self._copy(value)
        return self._made[id(value)]

    def _copy(self, value: Any) -> Any:
        match value:
            case nn.Module():
                return self._filled(value, object.__new__(type(value)))
            case Tensor():
                return self._hold(value)
            case type() | types.ModuleType() | str() | bytes():
                return value
            case types.FunctionType():
                return self._function(value)
            case types.MethodType():
                return types.MethodType(self.of(value.__func__), self.of(value.__self__))
            case types.BuiltinMethodType() if isinstance(value.__self__, list | dict | set):
                return getattr(self.of(value.__self__), value.__name__)  # `seen.append`
            case functools.partial():
                keywords = {name: self.of(held) for name, held in value.keywords.items()}
                return functools.partial(self.of(value.func), *self._all(value.args), **keywords)
            case tuple():
                held = self._all(value)
                return value._make(held) if hasattr(value, "_make") else type(value)(held)
        return value if is_of_torch(value) else self._other(value)

    def _all(self, values: Any) -> list[Any]:
        return [self.of(held) for held in values]

    def _other(self, value: Any) -> Any:
        """A container or any other object, or the same one where it cannot be copied."""
        try:
            copied = copy.copy(value)
        except Exception:  # noqa: BLE001  a class may raise anything, or do without pickling
            return value
        return value if copied is value else self._filled(value, copied)

    def _filled(self, value: Any, copied: Any) -> Any:
        """A shallow copy, with copies of what the original holds."""
        self._made[id(value)] = copied
        if isinstance(copied, MutableMapping | MutableSequence) and not isinstance(
            copied, nn.Module | bytearray
        ):
            places = list(copied) if isinstance(copied, Mapping) else range(len(copied))
            for place in places:
                copied[place] = self.of(copied[place])
        if hasattr(value, "__dict__"):
            vars(copied).update({name: self.of(held) for name, held in vars(value).items()})
        return copied

    def _function(self, function: types.FunctionType) -> types.FunctionType:
        """The same code over copies of what it closes over."""
        if function.__closure__ is None:
            return function
        cells = tuple(types.CellType() for _ in function.__closure__)
        copied = types.FunctionType(
            function.__code__, function.__globals__, function.__name__, None, cells
        )
        self._made[id(function)] = copied
        copied.__defaults__ = self.of(function.__defaults__)
        copied.__kwdefaults__ = self.of(function.__kwdefaults__)
        copied.__dict__.update(self.of(function.__dict__))
        for cell, held in zip(cells, function.__closure__, strict=True):
            try:
                cell.cell_contents = self.of(held.cell_contents)
            except ValueError:  # a name that is not bound yet
                continue
        return copied
