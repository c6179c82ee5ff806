"""A model as a tape, by `torch.export`.

Export turns modules, functions, methods and in-place spellings into the same ATen operations.
"""

import logging
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from traceback import format_tb
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, export
from torch.fx.experimental.proxy_tensor import get_proxy_mode, get_proxy_slot
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode
from torch.nn.parameter import is_lazy

from deconvviz.deconv.attributes import Key, attributes_of
from deconvviz.deconv.copies import evaluation_copy
from deconvviz.deconv.graph import Exported, as_tape, line_of
from deconvviz.deconv.guards import FormulaLimit, Noted, constants_noted
from deconvviz.deconv.sizes import SizesRead, takes_no_size
from deconvviz.deconv.tape import Tape, named_weights, weight_of
from deconvviz.errors import TraceError

# Export patches torch in the whole process: two at once corrupt each other. A forward pass of the
# same model meanwhile would too, which is why a copy is exported.
_LOCK = threading.Lock()

Axes = dict[int, Any]
"""Axes of which the size is free."""

_LOGGERS = ("torch.fx.experimental.symbolic_shapes", "torch._subclasses.fake_tensor")

# Images in the traced batch: not one, which export takes for a constant, and no number of heads or
# groups that a network might have, so that an axis of this length is the batch.
_BATCH = 13

# Sides of which export may be asked to think as multiples: those of networks that halve the side
# four or five times and need each half to be whole.
_MULTIPLES = (16, 32)
_MOST = 1024  # times the multiple, of a side


def trace(model: nn.Module, input_size: tuple[int, int, int]) -> Tape:
    """Export a model in evaluation form.

    The model is left alone: a copy is exported that shares the parameters. Its hooks are a part of
    it. The tape is for images of any size; where export cannot reason about all of them, as with
    maps of two resolutions side by side, for sides that are multiples of 16 or 32; or, as with
    TensorFlow's padding, for this size alone. What cannot be run on a tape is on it as a refused
    operation, so that all that does not depend on it can be. What comes after the first
    thing that export cannot follow is one such operation.

    Args:
        model: Any module that maps images (N, C, H, W) to tensors.
        input_size: Channels, height and width of images.

    Raises:
        TraceError: `input_size` is no size, or `torch.export` cannot follow the model at all.
    """
    if len(input_size) != 3 or not all(isinstance(n, int) and n > 0 for n in input_size):
        raise TraceError(
            f"input_size must be the channels, height and width of images, got {input_size}"
        )
    _check_model(model)
    images = weight_of(model).new_zeros(_BATCH, *input_size)
    with _LOCK, _silenced(), torch.no_grad():
        try:
            exported = _export(model, images)
        except Exception as error:  # export raises whatever the model's own forward raises
            try:
                reason = _own_error(model, images[:2])
                if reason is None:
                    exported = _export(model, images, as_far=True)
            except Exception as end:  # noqa: BLE001  as above
                reason = _first_line(end)
            if reason is not None:
                raise TraceError(
                    f"cannot trace {type(model).__name__} at images of {input_size}: {reason}"
                ) from error
    return as_tape(exported, model, input_size, _BATCH)


def _check_model(model: nn.Module) -> None:
    """Refuse models that export cannot take, in plain words.

    Raises:
        TraceError: It is such a model.
    """
    if not isinstance(model, nn.Module):
        raise TraceError(f"a model must be a torch.nn.Module, got {type(model).__name__}")
    for path, module in model.named_modules():
        place = f"`{path}`" if path else "the model"
        if isinstance(module, torch.jit.ScriptModule):
            raise TraceError(
                f"{place} is TorchScript, without Python code to trace; load its class"
            )
        packed = any(isinstance(held, torch.ScriptObject) for held in vars(module).values())
        if packed and _is_quantised(module.state_dict()):
            raise TraceError(f"{place} is quantised; trace the network in floating point")
    for name, weight in named_weights(model).items():
        if is_lazy(weight):
            raise TraceError(f"`{name}` has no shape yet; run the model on images once")


