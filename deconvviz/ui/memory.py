"""A bounded memory that all sessions share, for what takes long and shows how far it is.

Streamlit's own caches hold whatever a function returns, but a progress bar drawn inside would be
drawn again, step by step, at every later call.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Generic, TypeVar

import streamlit as st

from deconvviz.progress import Progress

__all__ = ["Memory", "bar"]

Value = TypeVar("Value")


class Memory(Generic[Value]):
    """The last few values by their keys; the oldest is forgotten first.

    Args:
        most: How many are kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[tuple[str, ...], Value] = {}
        self._lock = Lock()

    def get(self, key: tuple[str, ...]) -> Value | None:
        """What is kept under a key."""
        return self._known.get(key)

    def put(self, key: tuple[str, ...], value: Value) -> Value:
        """Keep a value, and give it back."""
        with self._lock:
            self._known[key] = value
            while len(self._known) > self._most:
                del self._known[next(iter(self._known))]
        return value


@contextmanager
def bar(start: str) -> Iterator[Progress]:
    """A progress bar on the page while work goes on; it goes away with it.

    Args:
        start: What stands there until the first step is done.
    """
    shown = st.progress(0.0, text=start)

    def progress(title: str, done: int, total: int, /) -> None:
        shown.progress(done / total, text=f"{title}: {done} of {total} …")

    try:
        yield progress
    finally:
        shown.empty()
