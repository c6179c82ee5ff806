"""A model as a tape, by `torch.export`.

Export turns modules, functions, methods and in-place spellings into the same ATen operations.
"""

import copy
import functools
import logging
import re
import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import Dim, ExportedProgram, export
from torch.export.graph_signature import InputKind
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from deconvviz.deconv.guards import FormulaLimit, guards_of, is_model_code
from deconvviz.deconv.tape import Operation, Ref, Tape, kind_of, refs, weight_of
from deconvviz.errors import TraceError

# Export patches torch in the whole process: two at once corrupt each other. A forward pass of the
# same model meanwhile would too, which is why a copy is exported.
_LOCK = threading.Lock()

# Export's own checks on sizes and types. They would pin the batch and the size; torch checks
# shapes anew when an operation runs, and the tape's guards hold the rest.
_CHECKS = ("_assert", "sym_constrain_range")
_WEIGHTS = (InputKind.PARAMETER, InputKind.BUFFER)
_LOGGERS = ("torch.fx.experimental.symbolic_shapes", "torch._subclasses.fake_tensor")

# Images in the traced batch: not one, which export takes for a constant, and no number of heads or
# groups that a network might have, so that an axis of this length is the batch.
_BATCH = 13

# The wrapper that export puts around a part of a model -> the model's own name for it.
_CONTEXTS = {
    "wrap_with_autocast": "torch.autocast",
    "wrap_with_set_grad_enabled": "torch.enable_grad",
}

# One frame of a stack trace, as Python writes it.
_FRAME = re.compile(r'^ *File "(.+)", line (\d+), in ', re.MULTILINE)


def trace(model: nn.Module, input_size: tuple[int, int, int]) -> Tape:
    """Export a model in evaluation form.

    The model is left alone: a copy is exported that shares the parameters and has no hooks. The
    tape is for images of any size, or, where export cannot reason about sizes, as with
    TensorFlow's padding, for this size alone.

    Args:
        model: Any module that maps images (N, C, H, W) to tensors.
        input_size: Channels, height and width of images.

    Raises:
        TraceError: `input_size` is no size, `torch.export` cannot follow the model, or the model
            writes in place into a part of another tensor.
    """
    if len(input_size) != 3 or not all(isinstance(n, int) and n > 0 for n in input_size):
        raise TraceError(
            f"input_size must be the channels, height and width of images, got {input_size}"
        )
    images = weight_of(model).new_zeros(_BATCH, *input_size)
    with _LOCK, _silenced(), torch.no_grad():
        try:
            program, fixed_size = _export(model, images)
        except Exception as error:  # export raises whatever the model's own forward raises
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise TraceError(
                f"cannot trace {type(model).__name__} at images of {input_size}: {reason}"
            ) from error
    return _as_tape(program, input_size, fixed_size)


def _export(model: nn.Module, images: Tensor) -> tuple[ExportedProgram, bool]:
    """The exported model, and whether it is for images of this size alone."""
    batch = {0: Dim.AUTO}
    free = batch | {2: Dim.AUTO, 3: Dim.AUTO}
    copied = evaluation_copy(model)
    copied.forward = _with_branch_errors(copied.forward)
    try:
        with FormulaLimit():
            return export(copied, (images,), dynamic_shapes=(free,), strict=False), False
    except TraceError:
        raise
    except Exception:  # noqa: BLE001  what fails at a fixed size too is raised by this one
        return export(copied, (images,), dynamic_shapes=(batch,), strict=False), True


def _with_branch_errors(forward: Callable[..., Any]) -> Callable[..., Any]:
    """A forward pass that names the line where it branches on the images' values."""

    @functools.wraps(forward)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return forward(*args, **kwargs)
        except GuardOnDataDependentSymNode as error:
            line = _line("".join(traceback.format_tb(error.__traceback__)))
            raise TraceError(
                f"it reads numbers out of the images to decide what to do, at {line}"
            ) from error

    return run