def _is_quantised(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_is_quantised, value.values()))
    if isinstance(value, tuple):
        return any(map(_is_quantised, value))
    return isinstance(value, Tensor) and value.is_quantized


def _own_error(model: nn.Module, images: Tensor) -> str | None:
    """The error that the model itself raises on these images; None if it takes them.

    Export's own words for it have sizes as symbols.
    """
    copied, entered = evaluation_copy(model), list[tuple[str, nn.Module]]()
    for one in copied.named_modules():
        one[1].register_forward_pre_hook(lambda *_, one=one: entered.append(one))
        one[1].register_forward_hook(lambda *_: entered.pop() and None)
    try:
        copied(images)
    except Exception as error:  # noqa: BLE001  whatever the forward pass raises
        path, module = entered[-1]
        axes = len(module.kernel_size) if isinstance(module, nn.modules.conv._ConvNd) else 2
        if axes != 2:
            return f"`{path}` convolves {axes} axes, but images have 2"
        return _first_line(error) + (f", in `{path}`" if path else "")
    return None


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _differences(before: Mapping[Key, Any], after: Mapping[Key, Any]) -> set[Key]:
    """The attributes that are not the same, or are in one of the two alone."""
    keys = before.keys() | after.keys()
    return {key for key in keys if before.get(key, keys) != after.get(key, keys)}


def _export(model: nn.Module, images: Tensor, as_far: bool = False) -> Exported:
    """The model as a graph, for images of any size or, failing that, of multiples or this one.

    Args:
        model: The model, of which copies are exported.
        images: A batch of the traced size.
        as_far: Whether to export the part before the first thing that export cannot follow.
    """
    batch = {0: Dim.AUTO}
    if not as_far and (plain := _export_without_sizes(model, images)) is not None:
        return plain
    for multiple in (1, *_MULTIPLES):
        if sides := _free_sides(images, multiple):
            try:
                with FormulaLimit():
                    return _export_copy(model, images, batch | sides, as_far, multiple)
            except OverflowError:  # formulas that are too long are so for multiples, too
                break
            except Exception:  # noqa: BLE001, S112  what fails at a fixed size too is raised below
                continue
    return _export_copy(model, images, batch, as_far)


def _free_sides(images: Tensor, multiple: int) -> Axes:
    """Height and width as export is to think of them; empty if the images are no such multiples."""
    if multiple == 1:
        return {2: Dim.AUTO, 3: Dim.AUTO}
    if any(side % multiple or side <= multiple for side in images.shape[2:]):
        return {}
    return {
        axis: multiple * Dim(f"of_{name}", min=1, max=_MOST)
        for axis, name in ((2, "height"), (3, "width"))
    }


def _export_without_sizes(model: nn.Module, images: Tensor) -> Exported | None:
    """The model as a graph for images of any size, if none has a part in it; else None."""
    sizes = SizesRead()
    try:
        exported = _export_copy(model, images, {}, as_far=False, watch=sizes)
    except Exception:  # noqa: BLE001  what fails with free sizes too is raised there
        return None
    read = sizes.any or not takes_no_size(exported.program.graph)
    return None if read else exported


def _export_copy(
    model: nn.Module,
    images: Tensor,
    free: Axes,
    as_far: bool,
    multiple: int = 1,
    watch: AbstractContextManager[Any] | None = None,
) -> Exported:
    copied, changing, ends = evaluation_copy(model), set[Key](), list[tuple[str, str]]()
    called, returned = set[str](), dict[Any, dict[str, Any]]()
    with constants_noted() as noted:
        for path, module in copied.named_modules():
            module.register_forward_pre_hook(_Closed(lambda *_, path=path: called.add(path)))
            module.register_forward_hook(_Closed(_noting(path, returned)))
        copied.forward = _called_plainly(
            copied, changing, noted, ends if as_far else None, watch or nullcontext()
        )
        program = export(copied, (images,), dynamic_shapes=(free,), strict=False)
    end = ends[0] if ends else None
    return Exported(
        program, len(free) == 1, multiple, noted.constants, called, returned, changing, end
    )


