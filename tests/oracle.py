"""Two slow, independent deconvnets that the engine is held to.

`plain` undoes a sequence of modules one by one, full maps only, with index arithmetic for the
switches. `autograd` runs any model and lets torch's own backward pass walk it, with the backward of
every activation replaced by the rule. Neither knows the engine.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode


def leaves(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The modules without children, in order: a sequential model's layers."""
    return ((name, m) for name, m in model.named_modules() if not list(m.children()) and name)


def units_at(
    value: Tensor, image: Tensor, channel: Tensor, y: Tensor, x: Tensor, start: str = "activation"
) -> Tensor:
    """K starts (K, ...) in a value (N, C, H, W) or (N, C): one unit each, every other one zero."""
    rows = torch.arange(len(image))
    begin = torch.zeros(len(image), *value.shape[1:], dtype=value.dtype)
    place = (channel, y, x) if value.dim() == 4 else (channel,)
    begin[(rows, *place)] = value[(image, *place)] if start == "activation" else 1.0
    return begin


# --- one: unpool, rectify, filter with the transposed kernels ------------------------------------


def plain(
    model: nn.Module, images: Tensor, layer: str, start: Callable[[Tensor], Tensor], rule: str
) -> Tensor:
    """Project from a layer of a sequential model, module by module.

    Args:
        model: A model in evaluation mode whose leaves run one after another, flattened before the
            first linear layer.
        images: (K, C, H, W), one for each signal.
        layer: The name of a leaf.
        start: The layer's value -> the signals that start there, of the same shape.
        rule: "deconvnet", "guided" or "gradient".

    Returns:
        (K, C, H, W).
    """
    undo: list[Callable[[Tensor], Tensor]] = []
    value = images
    for name, module in leaves(model):
        if isinstance(module, nn.Linear) and value.dim() == 4:
            undo.append(lambda s, shape=value.shape: s.reshape(shape))
            value = value.flatten(1)
        before, value = value, module(value.clone())
        undo.append(_undoing(module, before, value, rule))
        if name == layer:
            break
    signal = start(value)
    for step in reversed(undo):
        signal = step(signal)
    return signal


def _undoing(module: nn.Module, a: Tensor, value: Tensor, rule: str) -> Callable[[Tensor], Tensor]:
    match module:
        case nn.Conv2d(stride=stride, padding=padding, dilation=dilation, groups=groups):
            rest = [
                (size + 2 * p - d * (k - 1) - 1) % s
                for size, p, d, k, s in zip(
                    a.shape[2:], padding, dilation, module.kernel_size, stride, strict=True
                )
            ]
            return lambda s: functional.conv_transpose2d(
                s, module.weight, None, stride, padding, rest, groups, dilation
            )
        case nn.BatchNorm2d():
            scale = module.weight / torch.sqrt(module.running_var + module.eps)
            return lambda s: s * scale[:, None, None]
        case nn.ReLU():
            rules = {
                "deconvnet": lambda s: s.clamp(min=0),
                "guided": lambda s: s.clamp(min=0) * (a > 0),
                "gradient": lambda s: s * (a > 0),
            }
            return rules[rule]
        case nn.MaxPool2d() | nn.AdaptiveMaxPool2d():
            again = type(module)(**_arguments(module), return_indices=True)
            return lambda s: _unpool(s, again(a)[1], a.shape)
        case nn.AdaptiveAvgPool2d():
            return lambda s: _spread(s, a.shape)
        case nn.Linear():
            return lambda s: functional.linear(s, module.weight.T)
        case nn.Flatten():
            return lambda s: s.reshape(a.shape)
        case nn.Dropout() | nn.Identity():
            return lambda s: s
    raise NotImplementedError(type(module))


def _arguments(module: nn.Module) -> dict[str, object]:
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "output_size")
    return {name: getattr(module, name) for name in names if hasattr(module, name)}


