"""Networks in which no size of the images has a part.

Where a model's code reads no size and its operations take none, as in most classifiers, there is
nothing to reason about: an export at one size, which costs a third of the time, is one for all.
"""

from typing import Any

import torch
from torch import Tensor, fx
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from typing_extensions import override

from deconvviz.deconv.tape import kind_of

# Operations whose arguments are no sizes, unless code has read one.
_WITHOUT_SIZES = frozenset(
    [
        "adaptive_avg_pool2d",
        "add",
        "avg_pool2d",
        "batch_norm",
        "cat",
        "chunk",
        "clone",
        "contiguous",
        "conv2d",
        "div",
        "dropout",
        "elu",
        "feature_dropout",
        "flatten",
        "gelu",
        "getitem",
        "group_norm",
        "hardsigmoid",
        "hardswish",
        "hardtanh",
        "instance_norm",
        "layer_norm",
        "leaky_relu",
        "linear",
        "max_pool2d",
        "mean",
        "mish",
        "mul",
        "permute",
        "prelu",
        "relu",
        "relu6",
        "sigmoid",
        "silu",
        "softplus",
        "sub",
        "tanh",
        "transpose",
    ]
)

# What may be asked of a tensor without learning its size.
_OTHER_FACTS = frozenset(
    [
        Tensor.dim,
        Tensor.is_complex,
        Tensor.is_floating_point,
        torch.is_complex,
        torch.is_floating_point,
        *(
            vars(torch._C.TensorBase)[name].__get__
            for name in ("dtype", "device", "grad_fn", "is_cuda", "layout", "ndim", "requires_grad")
        ),
    ]
)


class SizeReadError(Exception):
    """Code has read the size of a tensor. Raised to end an export, and caught there."""


class SizesRead(TorchFunctionMode):
    """Notes whether the code that runs reads the size of a tensor, and ends it at once.

    Attributes:
        any: Whether it has read one; code may catch the error.
    """

    def __init__(self) -> None:
        super().__init__()
        self.any = False

    @override
    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        value = func(*args, **(kwargs or {}))
        parts = value if isinstance(value, tuple | list) else [value]
        says_more = not all(isinstance(one, Tensor) for one in parts) and func not in _OTHER_FACTS
        if says_more or (
            func is functional.adaptive_avg_pool2d and _keeps_size(*args[1:], **kwargs or {})
        ):
            self.any = True
            raise SizeReadError
        return value


def _keeps_size(output_size: Any, **_: Any) -> bool:
    """Whether an adaptive pooling is to read the size of an axis."""
    return output_size is None or (isinstance(output_size, tuple | list) and None in output_size)


def takes_no_size(graph: fx.Graph) -> bool:
    """Whether an exported graph is for images of any size if the model's code has read none."""
    called = (node.target for node in graph.nodes if node.op == "call_function")
    return all(kind_of(target).removesuffix("_") in _WITHOUT_SIZES for target in called)