class _Closed:
    """A hook that a walk over attributes does not look into.

    What all hooks note together grows with every call, and would be walked once for each.
    """

    __slots__ = ("_hook",)

    def __init__(self, hook: Callable[..., None]) -> None:
        self._hook = hook

    def __call__(self, *given: Any) -> None:
        self._hook(*given)


def _called_plainly(
    copied: nn.Module,
    changing: set[Key],
    noted: Noted,
    ends: list[tuple[str, str]] | None,
    watch: AbstractContextManager[Any],
) -> Callable[[Tensor], list[Tensor]]:
    """A forward pass of the images alone that gives its tensors alone, however they are held.

    Args:
        copied: The model.
        changing: Gets the keys of the attributes that the pass changes itself.
        noted: Gets the number of images, which the model's code may not need as a plain number.
        ends: Gets the reason and the line where the pass fails, if it does; it then gives the
            outputs of the modules that were done. None: it fails.
        watch: The pass runs in it, and nothing else.
    """
    forward, done = copied.forward, list[Tensor]()
    for module in copied.modules() if ends is not None else ():
        module.register_forward_hook(_Closed(lambda _m, _i, out: done.extend(_tensors(out))))

    def run(images: Tensor) -> list[Tensor]:
        before, entered = attributes_of(copied), _entered_modules()
        depth = len(entered)
        done.clear()
        noted.batch = images.shape[0]
        try:
            with watch:
                output = forward(images)
            return list(_tensors(output))
        except OverflowError:
            raise
        except Exception as error:
            reason, line = _first_line(error), line_of("".join(format_tb(error.__traceback__)))
            if isinstance(error, GuardOnDataDependentSymNode):
                reason = "it reads numbers out of the images or weights to decide what to do"
            if ends is None or not done:
                raise TraceError(reason + (f", at {line}" if line else "")) from error
            while len(entered) > depth:  # which export leaves only where nothing fails
                entered.popitem()
            ends.append((reason, line))
            return list(done)
        finally:
            changing.update(_differences(before, attributes_of(copied)))

    return run


def _noting(path: str, returned: dict[Any, dict[str, Any]]) -> Callable[..., None]:
    """A hook that notes the nodes of the graph whose values a module returns."""

    def note(_module: nn.Module, _inputs: Any, value: Any) -> None:
        for node in _nodes(value):
            returned.setdefault(node, {})[path] = next(iter(reversed(node.graph.nodes)))

    return note


def _nodes(value: Any) -> Iterator[Any]:
    """The nodes of the graph that is being made, of which these are the values."""
    mode: Any = get_proxy_mode()
    for tensor in _tensors(value) if mode is not None else ():
        slot = get_proxy_slot(tensor, mode.tracer, default=None)
        if slot is not None:
            yield slot.proxy.node


def _entered_modules() -> dict[str, Any]:
    """Export's own list of the modules that are being called."""
    mode: Any = get_proxy_mode()
    entered: dict[str, Any] = getattr(getattr(mode, "tracer", None), "module_stack", {})
    return entered


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in what a model returns: itself, or in containers and objects."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from _tensors(list(value.values()))
    elif isinstance(value, list | tuple | set):
        for held in value:
            yield from _tensors(held)
    elif hasattr(value, "__dict__") and not isinstance(value, type | nn.Module):
        yield from _tensors(list(vars(value).values()))


@contextmanager
def _silenced() -> Iterator[None]:
    """Silence export's loggers and warnings: what matters is raised as an exception."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The tensor attribute", UserWarning)
            yield
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled
