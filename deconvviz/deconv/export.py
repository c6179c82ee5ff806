"""A model as a tape, by `torch.export`.

Export turns modules, functions, methods and in-place spellings into the same ATen operations.
"""

import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.export import Dim, ExportedProgram, export
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode
from torch.nn.parameter import is_lazy

from deconvviz.deconv.attributes import Key, attributes_of
from deconvviz.deconv.copies import evaluation_copy
from deconvviz.deconv.graph import as_tape, line_of
from deconvviz.deconv.guards import FormulaLimit, constants_noted
from deconvviz.deconv.tape import Tape, named_weights, weight_of
from deconvviz.errors import TraceError

# Export patches torch in the whole process: two at once corrupt each other. A forward pass of the
# same model meanwhile would too, which is why a copy is exported.
_LOCK = threading.Lock()

_LOGGERS = ("torch.fx.experimental.symbolic_shapes", "torch._subclasses.fake_tensor")

# Images in the traced batch: not one, which export takes for a constant, and no number of heads or
# groups that a network might have, so that an axis of this length is the batch.
_BATCH = 13


def trace(model: nn.Module, input_size: tuple[int, int, int]) -> Tape:
    """Export a model in evaluation form.

    The model is left alone: a copy is exported that shares the parameters. Its hooks are a part of
    it. The tape is for images of any size, or, where export cannot reason about sizes, as with
    TensorFlow's padding, for this size alone. What cannot be run on a tape is on it as a refused
    operation, so that all that does not depend on it can be.

    Args:
        model: Any module that maps images (N, C, H, W) to tensors.
        input_size: Channels, height and width of images.

    Raises:
        TraceError: `input_size` is no size, `torch.export` cannot follow the model, or the model
            treats batches of different length differently.
    """
    if len(input_size) != 3 or not all(isinstance(n, int) and n > 0 for n in input_size):
        raise TraceError(
            f"input_size must be the channels, height and width of images, got {input_size}"
        )
    _check_model(model)
    images = weight_of(model).new_zeros(_BATCH, *input_size)
    copied = evaluation_copy(model)
    changing: set[Key] = set()
    copied.forward = _called_plainly(copied, changing)
    with _LOCK, _silenced(), torch.no_grad(), constants_noted() as constants:
        try:
            program, fixed_size = _export(copied, images)
        except Exception as error:  # export raises whatever the model's own forward raises
            # Export's own words for it have sizes as symbols.
            own = None if isinstance(error, TraceError) else _own_error(copied, images)
            reason = own or _first_line(error)
            raise TraceError(
                f"cannot trace {type(model).__name__} at images of {input_size}: {reason}"
            ) from error
    return as_tape(program, model, input_size, _BATCH, fixed_size, constants, changing)


def unwrapped(model: nn.Module) -> nn.Module:
    """The model in `DataParallel` or `torch.compile`, which compute the same."""
    # Imported by whoever compiles a model, and slowly.
    compiled = getattr(sys.modules.get("torch._dynamo"), "OptimizedModule", ())
    while isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        model = model.module
    if isinstance(model, compiled):
        return unwrapped(model._orig_mod)
    return model


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
        if any(map(_is_quantised, module.__dict__.values())) or _is_quantised(module.state_dict()):
            raise TraceError(f"{place} is quantised; trace the network in floating point")
    for name, weight in named_weights(model).items():
        if is_lazy(weight):
            raise TraceError(f"`{name}` has no shape yet; run the model on images once")


def _is_quantised(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_is_quantised, value.values()))
    if isinstance(value, tuple):
        return any(map(_is_quantised, value))
    return isinstance(value, torch.ScriptObject) or (
        isinstance(value, Tensor) and value.is_quantized
    )


def _own_error(copied: nn.Module, images: Tensor) -> str | None:
    """The error that the model itself raises on images of this shape, none of them computed."""
    entered: list[tuple[str, nn.Module]] = []
    for path, module in copied.named_modules():
        module.register_forward_pre_hook(lambda *_, one=(path, module): entered.append(one))
        module.register_forward_hook(lambda *_: bool(entered.pop()) and None)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        try:
            copied(mode.from_tensor(images))
        except Exception as error:  # noqa: BLE001  whatever the forward pass raises
            path, module = entered[-1]
            axes = len(getattr(module, "kernel_size", (0, 0))) if _is_convolution(module) else 2
            if axes != 2:
                return f"`{path}` convolves {axes} axes, but images have 2"
            place = f" in `{path}`" if path else ""
            return f"{_first_line(error)}{place}"
    return None


def _is_convolution(module: nn.Module) -> bool:
    return isinstance(module, nn.modules.conv._ConvNd)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _differences(before: Mapping[Key, Any], after: Mapping[Key, Any]) -> set[Key]:
    """The attributes that are not the same, or are in one of the two alone."""
    keys = before.keys() | after.keys()
    return {key for key in keys if before.get(key, keys) != after.get(key, keys)}


def _export(copied: nn.Module, images: Tensor) -> tuple[ExportedProgram, bool]:
    """The exported model, and whether it is for images of this size alone."""
    batch = {0: Dim.AUTO}
    free = batch | {2: Dim.AUTO, 3: Dim.AUTO}
    try:
        with FormulaLimit():
            return export(copied, (images,), dynamic_shapes=(free,), strict=False), False
    except TraceError:
        raise
    except Exception:  # noqa: BLE001  what fails at a fixed size too is raised by this one
        return export(copied, (images,), dynamic_shapes=(batch,), strict=False), True


def _called_plainly(copied: nn.Module, changing: set[Key]) -> Callable[[Tensor], list[Tensor]]:
    """A forward pass of the images alone that gives its tensors alone, however they are held.

    It names the line where the model branches on the images' values, and puts the attributes that
    it changes itself into `changing`.
    """
    forward = copied.forward

    def run(images: Tensor) -> list[Tensor]:
        before = attributes_of(copied)
        try:
            outputs = list(_tensors(forward(images)))
            changing.update(_differences(before, attributes_of(copied)))
            return outputs
        except GuardOnDataDependentSymNode as error:
            line = line_of("".join(traceback.format_tb(error.__traceback__)))
            raise TraceError(
                f"it reads numbers out of the images or weights to decide what to do, at {line}"
            ) from error

    return run


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
