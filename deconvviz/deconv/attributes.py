"""Attributes: everything that a model holds besides weights and submodules.

Numbers, hooks, methods and the like are constants to `torch.export`. A tape is right as long as
they are what they were when it was traced, so they are compared at every recording. So are the
global variables that the model's code reads, where they are numbers, words or tensors.
"""

import functools
import types
from collections.abc import Iterator, Mapping, Sequence, Set
from enum import Enum
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_modules

from deconvviz.deconv.copies import is_of_torch

Key = tuple[str, str]
"""Path of a module, or name of a class, and name of the attribute."""

# torch's own attributes of every module, and the mark that `torch.compile` leaves.
_OWN = frozenset(vars(nn.Module())) | {"_is_torch_compile", "_compiled_call_impl"}
_HOOKS = ("_forward_pre_hooks", "_forward_hooks")
_LONGEST = 10_000  # entries of a container; a longer one is data, of which the length is compared
_NUMBERS = 64  # in a tensor from which a model may read numbers
_ATOMS = (bool, int, float, complex, str, bytes, range, slice, Enum, type, types.CodeType)


def attributes_of(
    model: nn.Module, read: Set[str] | None = None, used: Set[str] | None = None
) -> dict[Key, Any]:
    """Every attribute as something that can be compared, between models too.

    Args:
        model: A model.
        read: Names of the tensors that are read anew whenever a tape runs; of those the shape
            alone is compared. None: of all.
        used: Paths of the modules that matter. None: all.
    """
    return _Reader(model, read, used).forms


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """Name -> tensor that the model holds in attributes, hooks or containers, but as no weight."""
    return _Reader(model, None).tensors


def _module_of(hook: Any) -> str:
    return str(getattr(hook, "__module__", ""))


def changed(before: Mapping[Key, Any], model: nn.Module, read: Set[str]) -> str | None:
    """The first attribute that is not what it was, as words; None if all are.

    An attribute that is new counts only where the class has one of that name, which it hides.
    """
    now = attributes_of(model, read)
    for key, form in before.items():
        there = now.get(key)
        if key == ("", "_modules") and there is not None:
            there = there[: len(form)]  # what comes after all others changes none of them
        if there != form:
            return _named(key)
    modules, known = dict(model.named_modules()), {path for path, _ in before}
    new = (key for key in now if key not in before and key[0] in modules and key[0] in known)
    return next((_named(key) for key in new if hasattr(type(modules[key[0]]), key[1])), None)


def _named(key: Key) -> str:
    owner, name = key
    return f"`{name}` of {f'`{owner}`' if owner else 'the model'}"