def _unpool(signal: Tensor, switches: Tensor, shape: torch.Size) -> Tensor:
    """Every pooled signal back to where its maximum was, added up."""
    planes = torch.zeros(shape[0] * shape[1], shape[2] * shape[3], dtype=signal.dtype)
    offsets = torch.arange(len(planes)).repeat_interleave(switches[0, 0].numel()) * planes.shape[1]
    flat = planes.reshape(-1).index_add(0, offsets + switches.reshape(-1), signal.reshape(-1))
    return flat.reshape(shape)


def _spread(signal: Tensor, shape: torch.Size) -> Tensor:
    """Adaptive average pooling, undone bin by bin."""
    spread = torch.zeros(shape, dtype=signal.dtype)
    (height, width), (rows, columns) = shape[2:], signal.shape[2:]
    for i in range(rows):
        for j in range(columns):
            bin_ = (
                slice(i * height // rows, -(-(i + 1) * height // rows)),
                slice(j * width // columns, -(-(j + 1) * width // columns)),
            )
            area = spread[..., *bin_][0, 0].numel()
            spread[..., *bin_] += signal[..., i : i + 1, j : j + 1] / area
    return spread


# --- two: torch's backward pass with other activations -------------------------------------------

_aten = torch.ops.aten
_ACTIVATIONS = {
    _aten.threshold_backward.default,
    _aten.hardtanh_backward.default,
    _aten.leaky_relu_backward.default,
    _aten.elu_backward.default,
    _aten.gelu_backward.default,
    _aten.silu_backward.default,
    _aten.hardswish_backward.default,
    _aten.mish_backward.default,
    _aten.softplus_backward.default,
    _aten._prelu_kernel_backward.default,
}
# Held as recorded under the paper's rule and the guided one: no signal enters a gate.
_GATES = {_aten.sigmoid_backward.default, _aten.hardsigmoid_backward.default}


class _RuledBackward(TorchDispatchMode):
    """Answers the backward of every activation by the rule."""

    def __init__(self, rule: str) -> None:
        super().__init__()
        self.rule = rule

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if self.rule == "gradient":
            return func(*args, **(kwargs or {}))
        if func in _GATES:
            return torch.zeros_like(args[0])
        if func is _aten.native_layer_norm_backward.default:
            signal, _, _, _, scale, weight, _, _ = args
            return signal * scale * (1 if weight is None else weight), None, None
        if func is _aten.native_group_norm_backward.default:
            return _scaled_groups(*args), None, None
        if func is _aten.native_batch_norm_backward.default and args[7]:  # instance norm
            signal, _, weight, _, _, _, scale, _, _, _ = args
            return signal * (scale * weight)[:, None, None], None, None
        if func not in _ACTIVATIONS:
            return func(*args, **(kwargs or {}))
        if self.rule == "deconvnet":
            sent = args[0].clamp(min=0)
            return (sent, None) if func is _aten._prelu_kernel_backward.default else sent
        sent = func(*args, **(kwargs or {}))
        return (sent[0].clamp(min=0), None) if isinstance(sent, tuple) else sent.clamp(min=0)


def _scaled_groups(signal, _maps, _mean, scale, weight, _n, channels, _positions, groups, _mask):
    scale = scale.repeat_interleave(channels // groups, 1)[..., None, None]
    return signal * scale * (1 if weight is None else weight[:, None, None])


def autograd(
    model: nn.Module, images: Tensor, layer: str, start: Callable[[Tensor], Tensor], rule: str
) -> Tensor:
    """Project from a module's output (its last call) by backward with the rule's activations.

    The arguments are those of `plain`, but `layer` may be any module of any model.
    """
    held: list[Tensor] = []
    # A copy, because a later in-place activation would change what the hook was shown.
    handle = model.get_submodule(layer).register_forward_hook(
        lambda _module, _inputs, output: held.append(output) or output.clone()
    )
    images = images.clone().requires_grad_()
    try:
        model(images)
    finally:
        handle.remove()
    value = held[-1]
    with _RuledBackward(rule):
        (pixels,) = torch.autograd.grad(value, images, start(value.detach()))
    return pixels