@contextmanager
def _silenced() -> Iterator[None]:
    """Silence export's loggers: what matters is raised as an exception."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled


def evaluation_copy(
    model: nn.Module, hold: Callable[[Tensor], Tensor] = lambda tensor: tensor
) -> nn.Module:
    """A copy in evaluation mode that has none of the user's hooks.

    Args:
        model: The model, which is not changed.
        hold: Each tensor of the model -> the tensor that the copy has; by default the same one.
    """
    memo: dict[int, Any] = {}
    for module in model.modules():
        for name, held in vars(module).items():
            if name.endswith("_hooks") and isinstance(held, dict):
                # torch.nn.utils makes weights in hooks (weight_norm): these are the model's own.
                own = {k: h for k, h in held.items() if type(h).__module__.startswith("torch.")}
                memo[id(held)] = OrderedDict(own)
            elif isinstance(held, Tensor) and id(held) not in memo:
                memo[id(held)] = hold(held)
    for tensor in (*model.parameters(), *model.buffers()):
        if id(tensor) not in memo:
            memo[id(tensor)] = hold(tensor)
    return copy.deepcopy(model, memo).eval()


def _as_tape(program: ExportedProgram, input_size: tuple[int, int, int], fixed_size: bool) -> Tape:
    specs = program.graph_signature.input_specs
    images = next(s.arg.name for s in specs if s.kind is InputKind.USER_INPUT)
    given = next(node for node in program.graph.nodes if node.name == images)
    nodes = [node for node in program.graph.nodes if node.op == "call_function"]
    nodes = [node for node in nodes if not kind_of(node.target).startswith(_CHECKS)]
    _refuse_contexts(program.graph.nodes)
    _refuse_written_views(nodes)
    nodes = [node for node in nodes if node.users]
    varying, mixed, aliases, operations = {images}, set[str](), dict[str, str](), []
    for node in nodes:
        if _is_part_of_pool(node):  # pooling's value is the map alone: its row saves the switches
            aliases[node.name] = node.all_input_nodes[0].name
            continue
        op = _operation(node, aliases, varying, mixed)
        operations.append(op)
        if op.shape is not None:
            varying.add(op.name)
            if _traced_shape(node)[:1] != (_BATCH,):
                mixed.add(op.name)
    read = {name for op in operations for name in op.reads}
    return Tape(
        operations=tuple(operations),
        input=images,
        input_shape=input_size,
        weights={
            s.arg.name: str(s.target) for s in specs if s.kind in _WEIGHTS and s.arg.name in read
        },
        constants={
            s.arg.name: program.constants[str(s.target)].detach()
            for s in specs
            if s.kind is InputKind.CONSTANT_TENSOR
        },
        fixed_size=fixed_size,
        guards=guards_of(given.meta["val"].shape),
    )


def _operation(
    node: fx.Node, aliases: Mapping[str, str], varying: set[str], mixed: set[str]
) -> Operation:
    target = _out_of_place(node.target)
    arguments = {
        name: _referring(value, aliases) for name, value in _bound(target, node.args, node.kwargs)
    }
    inputs = tuple(name for name in refs(arguments.values()) if name in varying)
    varies = bool(inputs) and isinstance(node.meta.get("val"), Tensor | list | tuple)
    shape = _traced_shape(node) if varies else ()
    stack = node.meta.get("nn_module_stack") or {}
    return Operation(
        name=node.name,
        target=target,
        arguments=arguments,
        inputs=inputs if varies else (),
        calls=tuple((key, path) for key, (path, _) in stack.items() if path),
        shape=shape[1:] if varies else None,
        line=_line(node.meta.get("stack_trace") or ""),
        batched=shape[:1] == (_BATCH,) and not mixed.intersection(inputs),
    )


def _line(stack: str) -> str:
    """The innermost line of a stack trace that is not torch's own, as `file:line`.

    Export keeps the frames of `forward` alone, so that a helper's line is its caller's.
    """
    frames = [frame for frame in _FRAME.findall(stack) if is_model_code(frame[0])]
    return f"{Path(frames[-1][0]).name}:{frames[-1][1]}" if frames else ""


def _is_part_of_pool(node: fx.Node) -> bool:
    sources = [kind_of(source.target) for source in node.all_input_nodes]
    if kind_of(node.target) != "getitem" or "max_pool2d" not in sources[0]:
        return False
    if node.args[1:] != (0,):
        raise TraceError("cannot trace a model that computes with the switches of its max pooling")
    return True


def _traced_shape(node: fx.Node) -> tuple[int, ...]:
    """The shape of a value when traced, or of the first of several."""
    value = node.meta["val"]
    return tuple(map(_traced, (value if isinstance(value, Tensor) else value[0]).shape))


def _traced(size: Any) -> int:
    """A size when traced; one that may vary carries it as a hint."""
    hint = size.node.hint if isinstance(size, torch.SymInt) else size
    if hint is None:
        raise TraceError("cannot trace a tensor whose size depends on what the images show")
    return int(hint)


def _out_of_place(target: Any) -> Any:
    """The operation that gives the same value, writes nowhere and takes any layout in memory."""
    if target is torch.ops.aten.view.default:
        return torch.ops.aten.reshape.default
    if not _writes(target):
        return target
    functional = getattr(torch.ops.aten, kind_of(target).rstrip("_"), None)
    overload = getattr(functional, target._overloadname, None)
    if overload is None:
        raise TraceError(f"cannot trace the in-place operation {kind_of(target)}; it has no other")
    return overload


def _writes(target: Any) -> bool:
    return isinstance(target, torch._ops.OpOverload) and bool(target._schema.is_mutable)


def _refuse_contexts(nodes: Iterable[fx.Node]) -> None:
    """Refuse parts of a model that export keeps as a model of their own."""
    for node in nodes:
        if node.op == "get_attr":
            kind = kind_of(next(iter(node.users)).target)
            raise TraceError(f"cannot trace a part of a model under {_CONTEXTS.get(kind, kind)}")


def _refuse_written_views(nodes: list[fx.Node]) -> None:
    """Refuse in-place writes that other tensors on the same memory would see.

    The tape runs everything out of place. That is the same only while no value from before a write
    is read after it, by the tensor itself or by a view on its memory.
    """
    memory: dict[fx.Node, fx.Node] = {}  # a view -> the tensor that owns its memory
    stale: dict[fx.Node, set[fx.Node]] = {}  # owner -> values on its memory, from before a write
    for node in nodes:
        source = node.args[0] if node.args and isinstance(node.args[0], fx.Node) else None
        owner = memory.get(source, source) if source else None
        for used in node.all_input_nodes:
            if used in stale.get(memory.get(used, used), ()):
                raise TraceError(
                    f"cannot trace {kind_of(node.target)}: its input shares memory with a tensor "
                    "that the model has written into in place; write out of place instead"
                )
        if source is None or owner is None or not isinstance(node.target, torch._ops.OpOverload):
            continue
        returns = node.target._schema.returns
        if _writes(node.target):
            same = {value for value, held in memory.items() if held is owner} | {owner}
            stale.setdefault(owner, set()).update(same)
            memory[node] = owner
        elif returns and returns[0].alias_info is not None:
            memory[node] = owner


def _bound(
    target: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    """Every argument by name, defaults included."""
    if not isinstance(target, torch._ops.OpOverload):
        yield from ((str(place), value) for place, value in enumerate(args))
        return
    for place, argument in enumerate(target._schema.arguments):
        if place < len(args):
            yield argument.name, args[place]
        else:
            yield argument.name, kwargs.get(argument.name, argument.default_value)


def _referring(value: Any, aliases: Mapping[str, str]) -> Any:
    if isinstance(value, fx.Node):
        return Ref(aliases.get(value.name, value.name))
    if isinstance(value, list | tuple):
        return tuple(_referring(item, aliases) for item in value)
    return value