class _Reader:
    """One walk over all attributes of a model."""

    def __init__(
        self, model: nn.Module, read: Set[str] | None, used: Set[str] | None = None
    ) -> None:
        self.forms: dict[Key, Any] = {}
        self.tensors: dict[str, Tensor] = {}
        self._read = read
        self._seen: dict[int, tuple[int, Any]] = {}  # of one attribute: id -> place, value
        modules = dict(model.named_modules())
        self._registered = set(map(id, modules.values()))
        self._weights = {
            id(tensor)
            for module in modules.values()
            for tensor in (*module._parameters.values(), *module._buffers.values())
        }
        classes: dict[type, None] = {}
        for path, module in modules.items():
            if used is not None and path not in used:
                continue
            self._module(path, module)
            classes |= dict.fromkeys(type(module).__mro__)
        for cls in classes:
            name = _name(cls)
            if cls is not object and cls.__module__.partition(".")[0] != torch.__name__:
                self.forms |= {(name, key): self._whole(held, name) for key, held in _members(cls)}
        for hooks in ("_global_forward_pre_hooks", "_global_forward_hooks"):
            # Torch's own, as of a counter of operations in another thread, change no value.
            every = getattr(torch_modules, hooks).copy().values()
            held = [one for one in every if not _module_of(one).startswith("torch.utils.")]
            self.forms["torch.nn", hooks] = self._whole(held, hooks)

    def _module(self, path: str, module: nn.Module) -> None:
        held = vars(module)
        prefix = f"{path}." if path else ""
        for name, value in held.items():
            if name not in _OWN:
                self.forms[path, name] = self._whole(value, prefix + name)
        for name in _HOOKS:
            hooks = [*held[name].values()]
            # Apart, because what a hook holds may change with every pass, as the hook does not.
            self.forms[path, name] = [_code_of(hook) for hook in hooks]
            self.forms[path, f"state of {name}"] = hooks and self._whole(hooks, prefix + name)
        # Of other modules the code names its children, which are compared themselves.
        iterated = isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict)
        for name in ("_parameters", "_buffers"):
            self.forms[path, name] = {key for key, value in held[name].items() if value is not None}
        if iterated:
            self.forms[path, "_modules"] = list(held["_modules"])
        else:
            self.forms[path, "__class__"] = _name(type(module))

    def _whole(self, value: Any, name: str) -> Any:
        if self._seen:
            self._seen = {}
        return self._form(value, name)

    def _form(self, value: Any, name: str) -> Any:
        """A value as something that is equal for equal values."""
        if value is None or isinstance(value, _ATOMS):
            return _atom(value)
        if isinstance(value, Tensor):
            return self._tensor(value, name)
        if id(value) in self._registered:
            return _name(type(value))
        if id(value) in self._seen:
            return "seen", self._seen[id(value)][0]
        self._seen[id(value)] = len(self._seen), value
        return _name(type(value)), *self._parts(value, name)

    def _parts(self, value: Any, name: str) -> Iterator[Any]:
        match value:
            case types.FunctionType():
                yield value.__code__
                cells = [cell for cell in value.__closure__ or () if _is_bound(cell)]
                yield self._form([cell.cell_contents for cell in cells], name)
                yield self._form([value.__defaults__, value.__kwdefaults__], f"{name}()")
                for key, held in _globals_of(value):
                    yield key, self._form(held, f"{name}.{key}")
            case types.MethodType():
                yield self._form(value.__func__, name)
                yield self._form(value.__self__, f"{name}.__self__")
            case types.BuiltinMethodType():
                yield value.__name__
            case functools.partial():
                yield self._form([value.func, value.args, value.keywords], name)
            case staticmethod() | classmethod():
                yield self._form(value.__func__, name)
            case property():
                yield self._form([value.fget], name)
            case Mapping() | Sequence() | Set() if len(value) > _LONGEST:
                yield len(value)
            case Mapping():
                yield [(str(key), self._form(value[key], f"{name}[{key}]")) for key in value]
            case Sequence():
                yield [self._form(held, f"{name}[{place}]") for place, held in enumerate(value)]
            case Set():
                yield sorted(map(str, value))
            case nn.Module():
                yield from self._parts({**vars(value), "training": None}, name)
            case _:
                if hasattr(value, "tobytes"):  # an array of numpy
                    yield str(value.shape), value.tobytes()
                elif hasattr(value, "__dict__") and not is_of_torch(value):
                    for key, held in vars(value).items():
                        yield key, self._form(held, f"{name}.{key}")

    def _tensor(self, tensor: Tensor, name: str) -> Any:
        if id(tensor) in self._weights:
            return "weight"
        self.tensors.setdefault(name, tensor)
        shape = tuple(map(str, tensor.shape))
        if self._read is None or name in self._read or tensor.numel() > _NUMBERS or tensor.is_meta:
            return shape
        return shape, tensor.tolist()


def _code_of(function: Any) -> Any:
    """The code that a function, a method or a partial function runs; else the name of its class."""
    while isinstance(function, types.MethodType | functools.partial):
        method = isinstance(function, types.MethodType)
        function = getattr(function, "__func__" if method else "func")
    return getattr(function, "__code__", _name(type(function)))


def _globals_of(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """The numbers, words and tensors among the global variables that a function reads."""
    codes, names = [function.__code__], dict[str, None]()
    for code in codes:
        codes += [inner for inner in code.co_consts if isinstance(inner, types.CodeType)]
        names |= dict.fromkeys(code.co_names)
    for name in names:
        held = function.__globals__.get(name)
        if isinstance(held, Tensor | bool | int | float | complex | str):
            yield name, held


def _members(cls: type) -> Iterator[tuple[str, Any]]:
    """What a class's own body defines."""
    skipped = ("__doc__", "__dict__", "__weakref__", "__annotations__", "__abstractmethods__")
    return ((key, held) for key, held in vars(cls).items() if key not in skipped)


def _atom(value: Any) -> Any:
    return _name(value) if isinstance(value, type) else (type(value), repr(value))


def _name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _is_bound(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False
