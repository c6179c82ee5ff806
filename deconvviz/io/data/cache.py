"""Decoded pictures on disk: written once, checked when read, mapped where memory is too small.

A file holds the pixels in order, then their shape N, C, H, W, then the SHA-256 of all that. It is
named by a hash of the files that it was decoded from, so a stale file is never read.
"""

import hashlib
import math
import os
import struct
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deconvviz.errors import DataError
from deconvviz.io.files import atomic_file

_SHAPE = struct.Struct("<4q")
_TAIL_BYTES = _SHAPE.size + hashlib.sha256().digest_size
_BLOCK_BYTES = 2**24
_MAX_IN_MEMORY = 2**30  # bytes of pixels; more are mapped from disk


def cache_folder() -> Path:
    """The folder for all that deconvviz can make again: XDG_CACHE_HOME or ~/.cache, /deconvviz."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "deconvviz"


def write_pixels(key: str, blocks: Iterable[NDArray[np.uint8]]) -> None:
    """Write blocks of pictures, (n, C, H, W) each, to the file of `key`, atomically."""
    digest = hashlib.sha256()
    count, shape = 0, (0, 0, 0)
    try:
        with atomic_file(_pixel_file(key)) as file:
            for block in blocks:
                pixels = np.ascontiguousarray(block).data
                digest.update(pixels)
                file.write(pixels)
                count, shape = count + len(block), block.shape[1:]
            tail = _SHAPE.pack(count, *shape)
            digest.update(tail)
            file.write(tail + digest.digest())
    except OSError as error:
        raise _not_writable(error) from error


def read_pixels(key: str) -> Tensor | None:
    """Read the pixels of `key`, (N, C, H, W) uint8; None if they are missing or damaged.

    Many are mapped from the file instead of held in memory. The mapping is private: writing to it
    changes neither the file nor what another reader sees.
    """
    path = _pixel_file(key)
    if not path.is_file() or path.stat().st_size < _TAIL_BYTES:
        return None
    count = path.stat().st_size - _TAIL_BYTES
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for start in range(0, count, _BLOCK_BYTES):
            digest.update(file.read(min(_BLOCK_BYTES, count - start)))
        packed = file.read(_SHAPE.size)
        digest.update(packed)
        if file.read() != digest.digest():
            return None
    pixels = torch.from_file(str(path), shared=False, size=count, dtype=torch.uint8)
    return (pixels if count > _MAX_IN_MEMORY else pixels.clone()).view(_SHAPE.unpack(packed))


def empty_pixels(shape: tuple[int, ...], device: torch.device) -> Tensor:
    """An uint8 tensor; a large one lies on disk, in a nameless file that goes with it."""
    if device.type != "cpu" or math.prod(shape) <= _MAX_IN_MEMORY:
        return torch.empty(shape, dtype=torch.uint8, device=device)
    folder = _pixel_file("").parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            return torch.from_numpy(np.memmap(file, dtype=np.uint8, mode="w+", shape=shape))
    except OSError as error:
        raise _not_writable(error) from error


def _pixel_file(key: str) -> Path:
    return cache_folder() / "decoded" / f"{key}.pixels"


def _not_writable(error: OSError) -> DataError:
    return DataError(
        f"cannot write decoded pictures to {cache_folder()} ({error.strerror}); "
        "free some space there, or name another folder in XDG_CACHE_HOME"
    )
