"""A chain of torch's own layers as a tape, without tracing.

`torch.export` takes two seconds to import. A network that is `nn.Sequential` all the way down, of
layers whose operation stands in the table below, needs none of it: its tape is written here, equal
to the traced one, which the tests hold it to. All else is traced.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_modules

from deconvviz.deconv.attributes import attributes_of
from deconvviz.deconv.tape import Operation, Ref, Tape, kind_of, named_weights, weight_of

_aten = torch.ops.aten
_IMAGES = "images"

# What a subclass of `nn.Sequential` may define of what that defines: none of it runs in a pass.
_NOT_RUN = {
    *("__init__", "__module__", "__doc__", "__annotations__", "__annotate__", "__annotate_func__"),
    *("__annotations_cache__", "__static_attributes__", "__firstlineno__"),
}


class _NoChainError(Exception):
    """The network is to be traced."""


@dataclass(frozen=True)
class _Leaf:
    """A layer, the paths of the modules around it, and of those that return its value."""

    layer: nn.Module
    path: str
    around: tuple[str, ...]
    returned_by: frozenset[str]


def chain(model: nn.Module, input_size: tuple[int, int, int]) -> Tape | None:
    """The tape of a chain of torch's own layers; None if the model is to be traced.

    It is None for whatever could make the model compute something else than its layers one after
    the other: a class or an instance with a method of its own, hooks, a layer that is called twice,
    weights of several types, autocast, images that do not fit.

    Args:
        model: Any model.
        input_size: Channels, height and width of images.
    """
    try:
        _check(model)
        leaves = list(_leaves(model, "", (), frozenset({""})))
        weights = _weights(model, leaves)
        operations = _shaped(_operations(leaves, weights), weights, model, input_size)
    except Exception:  # noqa: BLE001  whatever is wrong with a model, tracing says it
        return None
    read = {name for op in operations for name in op.reads}
    return Tape(
        operations=tuple(operations),
        input=_IMAGES,
        input_shape=input_size,
        weights={name: path for name, path in weights.items() if name in read},
        attributes={},
        constants={},
        held=attributes_of(model, frozenset()),
        fixed_size=False,
        multiple=1,
        guards=(),
    )


def _check(model: nn.Module) -> None:
    """Refuse whatever surrounds the layers.

    Raises:
        _NoChainError: Something does.
    """
    modules = [module for _, module in model.named_modules(remove_duplicate=False)]
    tensors = [*model.parameters(), *model.buffers()]
    every = named_weights(model).values()
    floating = {(one.dtype, one.device) for one in every if one.is_floating_point()}
    fits = (
        len({*map(id, modules)}) == len(modules)  # none is shared
        and len({*map(id, tensors)}) == len(every)
        and {type(one) for one in every} <= {nn.Parameter, Tensor}
        and len(floating) <= 1
        and not any(one.is_complex() for one in every)
        and not torch_modules._global_forward_hooks
        and not torch_modules._global_forward_pre_hooks
        and not any(map(torch.is_autocast_enabled, {weight_of(model).device.type, "cpu"}))
        and all(map(_is_plain, modules))
    )
    if not fits:
        raise _NoChainError


def _is_plain(module: nn.Module) -> bool:
    """Whether a call of the module is its class's `forward`, and nothing around it."""
    hooked = module._forward_hooks or module._forward_pre_hooks or module._compiled_call_impl
    # an attribute of the instance that hides a method
    own = any(callable(getattr(type(module), name, None)) for name in vars(module))
    return not hooked and not own


def _is_sequential(module: nn.Module) -> bool:
    """Whether it runs its children one after the other."""
    if not isinstance(module, nn.Sequential):
        return False
    classes, known = type(module).__mro__, {*dir(nn.Sequential)} - _NOT_RUN
    return not any(known & {*vars(one)} for one in classes[: classes.index(nn.Sequential)])


def _leaves(
    module: nn.Module, path: str, around: tuple[str, ...], returned_by: frozenset[str]
) -> Iterator[_Leaf]:
    """The layers in their order.

    Raises:
        _NoChainError: A container is of another kind, or empty.
    """
    if not _is_sequential(module):
        yield _Leaf(module, path, around, returned_by)
        return
    children = list(module.named_children())
    if not children:
        raise _NoChainError
    for name, child in children:
        inner = f"{path}.{name}" if path else name
        also = returned_by if child is children[-1][1] else frozenset[str]()
        yield from _leaves(child, inner, (*around, inner), also | {inner})


def _weights(model: nn.Module, leaves: list[_Leaf]) -> dict[str, str]:
    """Value name -> path of the weight, parameters first.

    Raises:
        _NoChainError: Two have one name.
    """
    paths = {leaf.path for leaf in leaves}
    kinds = (("p", model.named_parameters()), ("b", model.named_buffers()))
    named = [(_value(kind, path), path) for kind, some in kinds for path, _ in some]
    weights = dict(named)
    owners = {path.rpartition(".")[0] for path in weights.values()}
    if len(weights) < len(named) or not owners <= paths:  # a container has one of its own
        raise _NoChainError
    return weights


def _value(kind: str, path: str) -> str:
    return f"{kind}_{''.join(one if one.isalnum() else '_' for one in path)}"


# --- the layers -----------------------------------------------------------------------------------

_Arguments = dict[str, Any]


