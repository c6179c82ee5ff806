"""The server's memory: everything that outlives one run of a page, and how much of it.

- Results of pages (inputs, activations, projections, tiles, figures, examinations): `RESULT_BYTES`
  together; the least recently used go first.
- Networks, each with a twin of random weights, their data sets and atlases: `NETWORKS`; the least
  recently used go first.
- Uploaded pictures, and training records: `UPLOADS` of each in a session; checkpoints, and lists of
  class names: `NETWORKS` of each; the oldest go first. `SESSION_BYTES` in all sessions; of those,
  what the session has that was seen last the longest ago goes first.
- A session's labels of units: 500 of 60 characters.
- Uploaded bytes that no page has read yet: `PENDING_FILES` and `PENDING_SESSION_BYTES` in a
  session, `PENDING_BYTES` in all; those of sessions that are gone go first, then new ones are
  refused.
- Work: `AT_ONCE` short and as many long computations at a time; others wait. When none is left,
  freed memory goes back to the system.

A session's own state is a few names, and Streamlit drops it two minutes after its browser is gone.
"""

import ctypes
import inspect
import os
import sys
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import is_dataclass
from functools import wraps
from pathlib import Path
from threading import BoundedSemaphore, Lock, local
from types import FunctionType, ModuleType
from typing import Any, ParamSpec, TypeVar

import numpy as np
import streamlit as st
from PIL import Image
from torch import Tensor, nn

from deconvviz.deconv import Deconvnet
from deconvviz.deconv.tape import Tape
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset

