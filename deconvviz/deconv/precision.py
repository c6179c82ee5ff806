"""The precision of projections.

The forward pass, its switches and its masks are always those of the model's own dtype: what is
lower is the signal on its way down, and the kernels that filter it.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, get_args

import torch
from torch import Tensor

from deconvviz.deconv.table import row_of
from deconvviz.deconv.table.convolution import Weighted
from deconvviz.deconv.tape import Call
from deconvviz.errors import SettingError

Precision = Literal["full", "bf16", "fp16"]
"""The model's own dtype, bfloat16 or float16."""

_DTYPES: Mapping[str, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}
_DEVICES: Mapping[str, tuple[str, ...]] = {"bf16": ("cpu", "cuda"), "fp16": ("cuda",)}


def signal_dtype(precision: Precision, own: torch.dtype, device: torch.device) -> torch.dtype:
    """The dtype of signals.

    Args:
        precision: The precision asked for.
        own: The model's dtype.
        device: The model's device.

    Raises:
        SettingError: There is no such precision, or it is not supported on the device.
    """
    known = get_args(Precision)
    if precision not in known:
        raise SettingError(f"no precision `{precision}`; there are {', '.join(known)}")
    if precision == "full":
        return own
    if device.type not in _DEVICES[precision]:
        there = [name for name, devices in _DEVICES.items() if device.type in devices]
        use = " or ".join(["full", *there])
        raise SettingError(f"no precision {precision} on {device.type}; use {use}")
    return _DTYPES[precision]


def with_weights_in(call: Call, dtype: torch.dtype) -> Call:
    """A call with its kernels in the dtype of the signals."""
    if not isinstance(row_of(call.operation), Weighted) or call["weight"].dtype == dtype:
        return call
    return replace(call, arguments={**call.arguments, "weight": call["weight"].to(dtype)})


def finite(pixels: Tensor, precision: Precision) -> Tensor:
    """The pixels.

    Raises:
        SettingError: A signal was larger than float16 can hold.
    """
    if precision == "fp16" and not torch.isfinite(pixels).all():
        raise SettingError("signals are larger than fp16 can hold; use precision bf16 or full")
    return pixels
