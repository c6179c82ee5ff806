"""Devices: which one to use, its name, and its native precision."""

import platform
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
