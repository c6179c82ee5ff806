"""Devices: which one to use, its name, its native precision, and its allocator."""

import ctypes
import platform
import sys
from typing import Any, Literal

import torch

from deconvviz.errors import SettingError


def find_device(name: str = "auto") -> torch.device:
    """The device of this name; "auto" is CUDA where there is one, else Apple's MPS, else the CPU.

    Raises:
        SettingError: This machine has no such device.
    """
    counts = {
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
        "cpu": 1,
    }
    usable = [kind for kind, count in counts.items() if count]
    if name == "auto":
        return torch.device(usable[0])
    kind, colon, index = name.partition(":")
    if kind not in usable or (colon and not (index.isdecimal() and int(index) < counts[kind])):
        raise SettingError(f"no device `{name}` here; there are {', '.join(usable)}")
    return torch.device(name)


def device_name(device: torch.device) -> str:
    """A name for cards: "NVIDIA H200", "AMD EPYC 9004, 8 threads"."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = _capabilities().get("cpu_name") or platform.processor() or platform.machine()
    return f"{name}, {torch.get_num_threads()} threads"


def native_precision(device: torch.device) -> Literal["bf16", "float32"]:
    """bf16 where the device multiplies bfloat16 natively; emulated, it is slower than float32."""
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = device.type == "cpu" and any(
            present for name, present in _capabilities().items() if "bf16" in name
        )
    return "bf16" if native else "float32"


def _capabilities() -> dict[str, Any]:
    """The processor's name and instruction sets, where this version of torch knows them."""
    return getattr(torch.cpu, "get_capabilities", dict)()


_TRIM, _PAD, _MMAP = -1, -2, -3  # M_TRIM_THRESHOLD, M_TOP_PAD and M_MMAP_THRESHOLD of malloc.h


def keep_memory() -> bool:
    """Keep large blocks in the process when they are freed, up to 2 GB, until it ends.

    glibc maps large blocks anew each time, and the system clears each of their pages at first
    touch; a training step on the CPU frees and allocates the same maps again and again.

    Returns:
        Whether the C library supports it; only glibc does.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    mapped = any(mallopt(_MMAP, size) for size in (2**30, 2**25))  # before glibc 2.35 32 MB at most
    return bool(mapped and mallopt(_TRIM, 2**31 - 1) and mallopt(_PAD, 2**26))
