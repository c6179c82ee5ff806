"""Devices: which one there is, what it is called, and which precision it is faster in."""

import platform
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from deconvviz.errors import SettingError

__all__ = ["device_name", "faster_precision", "find_device"]


def find_device(name: str = "auto") -> torch.device:
    """The device of this name; "auto" is CUDA where there is one, else Apple's MPS, else the CPU.

    Raises:
        SettingError: this machine has no such device.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    usable = [kind for kind, is_there in there.items() if is_there] + ["cpu"]
    if name == "auto":
        return torch.device(usable[0])
    kind, _, index = name.partition(":")
    if kind not in usable or not (index.isdecimal() or not index):
        raise SettingError(f"no device `{name}` here; there is {', '.join(usable)}")
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


def faster_precision(model: nn.Module, batch: Tensor) -> str:
    """Time a few training steps in each precision on the batch's device: "bf16" or "float32".

    bfloat16 is several times faster where the device multiplies it natively and several times
    slower where it is emulated; no flag of torch says which. The model's weights stay as they are;
    its BatchNorm statistics are restored and its gradients cleared.
    """
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    seconds = {name: _seconds(model, batch, name) for name in ("float32", "bf16")}
    for name, buffer in model.named_buffers():
        buffer.copy_(buffers[name])
    model.zero_grad()
    return min(seconds, key=lambda name: seconds[name])


def _seconds(model: nn.Module, batch: Tensor, precision: str, steps: int = 5) -> float:
    """The quickest of a few steps; the first, which warms up, and whatever else runs fall out."""
    times = []
    for _ in range(steps):
        started = time.perf_counter()
        with torch.autocast(batch.device.type, torch.bfloat16, enabled=precision == "bf16"):
            loss = model(batch).float().logsumexp(1).mean()
        loss.backward()
        _wait(batch.device)
        times.append(time.perf_counter() - started)
    return min(times)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
