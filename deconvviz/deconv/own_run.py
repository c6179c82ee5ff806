"""A model's own forward pass, observed: the values that the tape and its projections are held to.

A private copy runs in evaluation form, by torch alone. Nothing of the engine takes part.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from typing_extensions import override

from deconvviz.deconv.copies import evaluation_copy
from deconvviz.deconv.tape import Tape, kind_of, weight_of

See = Callable[[frozenset[str], Tensor], None]
"""Is shown a tensor and the paths of the module that returned it; a function has no paths."""


_FLOOR = 1e-3  # a map that is constant but for rounding is not held to its own tiny values


class DrawError(Exception):
    """A model draws random numbers, so that its values cannot be compared. Nothing was drawn."""


class _Watch(TorchDispatchMode):
    """A mode that is never compiled, so that torch need not import its compiler to say so."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own has no types

    @classmethod
    def _should_skip_dynamo(cls) -> bool:  # torch's own name; the import takes two seconds
        return False


class NoDraws(_Watch):  # type: ignore[no-untyped-call]  # torch's own has no types
    """Ends a forward pass with `DrawError` before it draws from torch's generators."""

    @override
    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if torch.Tag.nondeterministic_seeded in func.tags and _draws(func, args, kwargs or {}):
            raise DrawError(kind_of(func))
        return func(*args, **(kwargs or {}))


class EveryValue(_Watch):  # type: ignore[no-untyped-call]
    """Shows every tensor that torch computes, in place or not, below its composite functions."""

    def __init__(self, see: Callable[[Tensor], None]) -> None:
        super().__init__()
        self.see = see

    @override
    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        value = func(*args, **(kwargs or {}))
        for tensor in tensors_in(value):
            self.see(tensor)
        return value


class _EveryCall(TorchFunctionMode):
    """Shows what every torch function and method returns, as the model's own code calls it."""

    def __init__(self, see: See) -> None:
        super().__init__()
        self.see = see

    @override
    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        value = func(*args, **(kwargs or {}))
        for tensor in tensors_in(value):
            self.see(frozenset(), tensor)
        return value


def modules_of(tape: Tape, names: Mapping[str, str]) -> dict[str, str]:
    """Layer name -> path of the module whose output it is; without activations that are none."""
    calls = {op.name: {path for _, path in op.calls} for op in tape.operations}
    paths = {layer: re.sub(r"@\d+$", "", layer) for layer in names}  # without the call's number
    return {layer: path for layer, path in paths.items() if path in calls[names[layer]]}


def sharing_copy(model: nn.Module) -> nn.Module:
    """A copy to run: it shares the parameters; buffers, which a pass may write, are its own."""
    return evaluation_copy(
        model, lambda t: t if isinstance(t, nn.Parameter) else t.detach().clone()
    )


def copy_in(model: nn.Module, dtype: torch.dtype, device: torch.device | None = None) -> nn.Module:
    """A copy that shares nothing, in another dtype, and on another device if given."""

    def hold(tensor: Tensor) -> Tensor:
        kind = dtype if tensor.is_floating_point() else tensor.dtype
        copied = tensor.detach().to(device or tensor.device, kind, copy=True)
        if isinstance(tensor, nn.Parameter):
            return nn.Parameter(copied, requires_grad=False)
        return copied

    return evaluation_copy(model, hold)


def random_images(model: nn.Module, size: tuple[int, int, int], seed: int = 0) -> Tensor:
    """One picture (1, C, H, W) of noise, in the model's dtype and on its device.

    torch's own generators are left alone.
    """
    noise = torch.randn(1, *size, generator=torch.Generator().manual_seed(seed))
    return noise.to(weight_of(model))


def run_watched(copied: nn.Module, images: Tensor, see: See, *, functions: bool = False) -> Any:
    """Run a private copy once and show every module's outputs as soon as they are known.

    A tensor is shown before any later in-place operation; who keeps it makes a copy.

    Args:
        copied: A private copy; it gets hooks.
        images: (N, C, H, W).
        see: Is shown each output and the paths of its module.
        functions: Whether to show what torch's functions and methods return too.

    Returns:
        The model's own output.

    Raises:
        DrawError: The model draws random numbers; its message names the operation and the module.
    """
    paths: dict[nn.Module, set[str]] = {}
    for path, module in copied.named_modules(remove_duplicate=False):
        paths.setdefault(module, set()).add(path)
    running: list[str] = []
    with ExitStack() as stack:
        for module, names in paths.items():
            watched = _watched(module, frozenset(names), running, see)
            for handle in watched:
                stack.callback(handle.remove)
        if functions:
            stack.enter_context(_EveryCall(see))
        stack.enter_context(NoDraws())
        try:
            return copied(images)
        except DrawError as error:
            place = f"`{running[-1]}`" if running and running[-1] else "the model"
            raise DrawError(f"{error} in {place}") from error


def _watched(module: nn.Module, paths: frozenset[str], running: list[str], see: See) -> list[Any]:
    name = min(paths)

    def before(_module: nn.Module, _inputs: Any) -> None:
        running.append(name)

    def after(_module: nn.Module, _inputs: Any, output: Any) -> None:
        running.pop()
        for tensor in tensors_in(output):
            see(paths, tensor)

    first = module.register_forward_pre_hook(before, prepend=True)
    return [first, module.register_forward_hook(after)]


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The floating-point tensors in an output: one, or those in tuples, lists and dicts."""
    for leaf in (value,) if isinstance(value, Tensor) else tree_leaves(value):
        if isinstance(leaf, Tensor) and leaf.is_floating_point():
            yield leaf


def difference(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference, relative to the largest value; inf where shapes or NaNs differ.

    Maps of the tape are channels first; the model's may be channels last. What is zero but for
    rounding counts as zero.
    """
    ours, theirs = ours.detach(), theirs.detach()
    if theirs.shape == ours.shape[1:] and ours.shape[:1] == (1,):
        theirs = theirs[None]  # the model has squeezed the one picture's axis away
    direct = _difference(ours, theirs) if ours.shape == theirs.shape else torch.inf
    if direct and theirs.dim() == 4 and ours.shape == theirs.movedim(-1, 1).shape:
        return min(direct, _difference(ours, theirs.movedim(-1, 1)))
    return direct


def _difference(ours: Tensor, theirs: Tensor) -> float:
    if not theirs.numel():
        return 0.0
    apart, largest = float((ours - theirs).abs().max()), float(theirs.abs().max())
    if not (math.isfinite(apart) and math.isfinite(largest)):
        same = (ours == theirs) | (ours.isnan() & theirs.isnan())  # infinities too
        apart = float((ours - theirs).abs().masked_fill(same, 0).max())
        largest = float(torch.where(theirs.isfinite(), theirs, 0).abs().max())
    return torch.inf if math.isnan(apart) else apart / max(largest, _FLOOR)


def _draws(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call draws numbers: dropout in evaluation form and without a share does not."""
    given = {argument.name: argument.default_value for argument in func._schema.arguments}
    given |= dict(zip(given, args, strict=False)) | kwargs
    idle = given.get("train") is False or given.get("training") is False
    return not idle and given.get("dropout_p") != 0
