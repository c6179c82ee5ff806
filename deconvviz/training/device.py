"""Devices: which one to use, its name, and its faster precision."""

import platform
import time
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from deconvviz.errors import SettingError

__all__ = ["device_name", "faster_precision", "find_device"]


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
    return f"{_processor()}, {torch.get_num_threads()} threads"


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def faster_precision(model: nn.Module, batch: Tensor) -> Literal["bf16", "float32"]:
    """Time a few training steps in each precision on the batch's device.

    bfloat16 is several times faster where the device multiplies it natively and several times
    slower where it is emulated; torch does not say which. The model's weights stay as they are, its
    BatchNorm statistics are restored and its gradients cleared.
    """
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    slower = _seconds(model, batch, torch.float32) <= _seconds(model, batch, torch.bfloat16)
    for name, buffer in model.named_buffers():
        buffer.copy_(buffers[name])
    model.zero_grad()
    return "float32" if slower else "bf16"


def _seconds(model: nn.Module, batch: Tensor, dtype: torch.dtype, steps: int = 5) -> float:
    """The fastest of a few steps, which leaves out warm-up and interruptions."""
    times = []
    for _ in range(steps):
        started = time.perf_counter()
        with torch.autocast(batch.device.type, dtype, enabled=dtype != torch.float32):
            loss = model(batch).float().logsumexp(1).mean()
        loss.backward()
        if batch.device.type == "cuda":
            torch.cuda.synchronize(batch.device)
        times.append(time.perf_counter() - started)
    return min(times)