def _require(*conditions: bool) -> None:
    if not all(conditions):
        raise _NoChainError


def _pair(value: Any) -> tuple[int, int]:
    """A number, or two, as the operation gets it."""
    first, second = (value, value) if isinstance(value, int) else value
    _require(isinstance(first, int), isinstance(second, int))  # None is the input's own size
    return first, second


def _convolution(layer: Any, arguments: _Arguments) -> _Arguments:
    _require(layer.padding_mode == "zeros", not isinstance(layer.padding, str))
    names = ("stride", "padding", "dilation")
    return arguments | {name: _pair(getattr(layer, name)) for name in names}


def _conv2d(layer: nn.Conv2d) -> _Arguments:
    return _convolution(layer, {"groups": layer.groups})


def _conv_transpose2d(layer: nn.ConvTranspose2d) -> _Arguments:
    padding = _pair(layer.output_padding)
    return _convolution(layer, {"groups": layer.groups, "output_padding": padding})


def _batch_norm(layer: nn.BatchNorm2d) -> _Arguments:
    _require(layer.running_mean is not None, layer.running_var is not None)
    momentum = 0.0 if layer.momentum is None else layer.momentum
    return {"training": False, "momentum": momentum, "eps": layer.eps, "cudnn_enabled": False}


def _pooling(layer: Any) -> _Arguments:
    names = ("kernel_size", "stride", "padding")
    return {name: _pair(getattr(layer, name)) for name in names} | {"ceil_mode": layer.ceil_mode}


def _max_pool2d(layer: nn.MaxPool2d) -> _Arguments:
    _require(not layer.return_indices)
    return _pooling(layer) | {"dilation": _pair(layer.dilation)}


def _avg_pool2d(layer: nn.AvgPool2d) -> _Arguments:
    names = ("count_include_pad", "divisor_override")
    return _pooling(layer) | {name: getattr(layer, name) for name in names}


def _adaptive(layer: Any) -> _Arguments:
    _require(not getattr(layer, "return_indices", False))
    return {"output_size": _pair(layer.output_size)}


def _flatten(layer: nn.Flatten) -> _Arguments:
    _require(layer.start_dim == 1, layer.end_dim == -1)  # else the batch may be in it
    return {"start_dim": 1, "end_dim": -1}


def _relu(layer: nn.ReLU) -> _Arguments:
    _require(not layer.inplace)
    return {}


def _linear(_layer: nn.Linear) -> _Arguments:
    return {}


# A layer -> its operation, and the arguments that are no tensors.
_LAYERS: Mapping[type, tuple[Any, Callable[[Any], _Arguments]]] = {
    nn.Conv2d: (_aten.conv2d.default, _conv2d),
    nn.ConvTranspose2d: (_aten.conv_transpose2d.input, _conv_transpose2d),
    nn.BatchNorm2d: (_aten.batch_norm.default, _batch_norm),
    nn.ReLU: (_aten.relu.default, _relu),
    nn.MaxPool2d: (_aten.max_pool2d.default, _max_pool2d),
    nn.AvgPool2d: (_aten.avg_pool2d.default, _avg_pool2d),
    nn.AdaptiveAvgPool2d: (_aten.adaptive_avg_pool2d.default, _adaptive),
    nn.AdaptiveMaxPool2d: (_aten.adaptive_max_pool2d.default, _adaptive),
    nn.Flatten: (_aten.flatten.using_ints, _flatten),
    nn.Linear: (_aten.linear.default, _linear),
}


def _operations(leaves: list[_Leaf], weights: Mapping[str, str]) -> Iterator[Operation]:
    """One operation for each layer, without its shape.

    Raises:
        _NoChainError: The table does not have a layer, or not with its options.
    """
    values = {path: name for name, path in weights.items()}
    last, seen = _IMAGES, Counter[str]()
    for leaf in leaves:
        _require(type(leaf.layer) in _LAYERS)
        target, options = _LAYERS[type(leaf.layer)]
        given, kind = options(leaf.layer), kind_of(target)
        first, *names = (argument.name for argument in target._schema.arguments)
        arguments: _Arguments = {first: Ref(last)}
        for name in names:
            value = values.get(f"{leaf.path}.{name}")
            arguments[name] = given[name] if name in given else value and Ref(value)
        name = f"{kind}_{seen[kind]}" if seen[kind] else kind
        seen[kind] += 1
        calls = tuple((f"L__self__{path}", path) for path in leaf.around)
        yield Operation(name, target, arguments, (last,), calls, None, returned_by=leaf.returned_by)
        last = name


def _shaped(
    operations: Iterator[Operation],
    weights: Mapping[str, str],
    model: nn.Module,
    input_size: tuple[int, int, int],
) -> list[Operation]:
    """The operations with the shapes of their values, found by one pass of a blank picture.

    torch could say shapes without computing, on the meta device, but imports for a second first.
    """
    tensors, done, last = named_weights(model), list[Operation](), _IMAGES
    values = {name: tensors[path].detach() for name, path in weights.items()}
    values[last] = weight_of(model).new_zeros(1, *input_size)
    with torch.no_grad():
        for op in operations:
            value = op.call(values).run()
            del values[last]
            last = op.name
            values[last] = value if isinstance(value, Tensor) else value[0]
            done.append(replace(op, shape=tuple(values[last].shape[1:])))
    return done