MB = 2**20
RESULT_BYTES = int(os.environ.get("DECONVVIZ_CACHE_MB", "256")) * MB
"""All results of pages together; DECONVVIZ_CACHE_MB changes it."""
NETWORKS = 4
"""Networks in memory; each has a twin of random weights where a page asked for one."""
UPLOADS = 8
"""Pictures in a session, 4 MB each at most; and as many training records."""
SESSION_BYTES = 384 * MB
"""Uploads and class names of all sessions together."""
PENDING_FILES = 16
"""Uploaded files of a session that no page has read yet."""
PENDING_SESSION_BYTES = 64 * MB
"""Their bytes."""
PENDING_BYTES = 256 * MB
"""Their bytes in all sessions together."""
AT_ONCE = max(2, (os.cpu_count() or 1) // 4)
"""Computations at a time; each uses all cores."""

_PIXEL = 4  # bytes of a pixel of colour in Pillow
_SHARED = (nn.Module, Bundle, Deconvnet, Tape, type, FunctionType, ModuleType)  # counted elsewhere

P = ParamSpec("P")
Value = TypeVar("Value")


class Memory:
    """Values up to a number of bytes, for all sessions; the least recently used go first.

    Attributes:
        held: Bytes of the values that are in it.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.held = 0
        self._values: OrderedDict[Any, tuple[Any, int]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Any) -> Any | None:
        """The value of a key, or None."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key][0]

    def put(self, key: Any, value: Value) -> Value:
        """Keep a value, unless it alone is larger than all may be; and return it."""
        size = size_of(value)
        with self._lock:
            self._drop(key)
            if size <= self.max_bytes:
                self._values[key] = value, size
                self.held += size
            while self.held > self.max_bytes:
                self._drop(next(iter(self._values)))
        return value

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._values.clear()
            self.held = 0

    def _drop(self, key: Any) -> None:
        _, size = self._values.pop(key, (None, 0))
        self.held -= size


RESULTS = Memory(RESULT_BYTES)
"""The results of pages."""

_making: defaultdict[Any, Lock] = defaultdict(Lock)  # those that are being made
_waiting: defaultdict[Any, int] = defaultdict(int)
_registry = Lock()
_short, _long = BoundedSemaphore(AT_ONCE), BoundedSemaphore(AT_ONCE)
_thread = local()
_workers: list[int] = []  # one for each computation
_trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None


def kept(spinner: str = "") -> Callable[[Callable[P, Value]], Callable[P, Value]]:
    """Keep what a function returns in `RESULTS`; of equal calls at a time one does the work.

    Arguments are told apart by `key_of`; those whose names begin with an underscore are not.

    Args:
        spinner: Text on the page while the function works.
    """

    def decorate(function: Callable[P, Value]) -> Callable[P, Value]:
        signature = inspect.signature(function)

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> Value:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            named = {name: one for name, one in bound.arguments.items() if name[0] != "_"}
            key = (function.__module__, function.__qualname__, key_of(tuple(named.values())))
            if (known := RESULTS.get(key)) is not None:
                return known[0]  # type: ignore[no-any-return]  # what `put` was given below
            with st.spinner(spinner) if spinner else nullcontext(), working(), alone(key):
                if (known := RESULTS.get(key)) is not None:
                    return known[0]  # type: ignore[no-any-return]
                return RESULTS.put(key, (function(*args, **kwargs),))[0]

        return call

    return decorate


@contextmanager
def working() -> Iterator[None]:
    """Hold one of the places for short work; work inside it needs no other."""
    if getattr(_thread, "working", False):
        yield
        return
    with _short, _at_work():
        _thread.working = True
        try:
            yield
        finally:
            _thread.working = False


@contextmanager
def long_work(while_waiting: Callable[[], None]) -> Iterator[None]:
    """Hold one of the places for long work; `while_waiting` is called twice a second until then."""
    while not _long.acquire(timeout=0.5):
        while_waiting()  # it ends the wait of a person who has gone on to another page
    try:
        with _at_work():
            yield
    finally:
        _long.release()


@contextmanager
def _at_work() -> Iterator[None]:
    """Give freed memory back to the system when the last computation ends.

    glibc keeps it in pieces between those in use, in an arena for each thread or two; that would
    grow with the number of people.
    """
    _workers.append(1)
    try:
        yield
    finally:
        _workers.pop()
        if not _workers and _trim is not None:
            _trim(0)


@contextmanager
def alone(key: Any) -> Iterator[None]:
    """Keep other threads from making the same value."""
    with _registry:
        lock = _making[key]
        _waiting[key] += 1
    try:
        with lock:
            yield
    finally:
        with _registry:
            _waiting[key] -= 1
            if not _waiting[key]:
                del _making[key], _waiting[key]


def key_of(value: Any) -> Any:
    """What tells arguments of cached functions apart, hashable.

    Raises:
        TypeError: Nothing tells two values of this type apart.
    """
    if isinstance(getattr(value, "key", None), str):
        return type(value).__name__, value.key
    if isinstance(value, Dataset):
        return value.fingerprint
    if isinstance(value, tuple | list):
        return tuple(map(key_of, value))
    if value is None or isinstance(value, str | int | float | Path):
        return type(value).__name__, value
    if is_dataclass(value) and value.__hash__ is not None and not isinstance(value, type):
        return type(value).__name__, key_of(tuple(vars(value).values()))
    raise TypeError(f"no key of {type(value).__name__}")


def size_of(value: Any) -> int:
    """Bytes of a value with all that it holds; networks are not counted."""
    total, seen, rest = 0, set[int](), [value]
    while rest:
        one = rest.pop()
        if id(one) in seen or isinstance(one, _SHARED):
            continue
        seen.add(id(one))
        if isinstance(one, Tensor):
            storage = one.untyped_storage()
            if storage.data_ptr() not in seen:
                seen.add(storage.data_ptr())
                total += storage.nbytes()
        elif isinstance(one, np.ndarray):
            base = one
            while isinstance(base.base, np.ndarray):
                base = base.base
            seen.add(id(base))
            total += base.nbytes
        elif isinstance(one, Image.Image):
            total += one.width * one.height * _PIXEL
        else:
            total += sys.getsizeof(one)
            rest += _parts(one)
    return total


def _parts(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [*value.keys(), *value.values()]
    if isinstance(value, tuple | list | set | frozenset):
        return list(value)
    return list(getattr(value, "__dict__", {}).values())
